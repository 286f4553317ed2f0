"""A picture of the whole slide, small enough to think about."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_xmag.cores import in_threads
from napari_xmag.errors import TileReadError, TissueError
from napari_xmag.geometry import Box, Level
from napari_xmag.memory import out_of_memory
from napari_xmag.slide.base import KnowsGaps, ShowsScanned, Slide
from napari_xmag.slide.damage import read_past_damage
from napari_xmag.slide.resample import finer_level, read_resampled

_Block = tuple[slice, slice]
"""Rows and columns of the overview."""

OVERVIEW_MPP = 8.0
# A slide of more pixels than this, over 5 × 4 cm, is seen at coarser ones: memory stays bounded.
MOST_PIXELS = 2**25
# Of a slide without coarse levels so many pixels are read for an overview: some minutes.
MOST_SOURCE_PIXELS = 2**34
# Without mpp the longer side is made this long.
OVERVIEW_PX = 2048
# Read in blocks of so many source pixels a side: memory stays flat for single-level slides.
_SOURCE_PX = 2048
# What cannot be read is narrowed down to places of this size, in pixels of the overview.
_SMALLEST_PX = 16
# Below this brightness (0 to 255, the brightest colour) nothing was scanned, or nothing can be
# seen; nuclei averaged over 8 µm never get there.
BLACK = 30


@dataclass(frozen=True, eq=False)
class Overview:
    """The whole slide at about 8 µm per pixel.

    Attributes
    ----------
    pixels
        uint8 (H, W, 3).
    usable
        bool (H, W), True where something was scanned and can be read: within the bounds, not
        transparent, not black.
    unreadable
        bool (H, W), True where the file is damaged.
    scale_x, scale_y
        Level-0 pixels per pixel.
    """

    pixels: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    scale_x: float
    scale_y: float
    unreadable: NDArray[np.bool_]


def extremes(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the darkest and the brightest colour of each pixel, uint8 (H, W) each."""
    red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
    darkest = np.minimum(np.minimum(red, green), blue)
    return darkest, np.maximum(np.maximum(red, green), blue)


def overview_size(slide: Slide) -> tuple[int, int]:
    """Return (width, height) of the overview, in pixels; never more than about `MOST_PIXELS`."""
    base = slide.levels[0]
    if slide.mpp is None:
        scale = max(1.0, max(base.width, base.height) / OVERVIEW_PX)
        return max(1, round(base.width / scale)), max(1, round(base.height / scale))
    # Where pixels are coarser than that, a finer picture would hold no more than they do.
    width = base.width * min(1.0, slide.mpp.x / OVERVIEW_MPP)
    height = base.height * min(1.0, slide.mpp.y / OVERVIEW_MPP)
    shrink = max(1.0, math.sqrt(width * height / MOST_PIXELS))
    width, height = width / shrink, height / shrink
    return max(1, round(width)), max(1, round(height))


def read_overview(slide: Slide) -> Overview:
    """Read the whole slide at about 8 µm per pixel, block by block, past what is damaged.

    Raises
    ------
    TissueError
        When far too many pixels would have to be read for it.
    """
    drawing = _Drawing.of(slide)
    crowded: list[_Block] = []

    def among_others(place: _Block) -> None:
        try:
            drawing.draw(place, partial(_unless_full, drawing.read))
        except MemoryError:
            crowded.append(place)

    in_threads(among_others, drawing.places())
    for place in crowded:  # alone, each has all the memory there is
        drawing.draw(place, drawing.read)
    return drawing.done()


@dataclass(frozen=True, eq=False)
class _Drawing:
    """An overview in the making, drawn in blocks that threads share; see `Overview`."""

    slide: Slide
    level: Level
    scale_x: float
    scale_y: float
    pixels: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]

    @classmethod
    def of(cls, slide: Slide) -> Self:
        """Return an empty one, or refuse a slide of which far too much would have to be read."""
        width, height = overview_size(slide)
        base = slide.levels[0]
        scale_x, scale_y = base.width / width, base.height / height
        level = finer_level(slide.levels, min(scale_x, scale_y))
        _require_bounded(slide, level)
        usable, unreadable = (np.zeros((height, width), bool) for _ in range(2))
        pixels = np.empty((height, width, 3), np.uint8)
        return cls(slide, level, scale_x, scale_y, pixels, usable, unreadable)

    def places(self) -> Iterator[_Block]:
        """Yield the blocks, as rows and columns."""
        height, width = self.usable.shape
        side = max(16, int(_SOURCE_PX * self.level.downsample / max(self.scale_x, self.scale_y)))
        for top in range(0, height, side):
            for left in range(0, width, side):
                yield slice(top, min(top + side, height)), slice(left, min(left + side, width))

    def read(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Return uint8 (height, width, 4): colours, and 1 where something was scanned."""
        slide, level = self.slide, self.level.index
        scale_x, scale_y = self.scale_x, self.scale_y
        box = Box(x * scale_x, y * scale_y, width * scale_x, height * scale_y)
        if isinstance(slide, KnowsGaps) and slide.is_empty(box, level):
            glass = np.array((*slide.background, 0), np.uint8)
            return glass + np.zeros((height, width, 1), np.uint8)
        scanned = _scanned(slide, box, width, height, level)
        return np.dstack([read_resampled(slide, box, width, height), scanned.astype(np.uint8)])

    def draw(self, place: _Block, read: Callable[..., NDArray[np.uint8]]) -> None:
        """Fill a block with what ``read`` returns of it, past what is damaged."""
        rows, columns = place
        x, y, width, height = (
            columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start,
        )  # fmt: skip
        seen, lost = read_past_damage(read, x, y, width, height, _SMALLEST_PX, channels=4)
        self.pixels[place], self.usable[place] = seen[..., :3], seen[..., 3] > 0
        self.unreadable[place] = lost

    def done(self) -> Overview:
        """Return the overview, once all blocks are drawn."""
        self.pixels[self.unreadable] = self.slide.background
        inside = _within_bounds(self.slide, *self.usable.shape)
        usable = self.usable & (extremes(self.pixels)[1] > BLACK) & inside
        return Overview(self.pixels, usable, self.scale_x, self.scale_y, self.unreadable)


def _unless_full(read: Callable[..., NDArray[np.uint8]], *box: int) -> NDArray[np.uint8]:
    """Read, but do not call damaged what memory was too short for.

    Raises
    ------
    MemoryError
        When it was.
    """
    try:
        return read(*box)
    except TileReadError as error:
        if out_of_memory(error):
            raise MemoryError from error
        raise


def _require_bounded(slide: Slide, level: Level) -> None:
    whole = level.width * level.height
    held = slide.held_pixels(level.index) if isinstance(slide, KnowsGaps) else whole
    if min(whole, held) > MOST_SOURCE_PIXELS:
        raise TissueError(
            expected=f"a level of {MOST_SOURCE_PIXELS:,} pixels or fewer to find the tissue on",
            found=f"{level.width:,}×{level.height:,} pixels in {slide.path.name}",
            hint="Convert the slide to a pyramidal TIFF (for instance with QuPath or vips).",
        )


def _scanned(slide: Slide, box: Box, width: int, height: int, level: int) -> NDArray[np.bool_]:
    """Return which overview pixels have their centre on something scanned."""
    if not isinstance(slide, ShowsScanned):
        return np.ones((height, width), bool)
    try:
        scanned = slide.scanned(box, level)
    except TileReadError:
        # Damage: reading the pixels tells whether a finer level has them.
        return np.ones((height, width), bool)
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
