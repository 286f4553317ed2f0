"""Which class is predicted, given the probabilities; needs no torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

EVEN = 0.5
"""The threshold at which the more probable of two classes is predicted."""


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
