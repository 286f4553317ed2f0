"""The files that tell how well a trained model does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_xmag._about import NOTICE
from napari_xmag.cohort.rows import TRAIN
from napari_xmag.filenames import METRICS, PLOTS, PREDICTIONS, REPORT
from napari_xmag.files import whole_file, write_json
from napari_xmag.markdown import wrapped
from napari_xmag.nets.decision import describe_decision
from napari_xmag.train.report import tables
from napari_xmag.train.report.evaluate import Report, SplitReport, evaluate_predictions
from napari_xmag.train.report.predictions import SlidePrediction, write_predictions
from napari_xmag.train.report.record import RunRecord, read_curves, read_run

__all__ = [
    "Report",
    "RunRecord",
    "SplitReport",
    "evaluate_predictions",
    "read_run",
    "write_training_report",
]


def write_training_report(folder: Path, report: Report) -> None:
    """Write metrics.json, predictions.csv, report.md and ``plots/*.png``.

    The course of the training is drawn from the folder's scalars.csv where there is one.

    Raises
    ------
    ExportError
        When the folder cannot be written.
    """
    write_predictions(folder / PREDICTIONS, report.classes, report.predictions)
    pictures = draw_plots(folder, report.splits, report.classes)
    rule = (
        describe_decision(report.classes, report.threshold)
        or "the most probable class is predicted"
    )
    head = [
        "# Performance of the model",
        f"**{NOTICE}**",
        tables.ONLY_TEST,
        f"Decision: {rule} (threshold {report.threshold:.3g}; {report.chosen}). "
        f"Temperature: {report.temperature:.3g}.",
        "" if report.best_epoch is None else tables.chosen_epoch(report.best_epoch),
        tables.left_out((*report.left_out, *report.regions_noted)),
    ]
    parts = sections(report.splits, report.classes, pictures)
    if report.patches:
        parts = ["## Patches in regions", tables.patches(report.patches), *parts]
    write_markdown(folder, [*head, *parts], report.predictions)
    write_json(folder / METRICS, report.metrics())


def sections(
    splits: Mapping[str, SplitReport], classes: Sequence[str], pictures: Sequence[Path]
) -> list[str]:
    """Return the parts of a report about splits, with the pictures among them."""
    shown = {path.stem: f"![{path.stem}]({PLOTS}/{path.name})" for path in pictures}
    parts = [
        "## Performance",
        tables.figures_table(splits),
        shown.get("roc", ""),
        "## Sensitivity and specificity",
        tables.rates(splits),
        "## Confusion matrix",
        tables.confusion(splits, classes),
        shown.get("confusion", ""),
        "## Calibration",
        tables.calibration(splits),
        shown.get("calibration", ""),
        *(["## Training curves", shown["curves"]] if "curves" in shown else []),
    ]
    return [part for part in parts if part]


def draw_plots(
    folder: Path, splits: Mapping[str, SplitReport], classes: Sequence[str]
) -> list[Path]:
    """Draw all plots into ``plots/`` of a run's folder and return their paths.

    Raises
    ------
    ExportError
        When one cannot be written.
    """
    from napari_xmag.train.report.plots import plot_curves, plot_splits

    paths = plot_splits(folder / PLOTS, splits, classes)
    if curves := read_curves(folder):
        paths.append(folder / PLOTS / "curves.png")
        plot_curves(paths[-1], curves)
    return paths


def write_markdown(
    folder: Path, parts: Sequence[str], predictions: Sequence[SlidePrediction]
) -> None:
    """Write report.md: the parts, then the slides that the model was not trained on.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    judged = [item for item in predictions if item.split != TRAIN]
    note = f"Training slides are listed in {PREDICTIONS} only."
    text = [*parts, "## Slides", note, *([tables.slides(judged)] if judged else [])]
    with whole_file(folder / REPORT) as part:
        part.write_text(wrapped("\n\n".join(filter(None, text))) + "\n", encoding="utf-8")
