"""A picture of the whole slide, small enough to think about."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.geometry import Box
from napari_xmag.slide.base import ShowsScanned, Slide
from napari_xmag.slide.resample import finer_level, read_resampled

OVERVIEW_MPP = 8.0
# Without mpp the longer side is made this long.
OVERVIEW_PX = 2048
# Read in blocks of so many source pixels a side: memory stays flat for single-level slides.
_SOURCE_PX = 2048
# Below this brightness (0 to 255, the brightest colour) nothing was scanned, or nothing can be
# seen; nuclei averaged over 8 µm never get there.
BLACK = 30
# Glass is bright and nearly grey.
_GLASS_BRIGHTNESS = 190
_GLASS_CHROMA = 28
_GLASS_LEAST = 0.002


@dataclass(frozen=True, eq=False)
class Overview:
    """The whole slide at about 8 µm per pixel.

    Attributes
    ----------
    pixels
        uint8 (H, W, 3).
    usable
        bool (H, W), True where something was scanned: within the bounds, not transparent,
        not black.
    scale_x, scale_y
        Level-0 pixels per pixel.
    """

    pixels: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    scale_x: float
    scale_y: float

    def glass(self) -> NDArray[np.float32]:
        """Return the colour of glass, float (3,); white where the slide shows none."""
        brightest, darkest = self.pixels.max(axis=2), self.pixels.min(axis=2)
        bright = self.usable & (darkest > _GLASS_BRIGHTNESS)
        bright &= (brightest - darkest) < _GLASS_CHROMA
        if bright.sum() < _GLASS_LEAST * max(1, self.usable.sum()):
            return np.full(3, 255, np.float32)
        candidates = self.pixels[bright].astype(np.float32)
        light = candidates.sum(axis=1)
        # Pale tissue is darker than glass: the brighter half decides.
        colour = np.median(candidates[light >= np.median(light)], axis=0)
        return np.asarray(colour, np.float32)

    def saturation(self) -> NDArray[np.float32]:
        """Return colourfulness with glass as white, float (H, W), 0 to 1."""
        light = np.clip(self.pixels / self.glass(), 0, 1)
        brightest = light.max(axis=2)
        return np.asarray((brightest - light.min(axis=2)) / np.maximum(brightest, 0.05), np.float32)

    def hsv(self) -> NDArray[np.float32]:
        """Return hue, saturation and value, float (H, W, 3), each 0 to 1."""
        from skimage.color import rgb2hsv

        return np.asarray(rgb2hsv(self.pixels), np.float32)


def overview_size(slide: Slide) -> tuple[int, int]:
    """Return (width, height) of the overview, in pixels."""
    base = slide.levels[0]
    if slide.mpp is None:
        scale = max(1.0, max(base.width, base.height) / OVERVIEW_PX)
        return max(1, round(base.width / scale)), max(1, round(base.height / scale))
    width = base.width * slide.mpp.x / OVERVIEW_MPP
    height = base.height * slide.mpp.y / OVERVIEW_MPP
    return max(1, round(width)), max(1, round(height))


def read_overview(slide: Slide) -> Overview:
    """Read the whole slide at about 8 µm per pixel, block by block.

    Raises
    ------
    TileReadError
        When a part cannot be decoded.
    """
    width, height = overview_size(slide)
    base = slide.levels[0]
    scale_x, scale_y = base.width / width, base.height / height
    pixels = np.empty((height, width, 3), np.uint8)
    usable = np.zeros((height, width), bool)
    level = finer_level(slide.levels, min(scale_x, scale_y))
    side = max(16, int(_SOURCE_PX * level.downsample / max(scale_x, scale_y)))
    for rows, columns in _blocks(height, width, side):
        box = Box(
            columns.start * scale_x,
            rows.start * scale_y,
            (columns.stop - columns.start) * scale_x,
            (rows.stop - rows.start) * scale_y,
        )
        size = columns.stop - columns.start, rows.stop - rows.start
        pixels[rows, columns] = read_resampled(slide, box, *size)
        usable[rows, columns] = _scanned(slide, box, *size, level.index)
    usable &= (pixels.max(axis=2) > BLACK) & _within_bounds(slide, height, width)
    return Overview(pixels, usable, scale_x, scale_y)


def _blocks(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield (
                slice(top, min(top + side, height)),
                slice(left, min(left + side, width)),
            )


def _scanned(slide: Slide, box: Box, width: int, height: int, level: int) -> NDArray[np.bool_]:
    """Return which overview pixels have their centre on something scanned."""
    if not isinstance(slide, ShowsScanned):
        return np.ones((height, width), bool)
    scanned = slide.scanned(box, level)
    rows = ((np.arange(height) + 0.5) * scanned.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * scanned.shape[1] / width).astype(int)
    return scanned[np.ix_(rows, columns)]


def _within_bounds(slide: Slide, height: int, width: int) -> NDArray[np.bool_]:
    base, bounds = slide.levels[0], slide.bounds
    inside = np.zeros((height, width), bool)
    left, right = (math.floor(x * width / base.width + 0.5) for x in (bounds.x, bounds.right))
    top, bottom = (math.floor(y * height / base.height + 0.5) for y in (bounds.y, bounds.bottom))
    inside[max(0, top) : bottom, max(0, left) : right] = True
    return inside
