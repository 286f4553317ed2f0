"""Boxes of a TIFF file read straight from its tiles or strips.

Several times faster than OpenSlide for JPEG, and exact to the pixel on every level.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.handles import HandlePool
from napari_xmag.slide.tile_cache import ArrayCache

CACHE_BYTES = 128 * 2**20
# A compressed file in one giant block would have to be decoded whole for each look at it.
LARGEST_SEGMENT = 2**30

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class PageSegments:
    """Where the segments of one TIFF page lie, and how they are decoded.

    Made while tifffile has the file open, used long after it is closed.
    """

    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    decode: Callable[..., Any]
    tables: dict[str, Any]

    @classmethod
    def of(cls, page: Any) -> "PageSegments":
        """Take what is needed from a tifffile page or frame."""
        key = page.keyframe
        tables = {"jpegtables": key.jpegtables, "jpegheader": key.jpegheader}
        return cls(tuple(page.dataoffsets), tuple(page.databytecounts), key.decode, tables)


@dataclass(frozen=True)
class SegmentLevel:
    """The tiles or strips of one level.

    Attributes
    ----------
    width, height
        Size of the level in pixels.
    segment_width, segment_height
        Size of a tile, or of a strip, in pixels.
    samples
        1 (grey), 3 (RGB) or 4 (RGB and alpha).
    pages
        One TIFF page, or one for each colour where they are stored apart.
    planes
        How many times the whole level is repeated within a page: ``samples`` where the colours
        lie in separate planes of one page, otherwise 1.
    premultiplied
        Whether colours are already multiplied by alpha.
    inverted
        Whether 0 is white.
    mapped
        The pixels themselves, as (H, W, samples) or, with planes, (samples, H, W), where they
        lie in the file uncompressed and in one piece.
    """

    width: int
    height: int
    segment_width: int
    segment_height: int
    samples: int
    pages: tuple[PageSegments, ...]
    planes: int = 1
    premultiplied: bool = False
    inverted: bool = False
    mapped: Pixels | None = None

    @property
    def columns(self) -> int:
        """How many segments lie side by side."""
        return math.ceil(self.width / self.segment_width)

    @property
    def rows(self) -> int:
        """How many segments lie one above the other."""
        return math.ceil(self.height / self.segment_height)


class SegmentReader:
    """Reads boxes of levels for many threads at once, with one capped cache for all.

    Parameters
    ----------
    path
        TIFF file.
    levels
        Finest first.
    background
        RGB under transparent and missing segments.
    """

    def __init__(
        self, path: Path, levels: Sequence[SegmentLevel], background: tuple[int, int, int]
    ) -> None:
        self.levels = tuple(levels)
        self._background = background
        self._cache = ArrayCache(CACHE_BYTES)
        # Unbuffered: a handle reads one whole segment at a time.
        self._files: HandlePool[FileIO] = HandlePool(
            lambda: FileIO(path), lambda handle: handle.close()
        )

    def read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        """Return RGB (height, width, 3) at a place given in pixels of that level.

        Raises
        ------
        OSError, ValueError, RuntimeError
            When a segment is cut short or cannot be decoded.
        """
        parts = list(self._parts(level, x, y, width, height))
        out = np.empty((height, width, 3), np.uint8)
        if sum(pixels.shape[0] * pixels.shape[1] for _, pixels in parts) < height * width:
            out[...] = self._background
        for target, pixels in parts:
            out[target] = self._to_rgb(pixels, self.levels[level])
        return out

    def scanned(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """Return where the file has opaque pixels, as bool (height, width)."""
        out = np.zeros((height, width), np.bool_)
        for target, pixels in self._parts(level, x, y, width, height):
            out[target] = pixels[..., 3] > 0 if pixels.shape[2] == 4 else True
        return out

    def close(self) -> None:
        """Close all file handles."""
        self._files.close()
        self._cache.clear()

    def _parts(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> Iterator[tuple[tuple[slice, slice], Pixels]]:
        """Yield the raw pixels of each segment in the box with their place in it."""
        info = self.levels[level]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, info.width), min(y + height, info.height)
        if left >= right or top >= bottom:
            return
        if info.mapped is not None:
            place = slice(top - y, bottom - y), slice(left - x, right - x)
            yield place, _crop_mapped(info.mapped, info.planes, left, top, right, bottom)
            return
        for row in range(top // info.segment_height, (bottom - 1) // info.segment_height + 1):
            for column in range(left // info.segment_width, (right - 1) // info.segment_width + 1):
                pixels = self._segment(level, row, column)
                if pixels is None:
                    continue
                x0, y0 = column * info.segment_width, row * info.segment_height
                x1, x2 = max(left, x0), min(right, x0 + pixels.shape[1])
                y1, y2 = max(top, y0), min(bottom, y0 + pixels.shape[0])
                if x1 < x2 and y1 < y2:
                    place = slice(y1 - y, y2 - y), slice(x1 - x, x2 - x)
                    yield place, pixels[y1 - y0 : y2 - y0, x1 - x0 : x2 - x0]

    def _segment(self, level: int, row: int, column: int) -> Pixels | None:
        key = level, row, column
        pixels = self._cache.get(key)
        if pixels is None:
            info = self.levels[level]
            index = row * info.columns + column
            pixels = self._load(info, index)
            if pixels is not None:
                self._cache.put(key, pixels)
        return pixels

    def _load(self, info: SegmentLevel, index: int) -> Pixels | None:
        """Decode one segment of all its colours, or return None where the file leaves it out."""
        parts = []
        for page in info.pages:
            for plane in range(info.planes):
                part = self._decode(page, index + plane * info.rows * info.columns)
                if part is None:
                    return None
                parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _decode(self, page: PageSegments, index: int) -> Pixels | None:
        offset, count = page.offsets[index], page.counts[index]
        if count == 0:
            return None
        with self._files.borrow() as handle:
            handle.seek(offset)
            data = handle.read(count)
        if data is None or len(data) != count:
            raise OSError(f"the file ends within segment {index}")
        decoded, _, shape = page.decode(data, index, **page.tables)
        return None if decoded is None else np.asarray(decoded[0, : shape[1], : shape[2]])

    def _to_rgb(self, pixels: Pixels, info: SegmentLevel) -> Pixels:
        if info.inverted:
            pixels = 255 - pixels
        if pixels.shape[2] != 4:
            return pixels  # one grey sample spreads over the three colours when assigned
        return over_background(pixels, self._background, info.premultiplied)


def over_background(
    rgba: Pixels, background: tuple[int, int, int], premultiplied: bool = False
) -> Pixels:
    """Composite RGBA (H, W, 4) on a colour and return RGB (H, W, 3)."""
    alpha = rgba[..., 3:]
    if alpha.size == 0 or alpha.min() == 255:
        return rgba[..., :3]
    opacity = alpha.astype(np.float32) / 255
    colour = rgba[..., :3].astype(np.float32)
    paper = np.asarray(background, np.float32) * (1 - opacity)
    blended = (colour if premultiplied else colour * opacity) + paper
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


def segment_level(pages: Sequence[Any], path: Path) -> SegmentLevel:
    """Describe one level that is stored in one page, or in a page for each colour.

    Raises
    ------
    SlideOpenError
        When the level is one compressed block too large to decode.
    """
    key = pages[0].keyframe
    planes = key.samplesperpixel if key.planarconfig == 2 else 1
    width, height = key.imagewidth, key.imagelength
    segment = (key.tilewidth, key.tilelength) if key.is_tiled else (width, key.rowsperstrip)
    samples = key.samplesperpixel * len(pages)
    mapped = _map_pixels(pages, path)
    if mapped is None and segment[0] * segment[1] * samples > LARGEST_SEGMENT:
        raise SlideOpenError(
            expected="a slide stored in tiles",
            found=f"{path.name}, one compressed block of {width}×{height} pixels",
            hint="Convert it to a tiled pyramidal TIFF (for instance with QuPath or vips).",
        )
    return SegmentLevel(
        width=width,
        height=height,
        segment_width=segment[0],
        segment_height=min(segment[1], height),
        samples=samples,
        pages=tuple(PageSegments.of(page) for page in pages),
        planes=planes,
        premultiplied=bool(key.extrasamples) and int(key.extrasamples[0]) == 1,
        inverted=int(key.photometric) == 0,
        mapped=mapped,
    )


def _map_pixels(pages: Sequence[Any], path: Path) -> Pixels | None:
    """Map uncompressed pixels that lie in one piece; nothing is read yet."""
    key = pages[0].keyframe
    if len(pages) > 1 or key.is_tiled or key.compression != 1 or not key.is_contiguous:
        return None
    size = key.imagelength, key.imagewidth
    shape = (key.samplesperpixel, *size) if key.planarconfig == 2 else (*size, key.samplesperpixel)
    return np.memmap(path, np.uint8, "r", offset=pages[0].dataoffsets[0], shape=shape)


def _crop_mapped(
    mapped: Pixels, planes: int, left: int, top: int, right: int, bottom: int
) -> Pixels:
    if planes > 1:
        return np.moveaxis(mapped[:, top:bottom, left:right], 0, 2)
    return mapped[top:bottom, left:right]
