"""Past damage: what of a slide can be read is read, and what cannot is marked."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import SlideOpenError, TileReadError
from napari_xmag.geometry import Box, Level
from napari_xmag.slide.base import Slide
from napari_xmag.slide.resample import read_resampled
from napari_xmag.slide.segments import SegmentLevel

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Stripes that no tissue and no glass can be mistaken for, whatever the zoom.
_STRIPE_PX = 8
_STRIPES = ((120, 120, 120), (200, 200, 200))
# What cannot be read of a picture is narrowed down to places of this size, in its pixels.
_SMALLEST_PX = 16


def read_past_damage(
    read: Callable[[int, int, int, int], Pixels],
    x: int,
    y: int,
    width: int,
    height: int,
    smallest: int,
    channels: int = 3,
) -> tuple[Pixels, Mask]:
    """Read a rectangle in ever smaller parts where it cannot be read as a whole.

    Parameters
    ----------
    read
        Reads (x, y, width, height) as uint8 (height, width, channels); may raise TileReadError.
    smallest
        Parts of no more than so many pixels a side are not split further.
    channels
        Of what is read.

    Returns
    -------
    The pixels, zero where nothing can be read, and bool (height, width), True there.
    """
    try:
        return read(x, y, width, height), np.zeros((height, width), bool)
    except TileReadError:
        if max(width, height) <= smallest:
            return np.zeros((height, width, channels), np.uint8), np.ones((height, width), bool)
    across = width >= height
    near = (width if across else height) // 2
    if across:
        boxes = (x, y, near, height), (x + near, y, width - near, height)
    else:
        boxes = (x, y, width, near), (x, y + near, width, height - near)
    parts = [read_past_damage(read, *box, smallest, channels) for box in boxes]
    pixels, unreadable = zip(*parts, strict=True)
    axis = 1 if across else 0
    return np.concatenate(pixels, axis), np.concatenate(unreadable, axis)


def picture_of_box(slide: Slide, box: Box, width: int, height: int) -> tuple[Pixels, Mask]:
    """Read a box as a picture of a given size, past what is damaged.

    Parameters
    ----------
    box
        Level-0 pixels.
    width, height
        Size of the picture in pixels.

    Returns
    -------
    The pixels, uint8 (height, width, 3), hatched where nothing can be read, and bool
    (height, width), True there.
    """
    step_x, step_y = box.width / width, box.height / height

    def part(x: int, y: int, across: int, down: int) -> Pixels:
        place = Box(box.x + x * step_x, box.y + y * step_y, across * step_x, down * step_y)
        return read_resampled(slide, place, across, down)

    pixels, unreadable = read_past_damage(part, 0, 0, width, height, _SMALLEST_PX)
    return hatch(pixels, unreadable, 0, 0), unreadable


def hatch(pixels: Pixels, unreadable: Mask, x: int, y: int) -> Pixels:
    """Draw stripes over what could not be read.

    Parameters
    ----------
    pixels
        uint8 (H, W, 3).
    unreadable
        bool (H, W).
    x, y
        Where they lie on their level, so that the stripes of neighbours meet.
    """
    if not unreadable.any():
        return pixels
    rows, columns = np.ogrid[y : y + pixels.shape[0], x : x + pixels.shape[1]]
    stripe = (rows + columns) // _STRIPE_PX % 2
    drawn = np.asarray(_STRIPES, np.uint8)[stripe]
    return np.where(unreadable[..., None], drawn, pixels)


def without_cut_levels(
    levels: Sequence[Level], stored: Sequence[SegmentLevel]
) -> tuple[tuple[Level, ...], list[SegmentLevel], int]:
    """Leave out coarse levels of which more is cut off than of the finest one.

    Returns
    -------
    The levels that are left, how they are stored, and how many were left out.

    Raises
    ------
    SlideOpenError
        When nothing is left of the finest level.
    """
    most = stored[0].cut_off()
    if most == 1:
        raise SlideOpenError(
            expected="a slide of which something can be read",
            found=f"{stored[0].pages[0].paths[0].name}, a file cut off before its first pixels",
            hint="Copy the file again from its source, and check that it is complete.",
        )
    kept = [
        (level, item)
        for level, item in zip(levels, stored, strict=True)
        if level.index == 0 or item.cut_off() <= most
    ]
    left = tuple(replace(level, index=index) for index, (level, _) in enumerate(kept))
    return left, [item for _, item in kept], len(stored) - len(kept)
