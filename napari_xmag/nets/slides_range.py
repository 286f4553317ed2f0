"""The range of a few slides, which alone do not show how much slides differ; needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_xmag.nets.info import TrainingRange

_PARTS = 8
_ENOUGH_SLIDES = 3


def slides_range(
    features: Sequence[ArrayLike], places: Sequence[NDArray[np.float64]]
) -> TrainingRange | None:
    """Return the range of the slides that a model learned from.

    With fewer than eight, compact parts of them, eight or a few more in all, stand for slides:
    tissue of one slide differs from place to place, too. What this finds is in docs/trials.md. A
    slide of fewer patches than parts is as many parts as it has patches.

    Parameters
    ----------
    features
        Float (P, D) of the patches of each slide.
    places
        Float (P, 2), where each of them lies, in pixels.

    Returns
    -------
    None where there is no slide, or one or two have too few patches for eight parts.
    """
    parts = [
        _Part(of_slide, rows)
        for of_slide, at in zip(features, places, strict=True)
        if len(at)
        for rows in compact_parts(at, min(ceil(_PARTS / len(features)), len(at)))
    ]
    if len(parts) < (_PARTS if len(features) < _ENOUGH_SLIDES else _ENOUGH_SLIDES):
        return None
    return replace(TrainingRange.fit(parts), slides=len(features))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some patches of a slide, read where they are asked for: all slides may not fit in memory."""

    features: ArrayLike
    rows: NDArray[np.int64]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.floating]:
        return np.asarray(self.features, dtype)[self.rows]


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
