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
    tissue of one slide differs from place to place, too. What this finds is in docs/trials.md. No
    part is smaller than two patches, or it would differ from the others by chance alone.

    Parameters
    ----------
    features
        Float (P, D) of the patches of each slide.
    places
        Float (P, 2), where each of them lies, in pixels.

    Returns
    -------
    None where there is too little to tell: no slide, one or two with too few patches for eight
    parts, or parts that do not differ at all.
    """
    parts = [
        _Part(of_slide, rows)
        for of_slide, at in zip(features, places, strict=True)
        if len(at)
        for rows in compact_parts(at, min(ceil(_PARTS / len(features)), max(1, len(at) // 2)))
    ]
    if len(parts) < (_PARTS if len(features) < _ENOUGH_SLIDES else _ENOUGH_SLIDES):
        return None
    found = TrainingRange.fit(parts)
    return replace(found, slides=len(features)) if found.limit > 0 else None


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
    """Divide places into compact parts of one size, or one more: across, again and again.

    Parameters
    ----------
    places
        Float (P, 2).
    count
        1 to P.

    Returns
    -------
    Indices of the places of each part, int64.
    """
    if count == 1:
        return [np.arange(len(places))]
    order = np.argsort(places[:, np.ptp(places, axis=0).argmax()], kind="stable")
    first = count // 2
    cut = len(places) * first // count
    return [
        half[part]
        for half, parts in ((order[:cut], first), (order[cut:], count - first))
        for part in compact_parts(places[half], parts)
    ]
