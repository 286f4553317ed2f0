"""Texture at the scale of cells: tissue has it, ink and haze have not."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.resample import read_resampled
from napari_xmag.slide.tissue.areas import shrunk

Mask = NDArray[np.bool_]

# Cells show at this pixel size; finer ones would only take longer to read.
CELL_MPP = 2.0
# Side of what is read around a place.
_SIDE_UM = 144.0
# Differences count against the mean of so many pixels around: about the size of a nucleus.
_NUCLEUS_PX = 9
_NOISE_PX = 3
# Where less than this part of what was read counts, it says nothing.
_LEAST_SEEN = 0.05
_LEAST_SIDE = 16
# Places that are looked at in an area.
_PLACES = 5


@dataclass(frozen=True, eq=False)
class Region:
    """Part of a slide, as a mask.

    Attributes
    ----------
    pixels
        bool (H, W).
    top, left
        Where the mask begins, in its own pixels from the slide's corner.
    scale_x, scale_y
        Level-0 pixels per pixel.
    """

    pixels: Mask
    top: int
    left: int
    scale_x: float
    scale_y: float

    def contains(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
        """Return which points of a grid lie in the region, bool (len(y), len(x)).

        ``x`` and ``y`` are level-0 pixels.
        """
        height, width = self.pixels.shape
        rows = np.floor(y / self.scale_y).astype(int) - self.top
        columns = np.floor(x / self.scale_x).astype(int) - self.left
        within = ((rows >= 0) & (rows < height))[:, None] & (columns >= 0) & (columns < width)
        inside = self.pixels[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
        return np.asarray(inside & within)


def cell_texture(slide: Slide, region: Region, row: int, column: int) -> float | None:
    """Measure texture at the scale of cells around a pixel of a region.

    Parameters
    ----------
    region
        Only what lies in it counts.

    Returns
    -------
    Root mean square of what stands out from its surroundings, in levels of the most textured
    colour: glass and ink have up to about 2, tissue 4 and more. None where too little of the region
    was seen, or it could not be decoded.
    """
    mpp = require_mpp(slide)
    width, height = _SIDE_UM / mpp.x, _SIDE_UM / mpp.y
    box = Box(
        (region.left + column + 0.5) * region.scale_x - width / 2,
        (region.top + row + 0.5) * region.scale_y - height / 2,
        width,
        height,
    )
    columns = max(_LEAST_SIDE, round(_SIDE_UM / max(CELL_MPP, mpp.x)))
    rows = max(_LEAST_SIDE, round(_SIDE_UM / max(CELL_MPP, mpp.y)))
    counts = region.contains(
        (np.arange(columns) + 0.5) * width / columns + box.x,
        (np.arange(rows) + 0.5) * height / rows + box.y,
    )
    if counts.mean() < _LEAST_SEEN:
        return None
    try:
        pixels = read_resampled(slide, box, columns, rows)
    except TileReadError:
        return None
    return _standing_out(pixels, counts)


def spread_places(area: Mask) -> list[tuple[int, int]]:
    """Return rows and columns of five places all over an area, bool (H, W).

    They lie as far from its edge as it is wide enough for, the middle first.
    """
    for margin in (3, 2, 1, 0):
        inside = np.flatnonzero(shrunk(area, margin))
        if len(inside) >= _PLACES:
            break
    # From the middle on: the ends of a stroke are the least certain.
    parts = (np.array([2, 1, 3, 0, 4]) + 0.5) / _PLACES
    chosen = np.unravel_index(inside[(parts * len(inside)).astype(int)], area.shape)
    return [(int(row), int(column)) for row, column in zip(*chosen, strict=True)]


def _standing_out(pixels: NDArray[np.uint8], counts: Mask) -> float:
    from scipy.ndimage import uniform_filter

    # Against the mean of the region alone, so that its edge is no texture.
    inside = np.maximum(uniform_filter(counts.astype(np.float32), _NUCLEUS_PX), 1e-3)
    most = 0.0
    for channel in range(3):
        plane = uniform_filter(pixels[..., channel].astype(np.float32), _NOISE_PX)
        mean = uniform_filter(np.where(counts, plane, 0), _NUCLEUS_PX) / inside
        most = max(most, float(np.mean((plane - mean)[counts] ** 2)))
    return math.sqrt(most)
