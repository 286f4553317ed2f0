"""The range of a few slides, which alone do not show how much slides differ; needs no torch."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.nets.info import TrainingRange

_PARTS = 8


def slides_range(
    features: Sequence[ArrayLike], places: Sequence[NDArray[np.float64]]
) -> TrainingRange | None:
    """Return the range of the slides that a model learned from.

    With fewer than eight, compact parts of them, eight or a few more in all, stand for slides:
    tissue of one slide differs from place to place, too. What this finds is in docs/trials.md.

    Parameters
    ----------
    features
        Float (P, D) of the patches of each slide.
    places
        Float (P, 2), where each of them lies, in pixels.

    Returns
    -------
    None where there is no slide, or one has fewer patches than parts.
    """
    count = ceil(_PARTS / len(features)) if features else 0
    if not features or min(map(len, places)) < count:
        return None
    parts = [
        np.asarray(of_slide)[rows]
        for of_slide, at in zip(features, places, strict=True)
        for rows in compact_parts(at, count)
    ]
    return replace(TrainingRange.fit(parts), slides=len(features))


def compact_parts(places: NDArray[np.float64], count: int) -> list[NDArray[np.int64]]:
    """Divide places into parts of nearly one size, each compact: the largest is halved across.

    Parameters
    ----------
    places
        Float (P, 2).
    count
        At most P.

    Returns
    -------
    Indices of the places of each part, int64.
    """
    parts = [np.arange(len(places))]
    while len(parts) < count:
        largest = parts.pop(max(range(len(parts)), key=lambda number: len(parts[number])))
        axis = int(np.ptp(places[largest], axis=0).argmax())
        across = largest[np.argsort(places[largest, axis], kind="stable")]
        half = len(across) // 2
        parts += [across[:half], across[half:]]
    return parts
