"""How well a model does on each split, and its prediction for each slide."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag._about import NOTICE
from napari_xmag.cohort.rows import SPLITS, VALIDATION, CohortRow
from napari_xmag.nets.decision import EVEN
from napari_xmag.nets.info import softmax
from napari_xmag.progress.heartbeat import Steps, finish
from napari_xmag.stats.calibration import (
    ReliabilityBin,
    calibration_error,
    choose_threshold,
    reliability,
)
from napari_xmag.stats.folds import bootstrap_units, group_codes
from napari_xmag.stats.metrics import Interval, bootstrap, confusion_matrix, intervals, wilson
from napari_xmag.train.report.patches import PatchReport
from napari_xmag.train.report.predictions import (
    SlidePrediction,
    logits_of,
    predict,
    probabilities_of,
)

LEVEL = 0.95
REPLICATES = 2000


@dataclass(frozen=True)
class RocCurve:
    """One class against the rest: false and true positive rates, and the area."""

    false_positive: tuple[float, ...]
    true_positive: tuple[float, ...]
    auc: float


@dataclass(frozen=True)
class SplitReport:
    """How a model does on one split.

    Attributes
    ----------
    slides, patients
        How many.
    counts
        Slides of each class.
    figures
        ``auc`` (one class against the rest, mean over classes), ``accuracy``,
        ``balanced_accuracy``, ``f1``, each with its 95 % bootstrap interval.
    resampled
        What was resampled for the intervals: ``row`` (slides), or ``group`` (patients) where some
        have several slides.
    sensitivity, specificity
        Of each class against the rest, by the predicted class, with Wilson's interval on the number
        of patients.
    confusion
        Counts: row is the true class, column the predicted one.
    error_before, error_after
        Expected calibration error without and with the temperature.
    reliable_before, reliable_after
        Its bins.
    roc
        A curve for each class that can have one.
    """

    slides: int
    patients: int
    counts: Mapping[str, int]
    figures: Mapping[str, Interval]
    resampled: str
    sensitivity: Mapping[str, Interval]
    specificity: Mapping[str, Interval]
    confusion: tuple[tuple[int, ...], ...]
    error_before: float
    error_after: float
    reliable_before: tuple[ReliabilityBin, ...]
    reliable_after: tuple[ReliabilityBin, ...]
    roc: Mapping[str, RocCurve]

    def metrics(self) -> dict[str, Any]:
        """Return all of it, ready for JSON; the figures stand at the top, as numbers."""
        content = asdict(self)
        chosen = content.pop("figures")
        return {
            **{name: interval["value"] for name, interval in chosen.items()},
            "intervals": {name: [i["low"], i["high"]] for name, i in chosen.items()},
            **content,
        }


@dataclass(frozen=True)
class Report:
    """How one model does on each split, with every prediction.

    Attributes
    ----------
    classes
        Names, in the order of all class-wise values.
    predictions
        Of every slide.
    splits
        By name, in the order training, validation, test; those that have slides.
    temperature, threshold
        Of the model.
    chosen
        How the threshold came about, in words.
    best_epoch
        Which end-to-end epoch the model is; 0: none was better than the head alone; None: there
        was no choice.
    left_out
        Slides that took no part, and why, in words.
    patches
        How the evidence of patches fits the regions, by split; those that have regions.
    regions_noted
        What of the regions was not learned from, and why, in words.
    """

    classes: tuple[str, ...]
    predictions: tuple[SlidePrediction, ...]
    splits: Mapping[str, SplitReport]
    temperature: float
    threshold: float
    chosen: str
    best_epoch: int | None = None
    left_out: tuple[str, ...] = ()
    patches: Mapping[str, PatchReport] = field(default_factory=dict)
    regions_noted: tuple[str, ...] = ()

    def metrics(self) -> dict[str, Any]:
        """Return everything but the predictions, ready for JSON."""
        return {
            "notice": NOTICE,
            "classes": list(self.classes),
            "temperature": self.temperature,
            "threshold": self.threshold,
            "threshold_chosen": self.chosen,
            "end_to_end_epoch": self.best_epoch,
            "left_out": list(self.left_out),
            "interval_level": LEVEL,
            "regions_noted": list(self.regions_noted),
            **{
                name: split.metrics() | self._of_patches(name)
                for name, split in self.splits.items()
            },
        }

    def _of_patches(self, split: str) -> dict[str, Any]:
        return {"patches": self.patches[split].metrics()} if split in self.patches else {}


def evaluate_predictions(
    rows: Sequence[CohortRow],
    classes: Sequence[str],
    logits: ArrayLike,
    temperature: float,
    threshold: float | None = None,
    seed: int = 0,
) -> Report:
    """Evaluate a model by its logits; see `evaluation`."""
    return finish(evaluation(rows, classes, logits, temperature, threshold, seed))


def evaluation(
    rows: Sequence[CohortRow],
    classes: Sequence[str],
    logits: ArrayLike,
    temperature: float,
    threshold: float | None = None,
    seed: int = 0,
) -> Steps[Report]:
    """Evaluate a model by its logits, in steps.

    Parameters
    ----------
    rows
        The slides, each with its split.
    classes
        Names, in the order of the logits.
    logits
        Float (N, C).
    temperature
        Divides the logits.
    threshold
        Above it the second of two classes is predicted; None: chosen on the validation slides.
    seed
        Seed of the bootstrap.

    Yields
    ------
    How many more of `REPLICATES` resamples of each split are done.
    """
    values, names = np.asarray(logits, np.float64), tuple(classes)
    if threshold is None or len(names) != 2:
        threshold, words = _threshold(rows, names, softmax(values / temperature))
    else:
        words = "given"
    predictions = tuple(predict(rows, names, values, temperature, threshold))
    splits = yield from split_reports(predictions, names, seed)
    return Report(names, predictions, splits, temperature, threshold, words)


def split_reports(
    predictions: Sequence[SlidePrediction], classes: tuple[str, ...], seed: int
) -> Steps[dict[str, SplitReport]]:
    """Make a report for each split that has slides, in steps as `evaluation`."""
    reports = {}
    for name in SPLITS:
        if items := [item for item in predictions if item.split == name]:
            reports[name] = yield from _split(items, classes, seed)
    return reports


def _threshold(
    rows: Sequence[CohortRow], classes: tuple[str, ...], probabilities: NDArray[np.float64]
) -> tuple[float, str]:
    if len(classes) != 2:
        return EVEN, "the most probable of several classes"
    chosen = np.array([row.split == VALIDATION for row in rows], bool)
    labels = np.array([classes.index(row.label) for row in rows], np.intp)[chosen]
    threshold = choose_threshold(probabilities[chosen], labels)
    if threshold == EVEN:
        return EVEN, f"not adjusted: {len(labels)} validation slides are too few"
    return threshold, f"maximizes sensitivity + specificity on {len(labels)} validation slides"


def _split(
    items: Sequence[SlidePrediction], classes: tuple[str, ...], seed: int
) -> Steps[SplitReport]:
    truth = np.array([classes.index(item.label) for item in items], np.intp)
    calls = np.array([classes.index(item.predicted) for item in items], np.intp)
    chances, raw = probabilities_of(items), softmax(logits_of(items))
    patients = group_codes([item.patient for item in items])
    units, resampled = bootstrap_units(patients, "group")
    samples = yield from bootstrap(
        truth, chances, units, replicates=REPLICATES, seed=seed, predicted=calls
    )
    sensitivity, specificity = _rates(truth, calls, patients, classes)
    before, after = (reliability(values, truth, patients) for values in (raw, chances))
    number = len(np.unique(patients))
    return SplitReport(
        slides=len(items),
        patients=number,
        counts={name: Counter(item.label for item in items)[name] for name in classes},
        figures=intervals(samples, LEVEL, number),
        resampled=resampled,
        sensitivity=sensitivity,
        specificity=specificity,
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(truth, calls, len(classes))
        ),
        error_before=calibration_error(before),
        error_after=calibration_error(after),
        reliable_before=before,
        reliable_after=after,
        roc=_curves(truth, chances, classes),
    )


def _rates(
    truth: NDArray[np.intp],
    calls: NDArray[np.intp],
    patients: NDArray[np.intp],
    classes: tuple[str, ...],
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Return sensitivity and specificity of each class against the rest."""

    def share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> Interval:
        value = float(right[among].mean()) if among.any() else float("nan")
        # slides of one patient are not independent: they count as one
        return wilson(value, len(np.unique(patients[among])), LEVEL)

    numbers = {name: number for number, name in enumerate(classes)}
    sensitivity = {name: share(calls == n, truth == n) for name, n in numbers.items()}
    specificity = {name: share(calls != n, truth != n) for name, n in numbers.items()}
    return sensitivity, specificity


def _curves(
    truth: NDArray[np.intp], chances: NDArray[np.float64], classes: tuple[str, ...]
) -> dict[str, RocCurve]:
    """Return the curve of each class that some slides have and others not; of two, the second."""
    from sklearn.metrics import auc, roc_curve

    shown = range(1, 2) if len(classes) == 2 else range(len(classes))
    curves = {}
    for number in shown:
        own = truth == number
        if 0 < own.sum() < len(own):
            false, true, _ = roc_curve(own, chances[:, number])
            area = float(auc(false, true))
            curves[classes[number]] = RocCurve(
                tuple(map(float, false)), tuple(map(float, true)), area
            )
    return curves
