"""Figures of a training as Markdown, for its report and its model card alike."""

import math
from collections.abc import Mapping, Sequence

from napari_xmag.markdown import escaped, table
from napari_xmag.stats.metrics import LEAST_PATIENTS, Interval, mean, standard_deviation
from napari_xmag.train.report.evaluate import REPLICATES, SplitReport
from napari_xmag.train.report.patches import PATCH_REPLICATES, PatchReport
from napari_xmag.train.report.predictions import SlidePrediction

Splits = Mapping[str, SplitReport]

ONLY_TEST = (
    "Only the test slides estimate how well the model performs on new slides. It was trained on "
    "the training slides, and its epoch, temperature and threshold were chosen on the validation "
    "slides."
)


def chosen_epoch(best: int) -> str:
    """Say which epoch of end to end the model is; 0 for the head before it."""
    if best == 0:
        return (
            "End-to-end training did not improve on the head alone (validation slides): the model "
            "keeps the original encoder, with that head."
        )
    return f"The model is from end-to-end epoch {best}, the best epoch on the validation slides."


def patches(reports: Mapping[str, PatchReport]) -> str:
    """Return the table of how the evidence of patches fits the regions."""
    names = ("auc", "balanced_accuracy", "accuracy")
    rows = [
        [
            name,
            ", ".join(f"{count} {label}" for label, count in report.counts.items()),
            report.slides,
            report.patients,
            *(with_interval(report.figures[key]) for key in names),
        ]
        for name, report in reports.items()
    ]
    heading = ["split", "patches", "slides", "patients", "AUC", "balanced accuracy", "accuracy"]
    return (
        table(heading, rows)
        + "\n\nOf the patches that lie in regions: whether the evidence of a patch speaks for the "
        f"class of its region. In brackets: 95 % CI from {PATCH_REPLICATES} bootstrap resamples of "
        f"the patients; none for fewer than {LEAST_PATIENTS} patients."
    )


def left_out(words: Sequence[str]) -> str:
    """Say which slides or regions took no part; nothing where all did."""
    return "\n".join(f"- {escaped(line)}." for line in words)


def number(value: float) -> str:
    """Return three decimals, or a dash for what cannot be had."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def with_interval(value: Interval) -> str:
    """Return for instance "0.913 (0.802 … 0.981)"."""
    ends = f" ({value.low:.3f} … {value.high:.3f})" if math.isfinite(value.low) else ""
    return number(value.value) + ends


def figures_table(splits: Splits, what: str = "split") -> str:
    """Return the table of figures with their intervals, and a line on how these came about."""
    names = ("auc", "balanced_accuracy", "accuracy")
    rows = [
        [name, split.slides, split.patients, *(with_interval(split.figures[key]) for key in names)]
        for name, split in splits.items()
    ]
    units = {"patients" if split.resampled == "group" else "slides" for split in splits.values()}
    heading = [what, "slides", "patients", "AUC", "balanced accuracy", "accuracy"]
    return (
        table(heading, rows)
        + "\n\nAUC: each class against the rest, averaged over the classes. In brackets: 95 % CI "
        f"from {REPLICATES:,} bootstrap resamples of the {' or '.join(sorted(units))}; none for "
        f"fewer than {LEAST_PATIENTS} patients. An interval of 1.000 … 1.000 means that no "
        "resample contained an error, not that the model makes none."
    )


def rates(splits: Splits) -> str:
    """Return sensitivity and specificity of each class."""
    rows = [
        [
            name,
            escaped(label),
            split.counts[label],
            with_interval(split.sensitivity[label]),
            with_interval(split.specificity[label]),
        ]
        for name, split in splits.items()
        for label in split.sensitivity
    ]
    return (
        table(["split", "class", "slides", "sensitivity", "specificity"], rows)
        + "\n\nIn brackets: Wilson 95 % CI, computed from the number of patients."
    )


def confusion(splits: Splits, classes: Sequence[str]) -> str:
    """Return a table of counts for each split."""
    rows = [
        [name, escaped(label), *counts]
        for name, split in splits.items()
        for label, counts in zip(classes, split.confusion, strict=True)
    ]
    heading = ["split", "true class", *(f"predicted {escaped(label)}" for label in classes)]
    return table(heading, rows)


def calibration(splits: Splits) -> str:
    """Return the expected calibration error before and after temperature scaling."""
    rows = [
        [name, number(split.error_before), number(split.error_after)]
        for name, split in splits.items()
    ]
    return (
        table(["split", "uncalibrated", "calibrated"], rows)
        + "\n\nExpected calibration error (Guo et al. 2017) in ten bins: the mean difference "
        "between predicted probability and observed accuracy. Few slides make it large by chance."
    )


def slides(predictions: Sequence[SlidePrediction]) -> str:
    """Return the table of slides, the errors first, then by split and name."""
    ordered = sorted(predictions, key=lambda item: (item.correct, item.split, item.slide.name))
    rows = [
        [
            escaped(item.slide.name),
            item.split,
            escaped(item.label),
            escaped(item.predicted),
            " / ".join(f"{value:.3f}" for value in item.probabilities),
            "correct" if item.correct else "**error**",
        ]
        for item in ordered
    ]
    heading = ["slide", "split", "true class", "predicted class", "probabilities", ""]
    return table(heading, rows)


def mean_and_spread(folds: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> str:
    """Return the figures of each fold, then each one's mean and standard deviation.

    Parameters
    ----------
    folds
        Figures of each fold by key; NaN where one cannot be had.
    names
        Keys that are shown, and what they are called.
    """
    rows: list[list[str]] = [
        [f"fold {place}", *(number(fold[key]) for key in names)]
        for place, fold in enumerate(folds, 1)
    ]
    pairs = [
        (mean([fold[key] for fold in folds]), standard_deviation([fold[key] for fold in folds]))
        for key in names
    ]
    rows.append(
        ["**mean ± SD**", *(f"**{number(one)} ± {number(other)}**" for one, other in pairs)]
    )
    return table(["", *names.values()], rows)
