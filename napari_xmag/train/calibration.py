"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599) on the validation slides."""

import numpy as np
from numpy.typing import ArrayLike

_HOTTEST = 20.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature ≥ 1 that makes the labels most likely.

    Few validation slides that are all right would drive the temperature towards zero and every
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
