"""Colours of pictures that leave the program."""

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.heatmap import HeatMapView

# Anchors of the "turbo" colour map (Mikhailov 2019) without its dark ends, under which tissue would
# vanish: blue is cold, red is hot.
_TURBO = np.array(
    [
        (69, 91, 205),
        (62, 156, 254),
        (24, 214, 203),
        (70, 248, 132),
        (162, 252, 60),
        (225, 221, 55),
        (254, 164, 49),
        (239, 89, 17),
        (195, 36, 3),
    ],
    np.float64,
)

# Blue, grey, red: evidence against and for a class.
_DIVERGING = np.array(
    [(33, 76, 168), (110, 153, 220), (221, 221, 221), (226, 128, 104), (170, 20, 34)], np.float64
)

ATTENTION_COLOR = (255, 160, 40)
"""Of a channel of attention, in programs that mix channels by colour."""


def heat_colors(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return RGB (..., 3) for values from 0 (cold) to 1 (hot)."""
    return _colors(values, _TURBO)


def diverging_colors(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return RGB (..., 3) for values from -1 (against) to 1 (for)."""
    return _colors((np.asarray(values) + 1) / 2, _DIVERGING)


EVIDENCE_SCALE = 10.0
"""The score that a slide would have if each of its patches had the strongest colour."""


def map_limits(
    view: HeatMapView, values: NDArray[np.floating], *, is_shares: bool = False
) -> tuple[float, float]:
    """Return the values at both ends of the colours.

    The scale of evidence is the same for all slides: `EVIDENCE_SCALE`, shared out among the
    patches, so that the mean colour of a map is the score of its slide.

    Parameters
    ----------
    values
        Of all patches; those that have none yet are NaN.
    is_shares
        Whether the score is a part of the tissue, as of a model that examples taught.
    """
    if view is HeatMapView.RANK:
        return 0.0, 1.0
    known = values[np.isfinite(values)]
    if view is HeatMapView.EVIDENCE:
        top = evidence_scale(is_shares=is_shares) / max(1, known.size)
        return -top, top
    return 0.0, float(known.max()) if known.size and known.max() > 0 else 1.0


def evidence_scale(*, is_shares: bool) -> float:
    """Return the score at the ends of the colours of evidence."""
    return 1.0 if is_shares else EVIDENCE_SCALE


def _colors(values: NDArray[np.floating], anchors: NDArray[np.float64]) -> NDArray[np.uint8]:
    places = np.linspace(0, 1, len(anchors))
    channels = [np.interp(values, places, anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
