"""Tiles at a model's exact mpp: where they lie, and reading them ahead of use."""

import math
import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError, TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.resample import read_resampled
from napari_xmag.slide.tissue import TissueMask

# A slide of 8 × 5 cm has 600,000 tiles of 80 µm.
MOST_PLACES = 2**22
# Tiles that are read but not yet asked for never take more than this.
AHEAD_BYTES = 48 * 2**20


@dataclass(frozen=True)
class TileGrid:
    """The tiles to analyze, on one grid over the scanned part of a slide.

    Attributes
    ----------
    boxes
        T level-0 boxes, row by row.
    columns, rows
        Place of each box on the grid, int (T,).
    mpp
        µm per tile pixel.
    tile_px
        Side of a tile in tile pixels.
    stride_x, stride_y
        Distance of grid columns and rows in level-0 pixels.
    origin_x, origin_y
        Corner of the grid in level-0 pixels.
    shape
        (rows, columns) of the whole grid, tiles without tissue included.
    """

    boxes: tuple[Box, ...]
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    mpp: float
    tile_px: int
    stride_x: float
    stride_y: float
    origin_x: float
    origin_y: float
    shape: tuple[int, int]

    def box(self, row: int, column: int) -> Box:
        """Return the level-0 box of a place of the grid, whether it is a tile or not."""
        left, top = self.origin_x + column * self.stride_x, self.origin_y + row * self.stride_y
        return Box(float(left), float(top), self.stride_x, self.stride_y)


@dataclass(frozen=True)
class Tile:
    """One tile that was read, or why it could not be.

    Attributes
    ----------
    index
        Its place among the boxes.
    pixels
        uint8 (tile_px, tile_px, 3), or None where it is unreadable.
    error
        The reason; empty when it was read.
    """

    index: int
    pixels: NDArray[np.uint8] | None
    error: str = ""


def grid_corner(
    bounds: Box, stride_x: float, stride_y: float, *, aside: bool
) -> tuple[float, float]:
    """Return where a grid begins, x and y in level-0 pixels: at the corner of what was scanned.

    Parameters
    ----------
    aside
        Half a stride before it, in both directions.
    """
    if not aside:
        return bounds.x, bounds.y
    return bounds.x - stride_x / 2, bounds.y - stride_y / 2


def plan_tiles(
    slide: Slide,
    mask: TissueMask,
    *,
    mpp: float,
    tile_px: int,
    min_tissue: float = 0.2,
    aside: bool = False,
) -> TileGrid:
    """Lay a grid over the slide's bounds and keep the tiles that hold tissue.

    What is damaged in the file counts as tissue: whether a tile there can be read shows when it
    is, and those that cannot are counted.

    Parameters
    ----------
    mpp
        µm per pixel that the model wants.
    tile_px
        Side of a tile in pixels at that mpp.
    min_tissue
        Least part of a tile, 0 to 1, that must be tissue; a tile without any is never kept.
    aside
        Lay the grid half a tile aside, up and to the left.

    Raises
    ------
    MppMissingError
        When the slide has no mpp.
    ConfigError
        When a setting is out of its range.
    """
    _check_settings(mpp, tile_px, min_tissue)
    own = require_mpp(slide)
    stride_x, stride_y = tile_px * mpp / own.x, tile_px * mpp / own.y
    bounds = slide.bounds
    # A sliver that only rounding leaves beyond the last tile is no tile.
    left, top = grid_corner(bounds, stride_x, stride_y, aside=aside)
    columns = max(1, math.ceil((bounds.right - left) / stride_x - 1e-6))
    rows = max(1, math.ceil((bounds.bottom - top) / stride_y - 1e-6))
    if rows * columns > MOST_PLACES:
        raise ConfigError(
            expected=f"a grid of {MOST_PLACES:,} tiles or fewer",
            found=f"{columns:,}×{rows:,} tiles of {tile_px * mpp:g} µm",
            hint="Check the pixel size of the slide and that of the model.",
        )
    x = left + stride_x * np.arange(columns + 1, dtype=np.float64)
    y = top + stride_y * np.arange(rows + 1, dtype=np.float64)
    fractions = mask.grid_fractions(x, y) + mask.unreadable_grid_fractions(x, y)
    kept_rows, kept_columns = np.nonzero((fractions >= min_tissue) & (fractions > 0))
    corners = zip(x[kept_columns].tolist(), y[kept_rows].tolist(), strict=True)
    return TileGrid(
        boxes=tuple(Box(*corner, stride_x, stride_y) for corner in corners),
        columns=kept_columns,
        rows=kept_rows,
        mpp=mpp,
        tile_px=tile_px,
        stride_x=stride_x,
        stride_y=stride_y,
        origin_x=left,
        origin_y=top,
        shape=(rows, columns),
    )


def _check_settings(mpp: float, tile_px: int, min_tissue: float) -> None:
    if not (math.isfinite(mpp) and mpp > 0 and tile_px > 0 and 0 <= min_tissue <= 1):
        raise ConfigError(
            expected="a positive mpp, a positive tile size, and min_tissue from 0 to 1",
            found=f"mpp={mpp}, tile_px={tile_px}, min_tissue={min_tissue}",
            hint="Correct the setting.",
        )


def read_tile(slide: Slide, box: Box, tile_px: int) -> NDArray[np.uint8]:
    """Read one tile from the nearest finer level, antialiased and exact below the pixel.

    Returns
    -------
    uint8 array (tile_px, tile_px, 3).

    Raises
    ------
    TileReadError
        When the slide cannot be decoded there.
    """
    return read_resampled(slide, box, tile_px, tile_px)


def tiles_ahead(tile_px: int) -> int:
    """Return how many tiles are read ahead: as many as fit 48 MiB, at most 256."""
    return min(256, AHEAD_BYTES // (3 * tile_px**2))


def read_tiles(
    slide: Slide,
    boxes: Sequence[Box],
    tile_px: int,
    *,
    workers: int | None = None,
    ahead: int | None = None,
    poll_seconds: float = 0.25,
) -> Generator[Tile | None, None, None]:
    """Read tiles by threads, a bounded number ahead, and yield them in order.

    Closing the iterator stops the threads after the tile that each is reading.

    Parameters
    ----------
    workers
        Threads; by default one for each core, at most 4.
    ahead
        Most tiles in work or waiting; by default see `tiles_ahead`.
    poll_seconds
        After so long without a tile, None is yielded so that the caller can answer a Cancel.

    Yields
    ------
    One :class:`Tile` for each box, unreadable ones too; None when none came in time.
    """
    workers = max(1, workers or min(4, os.cpu_count() or 1))
    ahead = max(ahead or tiles_ahead(tile_px), workers)
    jobs = iter(enumerate(boxes))
    waiting: deque[Future[Tile]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="xmag-tiles")
    try:
        while True:
            room = ahead - len(waiting)
            waiting.extend(
                pool.submit(_read, slide, index, box, tile_px) for index, box in islice(jobs, room)
            )
            if not waiting:
                return
            try:
                tile = waiting[0].result(timeout=poll_seconds)
            except NotYet:
                yield None
                continue
            waiting.popleft()
            yield tile
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(slide: Slide, index: int, box: Box, tile_px: int) -> Tile:
    try:
        return Tile(index, read_tile(slide, box, tile_px))
    except TileReadError as error:
        return Tile(index, None, error.found)
