"""The folds of a cross-validation taken together: each patient was tested once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

from napari_xmag._about import NOTICE
from napari_xmag.cohort.rows import TEST
from napari_xmag.errors import ResultError
from napari_xmag.filenames import METRICS, PREDICTIONS
from napari_xmag.files import write_json
from napari_xmag.progress.heartbeat import Steps
from napari_xmag.stats.metrics import mean, standard_deviation
from napari_xmag.train.report import tables
from napari_xmag.train.report.evaluate import LEVEL, SplitReport, split_reports
from napari_xmag.train.report.predictions import (
    SlidePrediction,
    read_predictions,
    write_predictions,
)
from napari_xmag.train.report.record import read_metrics
from napari_xmag.train.report.report import draw_plots, sections, write_markdown

PATCH_AUC = "patch_auc"

FIGURES = {"auc": "AUC", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}


@dataclass(frozen=True)
class FoldSummary:
    """How well a way of training does on slides that it was not trained on.

    Attributes
    ----------
    classes
        Names, in the order of all class-wise values.
    predictions
        Of every slide, by the one model that was not trained on its patient; ``fold`` says which.
    folds
        Each fold's figures on its test slides.
    together
        All these predictions as if one model had made them. Models of different folds put their
        probabilities on different scales, so its AUC may lie below the mean over folds.
    patch_aucs
        Of each fold's test slides, the AUC over the patches that lie in regions, NaN where there
        are none; empty where no fold has any.
    """

    classes: tuple[str, ...]
    predictions: tuple[SlidePrediction, ...]
    folds: tuple[SplitReport, ...]
    together: SplitReport
    patch_aucs: tuple[float, ...] = ()

    def values(self) -> list[dict[str, float]]:
        """Return the figures of each fold by name, sensitivity and specificity by class."""
        aucs = [{PATCH_AUC: auc} for auc in self.patch_aucs] or [{}] * len(self.folds)
        return [
            {name: fold.figures[name].value for name in FIGURES}
            | of_patches
            | {f"sensitivity_{name}": value.value for name, value in fold.sensitivity.items()}
            | {f"specificity_{name}": value.value for name, value in fold.specificity.items()}
            for fold, of_patches in zip(self.folds, aucs, strict=True)
        ]

    def metrics(self) -> dict[str, Any]:
        """Return everything but the predictions, ready for JSON."""
        values = self.values()
        return {
            "notice": NOTICE,
            "classes": list(self.classes),
            "interval_level": LEVEL,
            "mean": {name: mean([fold[name] for fold in values]) for name in values[0]},
            "spread": {
                name: standard_deviation([fold[name] for fold in values]) for name in values[0]
            },
            "folds": values,
            TEST: self.together.metrics(),
        }


def summarise_folds(folders: Sequence[Path], out: Path, seed: int = 0) -> Steps[FoldSummary]:
    """Take the test predictions of several trainings together, and write them with their figures.

    In steps, as `napari_xmag.train.report.evaluate.evaluation`.

    Parameters
    ----------
    folders
        Folders of the trainings, fold 1 first.
    out
        Gets metrics.json, predictions.csv, report.md and ``plots/``.
    seed
        Seed of the bootstrap.

    Raises
    ------
    ResultError
        When a folder holds no predictions, the classes differ, or a slide was tested twice.
    ExportError
        When ``out`` cannot be written.
    """
    read = [read_predictions(folder / PREDICTIONS) for folder in folders]
    classes = read[0][0]
    tested = [
        [replace(item, fold=number) for item in items if item.split == TEST]
        for number, (_, items) in enumerate(read, 1)
    ]
    everyone = tuple(item for items in tested for item in items)
    _require_once(classes, [names for names, _ in read], everyone, folders)
    folds = []
    for items in (*tested, everyone):
        folds.append((yield from split_reports(items, classes, seed))[TEST])
    summary = FoldSummary(classes, everyone, tuple(folds[:-1]), folds[-1], _patch_aucs(folders))
    _write(out, summary)
    return summary


def _patch_aucs(folders: Sequence[Path]) -> tuple[float, ...]:
    found = [read_metrics(folder).get(TEST, {}).get("patches", {}) for folder in folders]
    return tuple(float(one.get("auc", nan)) for one in found) if any(found) else ()


def _require_once(
    classes: tuple[str, ...],
    found: Sequence[tuple[str, ...]],
    predictions: Sequence[SlidePrediction],
    folders: Sequence[Path],
) -> None:
    times = Counter(item.slide for item in predictions)
    faults = []
    if any(names != classes for names in found):
        faults.append("different classes")
    if twice := sorted(path.name for path, number in times.items() if number > 1):
        faults.append(f"{', '.join(twice[:5])} tested twice")
    faults += [
        f"no test slide in {folder.name}"
        for number, folder in enumerate(folders, 1)
        if all(item.fold != number for item in predictions)
    ]
    if faults:
        raise ResultError(
            expected="the folds of one training, in which each slide is tested once",
            found=", ".join(faults),
            hint="Name the fold folders of one training.",
        )


def _write(out: Path, summary: FoldSummary) -> None:
    splits = {TEST: summary.together}
    write_predictions(out / PREDICTIONS, summary.classes, summary.predictions)
    pictures = draw_plots(out, splits, summary.classes)
    head = [
        f"# Performance in {len(summary.folds)}-fold cross-validation",
        f"**{NOTICE}**",
        "Each slide is predicted by the model that was not trained on its patient.",
        "## Fold by fold",
        tables.mean_and_spread(summary.values(), _names(summary)),
        "Below, the predictions of all folds are pooled. The probabilities of different models are "
        "not on the same scale, so the pooled AUC can be lower than the mean over folds.",
    ]
    parts = [*head, *sections(splits, summary.classes, pictures)]
    write_markdown(out, parts, summary.predictions)
    write_json(out / METRICS, summary.metrics())


def _names(summary: FoldSummary) -> Mapping[str, str]:
    of_patches = {PATCH_AUC: "AUC of patches in regions"} if summary.patch_aucs else {}
    # of two classes, one's specificity is the other's sensitivity
    rates = {f"sensitivity_{name}": f"sensitivity for {name}" for name in summary.classes}
    return FIGURES | of_patches | rates
