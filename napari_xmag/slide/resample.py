"""A level-0 box at any pixel size: the nearest finer level, resampled without aliasing."""

import math
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box, Level
from napari_xmag.slide.base import Slide

# Levels of factor 4 are often stated as 4.0007: still the finer one for a tile of factor 4.
TOLERANCE = 0.01
# Bicubic keeps a feature's place to a fraction of a pixel at any scale (box and Hamming filters,
# though faster, shift it by up to a third) and is nearly as sharp as Lanczos.
FILTER = Image.Resampling.BICUBIC
# Shrinking by more than twice this goes through an exact average of whole blocks first.
REDUCING_GAP = 2.0
# A finer level stands in for a damaged one where that takes no more than so many of its pixels.
_LARGEST_DETOUR = 2**24
# So many output pixels beyond the edge take part in the outermost ones.
_SUPPORT = 2


def finer_level(levels: tuple[Level, ...], downsample: float) -> Level:
    """Return the coarsest level that is at least as fine as ``downsample``."""
    most = downsample * (1 + TOLERANCE)
    fine = [level for level in levels if max(level.downsample_x, level.downsample_y) <= most]
    return max(fine, key=lambda level: level.downsample, default=levels[0])


def read_resampled(slide: Slide, box: Box, width: int, height: int) -> NDArray[np.uint8]:
    """Read a box as a picture of a given size.

    Parameters
    ----------
    box
        Level-0 pixels; its edges may lie between pixels, and are kept exactly.
    width, height
        Size of the picture in pixels.

    Returns
    -------
    uint8 array (height, width, 3).

    Raises
    ------
    TileReadError
        When the slide cannot be decoded there: neither on that level nor, as far as that is
        quick, on a finer one.
    """
    level = finer_level(slide.levels, min(box.width / width, box.height / height))
    try:
        return _from_level(slide, level, box, width, height, _SUPPORT)
    except TileReadError as error:
        # The damage may lie in the margin only, or only on this level.
        for finer in reversed(slide.levels[: level.index + 1]):
            if box.width * box.height / finer.downsample**2 > _LARGEST_DETOUR:
                break
            with suppress(TileReadError):
                return _from_level(slide, finer, box, width, height, 0)
        raise error


def _from_level(
    slide: Slide, level: Level, box: Box, width: int, height: int, support: int
) -> NDArray[np.uint8]:
    """Read a box from one level, with so many output pixels beyond its edges."""
    scale_x, scale_y = level.downsample_x, level.downsample_y
    left, right, x0, columns = _span(box.x / scale_x, box.right / scale_x, width, support)
    top, bottom, y0, rows = _span(box.y / scale_y, box.bottom / scale_y, height, support)
    pixels = slide.read(level.box(x0, y0, columns, rows), level.index)
    if (left, top, columns, rows) == (0, 0, width, height) and right == width and bottom == height:
        return pixels
    crop = (left, top, right, bottom)
    image = Image.fromarray(pixels)
    return np.array(image.resize((width, height), FILTER, box=crop, reducing_gap=REDUCING_GAP))


def _span(start: float, end: float, size: int, support: int) -> tuple[float, float, int, int]:
    """Return one axis of a crop: its edges within the pixels to read, their start and number."""
    if math.isclose(start, round(start), abs_tol=1e-6) and math.isclose(end - start, size):
        return 0.0, float(size), round(start), size
    margin = math.ceil(support * max(1.0, (end - start) / size))
    # Rounding must not reach for a pixel beyond an edge that lies between two.
    first = math.floor(start + 1e-6) - margin
    number = math.ceil(end - 1e-6) + margin - first
    return max(0.0, start - first), min(float(number), end - first), first, number
