"""Whether the pixels of two levels show one place, in the same colours, at two scales."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.scale import Agrees, Placed
from napari_xmag.slide.segments import DECODE_ERRORS, SegmentLevel, SegmentReader

# So many blocks a side are compared where pixels must prove something, and where they confirm.
_BLOCKS, _FEW_BLOCKS = 8, 4
# Each block has at most so many coarse pixels a side; at large scales fewer, so that no more than
# so many pixels of the finer level are read for it.
_BLOCK_PX, _FINE_PX = 16, 512
# Focal planes are compared in pixels so much larger. There, one place within blocks agrees better
# than this up to a blur of some 16 pixels, and two sections of one outline do not.
_BLUR_PX, _SAME_BLURRED = 4, 0.65
# Cells of so many coarse pixels a side are compared: what was sampled or blurred agrees in larger
# ones only.
_CELLS = (2, 4, 8)
# Values that vary or differ less than this are glass, or one flat colour: they tell nothing.
_FLAT = 3.0
# Two scans of one place, compressed and shrunk in whatever way, agree better than this; two
# sections that lie alike on their glasses do not, least of all within each block. Few cells with
# something in them agree by chance, too.
_SAME, _SAME_WITHIN, _CHANCE = 0.9, 0.5, 1.0
# Mean colours of blocks differ no more than this in brightness and in hue (root mean square); where
# a block has few pixels of a texture, by chance more.
_BRIGHTNESS, _HUE = (6.0, 40.0), (4.0, 24.0)
# Blocks so much darker than the brightest show tissue, whose colours count.
_DARKER = 10.0
_WHITE = (255, 255, 255)

Floats = NDArray[np.float64]


def comparison(describe: Callable[[int], SegmentLevel]) -> Agrees:
    """Return what compares two levels of a slide.

    Parameters
    ----------
    describe
        Returns a stored level by its place, padding included; the finest one is at 0.
    """

    def cropped(level: Placed) -> SegmentLevel:
        base, own = describe(0), describe(level.place)
        width, height = (
            max(1, round(full / scale))
            for full, scale in zip((base.width, base.height), level.scales, strict=True)
        )
        return replace(own, width=min(own.width, width), height=min(own.height, height))

    def agrees(fine: Placed, coarse: Placed, *, proof: bool) -> bool | None:
        scale = coarse.scales[0] / fine.scales[0], coarse.scales[1] / fine.scales[1]
        if min(scale) < 1:  # finer on one axis only
            return agrees(Placed(0, (1.0, 1.0)), coarse, proof=proof)
        blocks = _BLOCKS if proof else _FEW_BLOCKS
        return shows_same(cropped(fine), cropped(coarse), scale, blocks)

    return agrees


def shows_same(
    fine: SegmentLevel, coarse: SegmentLevel, scale: tuple[float, float], blocks: int = _BLOCKS
) -> bool | None:
    """Return whether a level shows what a finer one does, in structure and in colour.

    Parameters
    ----------
    scale
        Pixels of the finer level per pixel of the coarser one, as (x, y).
    blocks
        How many are compared, a side.

    Returns
    -------
    None where there is nothing to compare: glass, or pixels that cannot be read.
    """
    seen = _seen((fine, coarse), scale, blocks)
    if seen is None:
        return None
    cells = _pooled(seen, _CELLS[0]).mean(axis=-1)
    if cells.std(axis=(1, 2, 3)).max() < _FLAT:
        return None
    return _same_colors(seen) and any(_same_structure(seen, size) for size in _CELLS)


def shows_other_plane(one: SegmentLevel, other: SegmentLevel) -> bool | None:
    """Return whether two pictures of one size show one place, focused at different depths.

    Out of focus, small structures vanish, and the brightness may change; larger ones stay.

    Returns
    -------
    None where there is nothing to compare: one of them is glass, or cannot be read.
    """
    seen = _seen((one, other), (1.0, 1.0), _BLOCKS, _BLUR_PX)
    if seen is None:
        return None
    grey = _pooled(seen, _CELLS[0]).mean(axis=-1)
    within = grey - grey.mean(axis=(2, 3), keepdims=True)
    if within.std(axis=(1, 2, 3)).min() < _FLAT:
        return None
    return _correlation(within) >= _SAME_BLURRED


def _seen(
    levels: tuple[SegmentLevel, SegmentLevel],
    scale: tuple[float, float],
    blocks: int,
    zoom: int = 1,
) -> Floats | None:
    """Return what `_pairs` yields, (2, N, H, W, 3); None for glass and what cannot be read."""
    reader = SegmentReader(levels, _WHITE)
    try:
        pairs = list(_pairs(reader, scale, blocks, zoom))
    except DECODE_ERRORS:
        return None
    finally:
        reader.close()
    return np.stack(pairs, axis=1) if pairs else None


def _pairs(
    reader: SegmentReader, scale: tuple[float, float], blocks: int, zoom: int = 1
) -> Iterator[Floats]:
    """Yield blocks at the same places of both levels, (2, H, W, 3), in so many coarse pixels."""
    fine, coarse = reader.levels
    width = min(coarse.width, round(fine.width / scale[0]))
    height = min(coarse.height, round(fine.height / scale[1]))
    side = min(zoom * _BLOCK_PX, max(_CELLS[0], int(_FINE_PX / max(scale))))
    wide, high = min(side, width), min(side, height)
    columns, rows = max(1, wide // zoom), max(1, high // zoom)
    for y in _spread(height - high, blocks):
        for x in _spread(width - wide, blocks):
            left, top = round(x * scale[0]), round(y * scale[1])
            right, bottom = round((x + wide) * scale[0]), round((y + high) * scale[1])
            place = left, top, right - left, bottom - top
            if fine.is_empty(*place) or coarse.is_empty(x, y, wide, high):
                continue
            if zoom > 1 and not (fine.is_whole(*place) and coarse.is_whole(x, y, wide, high)):
                continue  # planes of a region: glass around it is no difference
            both = reader.read(0, *place), reader.read(1, x, y, wide, high)
            yield np.stack([_shrunk(pixels, columns, rows) for pixels in both])


def _spread(length: int, number: int) -> list[int]:
    """Return so many places from 0 to a length, each in the middle of its part."""
    return sorted({round(length * (index + 0.5) / number) for index in range(number)})


def _shrunk(pixels: NDArray[np.uint8], wide: int, high: int) -> Floats:
    """Return the mean of what lies under each coarse pixel, (high, wide, 3)."""
    rows = np.linspace(0, pixels.shape[0], high + 1).astype(int)
    columns = np.linspace(0, pixels.shape[1], wide + 1).astype(int)
    # Whole rows first, without a copy of all pixels as wider numbers.
    flat = pixels.reshape(len(pixels), -1)
    lines = [flat[top:end].sum(axis=0, dtype=np.int64) for top, end in pairwise(rows)]
    sums = np.add.reduceat(np.reshape(lines, (high, -1, 3)), columns[:-1], axis=1)
    return np.asarray(sums / np.outer(np.diff(rows), np.diff(columns))[..., None])


def _pooled(seen: Floats, size: int) -> Floats:
    """Return the means of cells, (2, blocks, rows, columns, 3)."""
    high, wide = (max(1, side // size) for side in seen.shape[2:4])
    down, across = min(size, seen.shape[2]), min(size, seen.shape[3])
    whole = seen[:, :, : high * down, : wide * across]
    return np.asarray(whole.reshape(*seen.shape[:2], high, down, wide, across, 3).mean(axis=(3, 5)))


def _same_structure(seen: Floats, size: int) -> bool:
    """Return whether bright and dark lie alike, over all blocks and within them."""
    grey = _pooled(seen, size).mean(axis=-1)
    if float(np.sqrt(((grey[0] - grey[1]) ** 2).mean())) < _FLAT:
        return True
    within = grey - grey.mean(axis=(2, 3), keepdims=True)
    if _correlation(grey) < _SAME:
        return False
    chance = _CHANCE / float(np.sqrt(max(1.0, _telling_cells(within[0]))))
    return _is_flat(within) or _correlation(within) >= _SAME_WITHIN + chance


def _correlation(pair: Floats) -> float:
    flat = pair.reshape(2, -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    size = float(np.sqrt((flat[0] ** 2).sum() * (flat[1] ** 2).sum()))
    return float((flat[0] * flat[1]).sum()) / size if size else 0.0


def _telling_cells(within: Floats) -> float:
    """Return how many cells carry the variance: all, or the few that show more than glass."""
    energy = within**2
    most = float((energy**2).sum())
    return float(energy.sum()) ** 2 / most if most else 0.0


def _is_flat(pair: Floats) -> bool:
    return bool(pair.std(axis=(1, 2, 3)).max() < 1)


def _same_colors(seen: Floats) -> bool:
    """Return whether the tissue of both has one brightness and one hue."""
    means = seen.mean(axis=(2, 3))
    grey = means[0].mean(axis=-1)
    tissue = grey < grey.max() - _DARKER
    if not tissue.any():
        tissue[:] = True
    differ = (means[0] - means[1])[tissue]
    chance = 1 / float(np.sqrt(seen.shape[2] * seen.shape[3]))
    brighter = differ.mean(axis=-1, keepdims=True)
    brightness = float(np.sqrt((brighter**2).mean()))
    hue = float(np.sqrt(((differ - brighter) ** 2).mean(axis=0)).max())
    return brightness <= _BRIGHTNESS[0] + _BRIGHTNESS[1] * chance and (
        hue <= _HUE[0] + _HUE[1] * chance
    )
