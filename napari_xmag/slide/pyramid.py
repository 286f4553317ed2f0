"""A slide as lazy dask arrays, one a level, with the coarse levels that the file lacks."""

import logging
import threading
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Level
from napari_xmag.slide.base import KnowsGaps, Slide
from napari_xmag.slide.colors.profile import ColorTransform
from napari_xmag.slide.damage import hatch, read_past_damage
from napari_xmag.slide.resample import read_resampled
from napari_xmag.slide.tile_cache import ArrayCache

_log = logging.getLogger(__name__)

# The viewer reads the coarsest level whole.
COARSEST_PX = 1024
CHUNK_PX = 1024
# Blocks of computed levels, and what each of those levels may keep. The coarsest ones fit whole,
# so that looking at a single-level slide again costs nothing.
BLOCK_PX = 512
LEVEL_CACHE_BYTES = 24 * 2**20
# A damaged chunk is narrowed down to places of about this size.
_SMALLEST_PX = 256

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def dask_pyramid(slide: Slide, color: ColorTransform | None = None) -> list[da.Array]:
    """Return the levels of a slide as lazy arrays, finest first.

    Levels are the file's own until one has both sides of at most 1024 px; where the file ends
    before, further ones are made by halving when they are looked at, block by block and each
    block once. A place that cannot be read is hatched, and a warning is logged once.

    Parameters
    ----------
    color
        Applied to all pixels, for instance from
        :func:`napari_xmag.slide.colors.profile.srgb_transform`.

    Returns
    -------
    list of dask arrays, uint8 (y, x, 3). The ratio of shapes is the ratio of pixel sizes, to
    less than a pixel at the far edge.
    """
    levels: list[_Level] = []
    for level in slide.levels:
        levels.append(_FileLevel(slide, level, color))
        if max(level.width, level.height) <= COARSEST_PX:
            break
    while max(levels[-1].shape) > COARSEST_PX:
        levels.append(_HalvedLevel(levels[-1]))
    return [
        da.from_array(
            level,
            chunks=(*level.chunks, 3),
            name=False,
            lock=False,
            meta=np.empty((0, 0, 0), np.uint8),
        )
        for level in levels
    ]


class _Level:
    """What dask needs of an array; ``read`` does the work."""

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, height: int, width: int, chunks: tuple[int, int]) -> None:
        self.shape = height, width, 3
        self.chunks = chunks

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Mask]:
        """Return uint8 (height, width, 3) at a place given in pixels of this level.

        The second value is bool (height, width), True where nothing can be read.
        """
        raise NotImplementedError

    def empty_color(self, x: int, y: int, width: int, height: int) -> Pixels | None:
        """Return the one colour (3,) of a place of which the file holds nothing, else None."""
        raise NotImplementedError

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        rows, columns = (
            range(size)[part] if isinstance(part, slice) else range(size)[part : part + 1]
            for size, part in zip(self.shape[:2], key, strict=False)
        )
        if not rows or not columns:
            return np.empty((len(rows), len(columns), 3), np.uint8)[(..., *key[2:])]
        top, left = min(rows), min(columns)
        read, unreadable = self.read(left, top, max(columns) + 1 - left, max(rows) + 1 - top)
        pixels = hatch(read, unreadable, left, top)
        inner = tuple(
            slice(None, None, part.step) if isinstance(part, slice) else 0 for part in key[:2]
        )
        return pixels[(*inner, *key[2:])]


class _FileLevel(_Level):
    """A level as the file has it."""

    def __init__(self, slide: Slide, level: Level, color: ColorTransform | None) -> None:
        width, height = (_chunk(side) for side in slide.tile_size)
        super().__init__(level.height, level.width, (height, width))
        self._slide = slide
        self._level = level
        self._color = color
        self._failed: set[tuple[int, int]] = set()
        self._lock = threading.Lock()

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Mask]:
        pixels, unreadable = read_past_damage(self._part, x, y, width, height, _SMALLEST_PX)
        return (pixels if self._color is None else self._color(pixels)), unreadable

    def empty_color(self, x: int, y: int, width: int, height: int) -> Pixels | None:
        slide = self._slide
        box = self._level.box(x, y, width, height)
        if not (isinstance(slide, KnowsGaps) and slide.is_empty(box, self._level.index)):
            return None
        pixel = np.array([[slide.background]], np.uint8)
        seen: Pixels = (pixel if self._color is None else self._color(pixel))[0, 0]
        return seen

    def _part(self, x: int, y: int, width: int, height: int) -> Pixels:
        box = self._level.box(x, y, width, height)
        try:
            return self._slide.read(box, self._level.index)
        except TileReadError as error:
            if max(width, height) > _SMALLEST_PX:
                raise
            self._warn(x, y, error)
            return read_resampled(self._slide, box, width, height)  # a finer level may do

    def _warn(self, x: int, y: int, error: TileReadError) -> None:
        place = x // _SMALLEST_PX, y // _SMALLEST_PX
        with self._lock:
            known = place in self._failed
            self._failed.add(place)
        if not known:
            _log.warning("%s are missing: the file has %s", error.expected, error.found)


class _HalvedLevel(_Level):
    """A level that the file lacks: the next finer one, averaged over 2×2 pixels."""

    def __init__(self, finer: _Level) -> None:
        height, width = (-(-side // 2) for side in finer.shape[:2])
        super().__init__(height, width, (BLOCK_PX, BLOCK_PX))
        self._finer = finer
        self._cache = ArrayCache(LEVEL_CACHE_BYTES)

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Mask]:
        out = np.empty((height, width, 4), np.uint8)
        rows = range(y // BLOCK_PX, (y + height - 1) // BLOCK_PX + 1)
        columns = range(x // BLOCK_PX, (x + width - 1) // BLOCK_PX + 1)
        for row, column in product(rows, columns):
            block = self._block(row, column)
            y0, x0 = row * BLOCK_PX, column * BLOCK_PX
            y1, y2 = max(y, y0), min(y + height, y0 + block.shape[0])
            x1, x2 = max(x, x0), min(x + width, x0 + block.shape[1])
            out[y1 - y : y2 - y, x1 - x : x2 - x] = block[y1 - y0 : y2 - y0, x1 - x0 : x2 - x0]
        return out[..., :3], out[..., 3] > 0

    def empty_color(self, x: int, y: int, width: int, height: int) -> Pixels | None:
        return self._finer.empty_color(2 * x, 2 * y, 2 * width, 2 * height)

    def _block(self, row: int, column: int) -> Pixels:
        """Return RGB and, as a fourth channel, whether something could not be read."""
        block = self._cache.get((row, column))
        if block is None:
            side = 2 * BLOCK_PX
            x, y = column * side, row * side
            width = min(side, self._finer.shape[1] - x)
            height = min(side, self._finer.shape[0] - y)
            color = self._finer.empty_color(x, y, width, height)
            if color is not None:
                # Not kept: made as quickly as found, and most of a large sparse slide is so.
                size = -(-height // 2), -(-width // 2), 4
                return np.full(size, (*color, 0), np.uint8)
            fine, unreadable = self._finer.read(x, y, width, height)
            lost = np.where(unreadable, 255, 0).astype(np.uint8)
            halved = (np.asarray(Image.fromarray(part).reduce(2)) for part in (fine, lost))
            block = np.dstack(list(halved))
            self._cache.put((row, column), block)
        return block


def _chunk(tile: int) -> int:
    """Return the largest multiple of a native tile up to 1024 px."""
    return CHUNK_PX if not 0 < tile <= CHUNK_PX else CHUNK_PX // tile * tile
