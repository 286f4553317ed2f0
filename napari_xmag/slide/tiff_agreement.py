"""Whether the pixels of two pictures in a TIFF show one place at two scales."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.scale import StoredLevel, place_levels
from napari_xmag.slide.segments import DECODE_ERRORS, SegmentReader
from napari_xmag.slide.tiff_picture import TiffLevel, TiffPicture
from napari_xmag.slide.tiff_segments import segment_level

# So many blocks a side are compared, each of at most so many cells a side; a cell is so many coarse
# pixels. At large scales blocks are smaller, so that few pixels of the finest level are read.
_BLOCKS, _CELLS, _CELL_PX = 8, 8, 2
_FINE_PX = 512
# Grey values that vary less than this are glass, or one flat colour: they tell nothing.
_FLAT = 3.0
# Two scans of one place, compressed and shrunk in whatever way, agree better than this; two
# sections that lie alike on their glasses do not.
_SAME = 0.9
_WHITE = (255, 255, 255)


def agree(fine: TiffLevel, coarse: TiffLevel, path: Path, scale: tuple[float, float]) -> bool:
    """Return whether a level shows what a finer one shows, at a scale; glass agrees with glass.

    What cannot be read speaks against nothing.
    """
    likeness = _likeness(fine, coarse, path, scale)
    return likeness is None or likeness >= _SAME


def is_level_of(level: TiffLevel, main: TiffPicture, path: Path) -> bool:
    """Return whether a picture that no flag marks is a coarser level of another.

    Its size must fit. Where both state their pixels, glass is no counter-proof; where they do not,
    the pixels themselves must prove it.
    """
    page, first = level.page, main.page
    if (page.samplesperpixel, page.dtype) != (first.samplesperpixel, first.dtype):
        return False
    if page.imagewidth >= first.imagewidth or page.imagelength >= first.imagelength:
        return False
    stored = main.levels[0].stored(), level.stored()
    placed = place_levels(stored).levels
    if len(placed) < 2:
        return False
    scale = placed[1].downsample_x, placed[1].downsample_y
    likeness = _likeness(main.levels[0], level, path, scale)
    if likeness is None:
        return _states_scale(*stored)
    return likeness >= _SAME


def _states_scale(fine: StoredLevel, coarse: StoredLevel) -> bool:
    return fine.spacing != coarse.spacing and coarse.spacing is not None


def _likeness(
    fine: TiffLevel, coarse: TiffLevel, path: Path, scale: tuple[float, float]
) -> float | None:
    """Return the correlation of grey values, or None where there is nothing to compare."""
    reader: SegmentReader | None = None
    try:
        pages = [segment_level(level.pages, path) for level in (fine, coarse)]
        reader = SegmentReader(pages, _WHITE)
        width = min(pages[1].width, round(pages[0].width / scale[0]))
        height = min(pages[1].height, round(pages[0].height / scale[1]))
        seen = _sampled(reader, (width, height), scale)
    except DECODE_ERRORS:
        return None
    finally:
        if reader is not None:
            reader.close()
    spread = np.std(seen, axis=1).tolist()
    if max(spread) < _FLAT:
        return None
    if min(spread) < _FLAT:
        return 0.0
    return float(np.asarray(np.corrcoef(*seen))[0, 1])


def _sampled(
    reader: SegmentReader, size: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.float64]:
    """Return mean grey values at the same places of both levels, as (2, cells)."""
    side = _CELL_PX * min(_CELLS, max(1, int(_FINE_PX / max(scale) / _CELL_PX)))
    wide, high = min(side, size[0]), min(side, size[1])
    columns = np.unique(np.linspace(0, size[0] - wide, _BLOCKS).round().astype(int))
    rows = np.unique(np.linspace(0, size[1] - high, _BLOCKS).round().astype(int))
    found: list[list[NDArray[np.float64]]] = [[], []]
    for y in rows.tolist():
        for x in columns.tolist():
            for level, (scale_x, scale_y) in enumerate((scale, (1.0, 1.0))):
                left, top = round(x * scale_x), round(y * scale_y)
                right, bottom = round((x + wide) * scale_x), round((y + high) * scale_y)
                pixels = reader.read(level, left, top, right - left, bottom - top)
                found[level].append(_cells(pixels.mean(axis=2), wide, high).ravel())
    return np.stack([np.concatenate(values) for values in found])


def _cells(grey: NDArray[np.float64], wide: int, high: int) -> NDArray[np.float64]:
    """Return the mean of each cell of a block that is so many coarse pixels wide and high."""
    down, across = max(1, high // _CELL_PX), max(1, wide // _CELL_PX)
    rows = np.linspace(0, grey.shape[0], down + 1).astype(int)[:-1]
    columns = np.linspace(0, grey.shape[1], across + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    areas = np.outer(np.diff([*rows, grey.shape[0]]), np.diff([*columns, grey.shape[1]]))
    return np.asarray(sums / areas)
