"""Slide-level figures: how often right, and how well ranked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def slide_metrics(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]
) -> dict[str, float]:
    """Return figures of one split.

    Parameters
    ----------
    labels
        Int (N,), index into ``classes``.
    probabilities
        Float (N, C).

    Returns
    -------
    slides, accuracy, balanced_accuracy and auc (one class against the rest, mean over classes);
    auc is NaN when only one class is present.
    """
    truth = np.asarray(labels, dtype=np.intp)
    scores = np.asarray(probabilities, dtype=np.float64)
    right = scores.argmax(1) == truth
    recalls = [right[truth == index].mean() for index in np.unique(truth)]
    return {
        "slides": float(len(truth)),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "auc": macro_auc(truth, scores, len(classes)),
    }


def macro_auc(truth: NDArray[np.intp], scores: NDArray[np.float64], classes: int) -> float:
    """Return the mean over present classes of the area under the one-against-rest ROC curve."""
    from sklearn.metrics import roc_auc_score

    present = [index for index in range(classes) if 0 < (truth == index).sum() < len(truth)]
    if not present:
        return float("nan")
    areas = [roc_auc_score(truth == index, scores[:, index]) for index in present]
    return float(np.mean(areas))
