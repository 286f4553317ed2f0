"""Texture at the scale of cells: tissue has it, ink and haze have not."""

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.resample import read_resampled

Mask = NDArray[np.bool_]

# Cells show at this pixel size; finer ones would only take longer to read.
CELL_MPP = 2.0
# Side of what is read around a place.
_SIDE_UM = 192.0
# Differences count against the mean of so many pixels around: about the size of a nucleus.
_NUCLEUS_PX = 9
_NOISE_PX = 3
# Fewer pixels than this say nothing.
_LEAST_PX = 150


def cell_texture(
    slide: Slide, region: Mask, scale: tuple[float, float], places: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Measure texture at the scale of cells.

    Parameters
    ----------
    region
        bool (H, W), a picture of the slide from its corner: only what lies in it counts.
    scale
        Level-0 pixels per pixel of the region, across and down.
    places
        int (N, 2), rows and columns of ``region`` to look around.

    Returns
    -------
    float (N,): root mean square of what stands out from its surroundings, in levels of the most
    textured colour; NaN where too little of the region was seen, or it could not be decoded. Glass
    and ink have up to about 2, tissue 4 and more.
    """
    return np.array([_texture(slide, region, scale, row, column) for row, column in places])


def _texture(
    slide: Slide, region: Mask, scale: tuple[float, float], row: int, column: int
) -> float:
    mpp = require_mpp(slide)
    side_x, side_y = _SIDE_UM / mpp.x, _SIDE_UM / mpp.y
    box = Box(
        (column + 0.5) * scale[0] - side_x / 2, (row + 0.5) * scale[1] - side_y / 2, side_x, side_y
    )
    columns = max(8, round(_SIDE_UM / max(CELL_MPP, mpp.x)))
    rows = max(8, round(_SIDE_UM / max(CELL_MPP, mpp.y)))
    x = ((np.arange(columns) + 0.5) * side_x / columns + box.x) / scale[0]
    y = ((np.arange(rows) + 0.5) * side_y / rows + box.y) / scale[1]
    counts = _inside(region, y, x)
    if counts.sum() < _LEAST_PX:
        return float("nan")
    try:
        pixels = read_resampled(slide, box, columns, rows)
    except TileReadError:
        return float("nan")
    return _stands_out(pixels, counts)


def _inside(region: Mask, y: NDArray[np.float64], x: NDArray[np.float64]) -> Mask:
    """Return which pixels of a picture lie in the region, bool (rows, columns)."""
    height, width = region.shape
    rows, columns = np.floor(y).astype(int), np.floor(x).astype(int)
    within = ((rows >= 0) & (rows < height))[:, None] & (columns >= 0) & (columns < width)
    inside = region[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
    return np.asarray(inside & within)


def _stands_out(pixels: NDArray[np.uint8], counts: Mask) -> float:
    from scipy.ndimage import uniform_filter

    most = 0.0
    for channel in range(3):
        plane = uniform_filter(pixels[..., channel].astype(np.float32), _NOISE_PX)
        # Against the mean of the region alone, so that its edge is no texture.
        inside = uniform_filter(counts.astype(np.float32), _NUCLEUS_PX)
        mean = uniform_filter(np.where(counts, plane, 0), _NUCLEUS_PX) / np.maximum(inside, 1e-3)
        most = max(most, float(np.sqrt(np.mean((plane - mean)[counts] ** 2))))
    return most
