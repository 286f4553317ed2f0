"""What the validation slides decide: temperature and threshold; and how calibrated a model is.

Temperature scaling and the expected calibration error are those of Guo et al. 2017,
arXiv 1706.04599; the threshold is the one of the largest Youden index (1950).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.nets.decision import EVEN
from napari_xmag.stats.metrics import Interval, wilson

_HOTTEST = 20.0
_FEWEST = 5
_BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Slides of about the same confidence: its mean, their accuracy, and how many there are."""

    confidence: float
    accuracy: float
    slides: int
    patients: int

    def accuracy_interval(self, level: float) -> Interval:
        """Return the accuracy with its Wilson interval; slides of one patient count as one."""
        return wilson(self.accuracy, self.patients, level)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature ≥ 1 that makes the labels most likely.

    Few validation slides that are all correct would drive the temperature towards zero and every
    probability to certainty, so probabilities are only ever softened.

    Parameters
    ----------
    logits
        Float (N, C) of the validation slides; none: 1.
    labels
        Int (N,).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    values = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(labels, dtype=np.intp)
    if len(truth) == 0:
        return 1.0
    rows = np.arange(len(truth))

    def surprise(log_temperature: float) -> float:
        scaled = values / np.exp(log_temperature)
        return -float(log_softmax(scaled, axis=1)[rows, truth].mean())

    best = minimize_scalar(surprise, bounds=(0.0, np.log(_HOTTEST)), method="bounded")
    # The search never touches its bounds; 1 itself may be the best.
    return 1.0 if surprise(0.0) <= best.fun else float(np.exp(best.x))


def choose_threshold(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the threshold that tells two classes apart best.

    It lies where sensitivity + specificity is largest (Youden 1950), in the
    middle, on the scale of logits, of the widest gap between slides where that is so. 0.5
    when there are fewer than five slides of a class, for then chance would choose it, or when
    nothing tells them apart.

    Parameters
    ----------
    probabilities
        Float (N, 2), calibrated, of the validation slides.
    labels
        Int (N,).
    """
    from scipy.special import expit, logit

    values, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.intp)
    counts = np.bincount(truth, minlength=2)
    if values.shape[-1] != 2 or counts.min() < _FEWEST:
        return EVEN
    # certainty has no logit
    scores = logit(np.clip(values[:, 1], 1e-6, 1 - 1e-6))
    edges = np.unique(scores)
    low, high = edges[:-1], edges[1:]
    if not len(low):
        return EVEN
    sensitivity = np.array([(scores[truth == 1] > cut).mean() for cut in low])
    specificity = np.array([(scores[truth == 0] <= cut).mean() for cut in low])
    index = sensitivity + specificity
    if index.max() <= 1:  # no better than predicting one class for all slides
        return EVEN
    best = np.isclose(index, index.max())
    widest = int(np.argmax(np.where(best, high - low, -np.inf)))
    return float(expit((low[widest] + high[widest]) / 2))


def reliability(
    probabilities: ArrayLike, labels: ArrayLike, patients: ArrayLike
) -> tuple[ReliabilityBin, ...]:
    """Return how often the most probable class is the true one, in ten bins of its probability.

    Bins without a slide are left out.

    Parameters
    ----------
    probabilities
        Float (N, C).
    labels
        Int (N,).
    patients
        Int (N,), equal for slides of one patient.
    """
    values, owners = np.asarray(probabilities, np.float64), np.asarray(patients)
    confidence, right = values.max(-1), values.argmax(-1) == np.asarray(labels)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return tuple(
        ReliabilityBin(
            float(confidence[bins == number].mean()),
            float(right[bins == number].mean()),
            int((bins == number).sum()),
            len(np.unique(owners[bins == number])),
        )
        for number in np.unique(bins)
    )


def calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy."""
    slides: NDArray[np.float64] = np.array([item.slides for item in bins], np.float64)
    gaps = np.array([abs(item.confidence - item.accuracy) for item in bins])
    return float((slides * gaps).sum() / slides.sum()) if len(bins) else float("nan")
