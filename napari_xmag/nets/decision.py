"""Which class is predicted, given the probabilities; needs no torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

EVEN = 0.5
"""The threshold at which the more probable of two classes is predicted."""

CLOSE_ODDS = 1.5
"""Odds within this factor of those of the threshold are too close to it to call."""


def predict_class(probabilities: ArrayLike, threshold: float = EVEN) -> NDArray[np.intp]:
    """Return the index of the class that is predicted.

    Parameters
    ----------
    probabilities
        Float (..., C), calibrated.
    threshold
        Of two classes, the second is predicted when its probability lies above it. Of more, the
        most probable one is predicted whatever the threshold.

    Returns
    -------
    Int (...).
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape[-1] != 2 or threshold == EVEN:
        return np.asarray(values.argmax(-1), dtype=np.intp)
    return np.asarray(values[..., 1] > threshold, dtype=np.intp)


def describe_decision(classes: Sequence[str], threshold: float) -> str:
    """Return for instance "malignant is predicted above 63 %"; nothing where the likeliest is."""
    if len(classes) != 2 or threshold == EVEN:
        return ""
    return f"{classes[1]} is predicted above {100 * threshold:.3g} %"


def uncertain_band(threshold: float = EVEN) -> tuple[float, float]:
    """Return the calibrated probabilities between which the second of two classes is uncertain.

    They are those whose odds lie within a factor of `CLOSE_ODDS` of the threshold's: 40 to 60 %
    around 50 %, and narrower towards 0 and 100 %, where a per cent means more.
    """
    odds = threshold / (1 - threshold)
    low, high = odds / CLOSE_ODDS, odds * CLOSE_ODDS
    return low / (1 + low), high / (1 + high)


def close_classes(probabilities: ArrayLike, threshold: float = EVEN) -> tuple[int, ...]:
    """Return the indices of the two classes that are too close to call; empty where none are.

    Parameters
    ----------
    probabilities
        Float (C,), calibrated.
    threshold
        Of two classes; see `predict_class`.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if len(values) == 2:
        low, high = uncertain_band(threshold)
        return (0, 1) if low < values[1] < high else ()
    first, second = (int(index) for index in np.argsort(-values, kind="stable")[:2])
    return (first, second) if values[first] < CLOSE_ODDS * values[second] else ()


def share_words(classes: Sequence[str], shares: Sequence[float]) -> str:
    """Return for instance "Tumor 61 %, Stroma 30 %, Not taught 9 % of the tissue"."""
    ranked = sorted(zip(classes, shares, strict=True), key=lambda item: -item[1])
    named = [f"{name} {100 * share:.0f} %" for name, share in ranked if share >= 0.005]
    return f"{', '.join(named)} of the tissue"
