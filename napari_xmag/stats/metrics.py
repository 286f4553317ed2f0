"""Figures of a prediction and how sure they are, all from one weighted count.

A bootstrap replicate is a table of weights: how often each row was drawn. Every figure is computed
for many tables of weights at once; the plain figure is that of weights 1. Two predictions of the
same rows see the same draws, so their difference has an interval of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.progress.heartbeat import Steps

Floats = NDArray[np.float64]

FIGURES = ("auc", "accuracy", "balanced_accuracy", "f1")
"""AUC: one class against the rest, mean over classes; F1: mean over classes."""

LEAST_PATIENTS = 5
"""An interval of fewer patients would cover too little to be shown."""

# A block of weights takes a fraction of a second.
_CELLS_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the ends of its bootstrap interval; NaN where it cannot be had."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Three decimals, as for a table."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def figures(
    truth: ArrayLike,
    probabilities: ArrayLike,
    weights: ArrayLike,
    predicted: ArrayLike | None = None,
) -> dict[str, Floats]:
    """Return each of `FIGURES` for each table of weights.

    Parameters
    ----------
    truth
        Int (N,), class of each row.
    probabilities
        Float (N, C).
    weights
        Float (B, N), how often each row counts.
    predicted
        Int (N,), the predicted class of each row; None: the most probable one.

    Returns
    -------
    Float (B,) for each figure. AUC is NaN where a class of ``truth`` is not drawn, or only one
    class is there.
    """
    labels = np.asarray(truth, dtype=np.intp)
    scores = np.asarray(probabilities, dtype=np.float64)
    counts = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    calls = scores.argmax(1) if predicted is None else np.asarray(predicted, dtype=np.intp)
    confusion = _confusion(labels, calls, counts, scores.shape[1])
    hits = np.einsum("bcc->bc", confusion)
    actual, named = confusion.sum(2), confusion.sum(1)
    return {
        "auc": _macro_auc(labels, scores, counts),
        "accuracy": hits.sum(1) / counts.sum(1),
        "balanced_accuracy": _mean_ratio(hits, actual),
        "f1": _mean_ratio(2 * hits, actual + named),
    }


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return counts (C, C): row is the true class, column the predicted one."""
    labels, calls = np.asarray(truth, np.intp), np.asarray(predicted, np.intp)
    counts = _confusion(labels, calls, np.ones((1, len(labels))), classes)
    return np.asarray(counts[0], dtype=np.int64)


def wilson(share: float, number: int, level: float) -> Interval:
    """Return a share with its score interval (Wilson 1927), which is never empty.

    Parameters
    ----------
    share
        0 to 1; NaN or of nothing: an interval that cannot be had.
    number
        Independent things it was counted on.
    level
        Such as 0.95.
    """
    from scipy.stats import norm

    if not number or not np.isfinite(share):
        return Interval(float("nan"), float("nan"), float("nan"))
    z = float(norm.ppf((1 + level) / 2))
    half = z * np.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2)
    scale, middle = 1 + z**2 / number, share + z**2 / (2 * number)
    low, high = (middle - half) / scale, (middle + half) / scale
    return Interval(float(share), max(float(low), 0.0), min(float(high), 1.0))


def _confusion(
    truth: NDArray[np.intp], predicted: NDArray[np.intp], weights: Floats, classes: int
) -> Floats:
    """Return counts (B, C, C): row is the true class, column the predicted one."""
    cell = np.zeros((len(truth), classes * classes))
    cell[np.arange(len(truth)), truth * classes + predicted] = 1
    counts: Floats = (weights @ cell).reshape(-1, classes, classes)
    return counts


def _mean_ratio(upper: Floats, lower: Floats) -> Floats:
    """Return the mean over classes of a ratio, without the classes that nothing belongs to."""
    there = lower > 0
    ratio = np.divide(upper, lower, out=np.zeros_like(upper), where=there)
    mean: Floats = ratio.sum(1) / np.maximum(there.sum(1), 1)
    return mean


def _macro_auc(truth: NDArray[np.intp], scores: Floats, weights: Floats) -> Floats:
    present = np.unique(truth)
    if len(present) < 2:
        return np.full(len(weights), np.nan)
    areas = [_auc(truth == index, scores[:, index], weights) for index in present]
    mean: Floats = np.mean(areas, axis=0)
    return mean


def _auc(positive: NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """Share of (positive, negative) pairs in the right order; a tie counts half."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    ranked = weights[:, order]
    here = positive[order]
    ups = np.add.reduceat(ranked * here, starts, axis=1)
    downs = np.add.reduceat(ranked * ~here, starts, axis=1)
    below = np.cumsum(downs, axis=1) - downs
    pairs = ups.sum(1) * downs.sum(1)
    right = (ups * (below + downs / 2)).sum(1)
    area: Floats = np.divide(right, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
    return area


def bootstrap_weights(
    units: NDArray[np.intp], replicates: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Yield bootstrap weights (b, N) in blocks, ``replicates`` rows in all.

    Parameters
    ----------
    units
        Int (N,), 0 … U-1: rows of one unit are drawn together. As many units are drawn, with
        replacement, as there are.
    seed
        The same seed and units give the same draws.
    """
    draw = np.random.default_rng(seed)
    number = int(units.max()) + 1
    block = max(1, _CELLS_AT_ONCE // max(len(units), number))
    for done in range(0, replicates, block):
        size = min(block, replicates - done)
        yield draw.multinomial(number, np.full(number, 1 / number), size=size)[:, units]


def bootstrap(
    truth: ArrayLike,
    probabilities: ArrayLike,
    units: NDArray[np.intp],
    *,
    replicates: int,
    seed: int,
    predicted: ArrayLike | None = None,
) -> Steps[dict[str, Floats]]:
    """Compute each figure of the rows, and of ``replicates`` bootstrap resamples of them.

    Yields
    ------
    How many more resamples are done.

    Returns
    -------
    Float (1 + replicates,) for each figure: the plain one first.
    """
    rows = len(np.asarray(truth))
    parts = [figures(truth, probabilities, np.ones((1, rows)), predicted)]
    for weights in bootstrap_weights(units, replicates, seed):
        parts.append(figures(truth, probabilities, weights, predicted))
        yield len(weights)
    return {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}


def mean_samples(samples: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return the mean of several runs, replicate by replicate."""
    return {name: np.mean([sample[name] for sample in samples], axis=0) for name in FIGURES}


def interval(samples: Floats, level: float, patients: int | None = None) -> Interval:
    """Return the first sample with the percentile interval of the others that could be had.

    Parameters
    ----------
    patients
        How many there are, where that is known: an interval of fewer than `LEAST_PATIENTS` would
        cover too little, and is not given.
    """
    value, rest = float(samples[0]), samples[1:]
    few = patients is not None and patients < LEAST_PATIENTS
    rest = rest[np.isfinite(rest)]
    if few or not len(rest) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(rest, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def intervals(
    samples: Mapping[str, Floats], level: float, patients: int | None = None
) -> dict[str, Interval]:
    """Return every figure with its interval; see `interval`."""
    return {name: interval(samples[name], level, patients) for name in FIGURES}


def difference(
    samples: Mapping[str, Floats], reference: Mapping[str, Floats], level: float
) -> dict[str, Interval]:
    """Return how far each figure lies above that of a reference on the same rows and draws."""
    return {name: interval(samples[name] - reference[name], level) for name in FIGURES}


def slide_metrics(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Return the number of slides and each of `FIGURES`, without intervals.

    Parameters
    ----------
    labels
        Int (N,), class of each slide.
    probabilities
        Float (N, C).
    """
    slides = len(np.asarray(labels))
    found = figures(labels, probabilities, np.ones((1, slides)))
    return {"slides": float(slides)} | {name: float(found[name][0]) for name in FIGURES}


def mean(values: Sequence[float]) -> float:
    """Return the mean of those values that could be had; NaN of none."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def standard_deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of those values that could be had; NaN of fewer than two."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")
