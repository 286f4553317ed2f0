"""Whether samples are RGB or YCbCr, judged by what they show: glass, and colours that exist."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Glass is brighter than this; where it is stored as YCbCr its chroma lies near to the middle, and
# where it is stored as RGB all three are bright. Against a label of RGB more is asked for: bright
# red tissue may come near to neutral chroma, but not all of it and not so near.
_GLASS = 215
_ALL_BRIGHT = 185
_GLASS_LEAST = 0.02
_NEUTRAL = {True: (12, 0.6), False: (8, 0.9)}

# Tinted or dim glass: the brightest colour of smooth blocks, as either kind would show it. RGB
# taken for YCbCr gives far more colour than there can be, the reverse only somewhat more.
_BLOCK, _SMOOTH = 8, 6
_STEP, _MODE_LEAST = 8, 0.02
_DIM_GLASS = 170
_MARGIN = {True: 40, False: 100}
# Red beside green or blue looks like tinted glass in YCbCr: a label of RGB yields to neutral only.
_MOST_TINT = {True: 90, False: 16}
_MOST_CHROMA = 30.0
# Red and green grow bright together; brightness and chroma seldom do.
_VARIED, _CONSTANT, _APART = 8, 0.5, 0.2
_BLOCKS_LEAST = 16

# YCbCr has codes that no RGB has. Tissue in RGB, taken for YCbCr, nearly always has some; YCbCr
# has them only by the loss of JPEG, and the mean of a few pixels hardly ever.
_BEYOND = 8
_BLOCKS_BEYOND = 0.02
_QUAD, _QUADS_BEYOND = 2, 0.004


class Judged(NamedTuple):
    """What samples are, and whether what they show confirms it.

    Attributes
    ----------
    is_ycbcr
        YCbCr, or else RGB.
    sure
        False where only the label tells.
    """

    is_ycbcr: bool
    sure: bool


def decide_color_space(pictures: Sequence[Pixels], labelled_ycbcr: bool) -> Judged:
    """Return what parts of a slide, uint8 (H, W, 3 or more), are.

    Parameters
    ----------
    labelled_ycbcr
        What the file says, which counts where the samples do not tell.
    """
    seen = {_seen_as_ycbcr(components, labelled_ycbcr) for components in pictures}
    if False in seen:
        return Judged(False, True)  # white glass is the surest sign of all
    if not pictures:
        return Judged(labelled_ycbcr, False)
    blocks = [_blocks(components) for components in pictures]
    if _beyond(np.concatenate([means for means, _ in blocks])) >= _BLOCKS_BEYOND:
        return Judged(False, True)
    smooth = np.concatenate([means[even] for means, even in blocks])
    verdict = True in seen or _by_brightest(smooth, labelled_ycbcr)
    if verdict and not _colors_allow_ycbcr(pictures):
        verdict = None
    return Judged(labelled_ycbcr if verdict is None else verdict, verdict is not None)


def shows_glass(pictures: Sequence[Pixels], labelled_ycbcr: bool) -> bool:
    """Return whether any of the pictures, uint8 (H, W, 3 or more), shows white glass."""
    return any(_seen_as_ycbcr(components, labelled_ycbcr) is not None for components in pictures)


def _seen_as_ycbcr(components: Pixels, labelled_ycbcr: bool) -> bool | None:
    """Return what the white glass in a picture says; None where there is none."""
    if components.shape[2] < 3:
        return False
    first, second, third = (components[..., index].astype(np.int16) for index in range(3))
    bright = first >= _GLASS
    if bright.mean() < _GLASS_LEAST:
        return None
    white = (second >= _ALL_BRIGHT) & (third >= _ALL_BRIGHT)
    if white[bright].mean() >= 0.5:
        return False
    near, share = _NEUTRAL[labelled_ycbcr]
    neutral = (abs(second - 128) <= near) & (abs(third - 128) <= near)
    return True if neutral[bright].mean() >= share else None


def _blocks(components: Pixels) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the mean components (N, 3) of blocks, and which of them hold no edge."""
    sums = _sums(components, _BLOCK)
    squares = _sums(np.square(components, dtype=np.uint32), _BLOCK)
    count = _BLOCK**2
    variances = (squares - np.square(sums) / count) / count
    return _means(sums, _BLOCK), (variances <= _SMOOTH**2).all(axis=2).ravel()


def _means(sums: NDArray[np.uint32], size: int) -> Floats:
    return (sums / np.float32(size**2)).astype(np.float32).reshape(-1, 3)


def _sums(components: NDArray[np.unsignedinteger], size: int) -> NDArray[np.uint32]:
    """Return the sums over whole blocks, (rows, columns, 3)."""
    rows, columns = components.shape[0] // size, components.shape[1] // size
    # One row, then one column, of all blocks at a time: many times faster than all axes at once.
    down = np.zeros((rows, columns * size, 3), np.uint32)
    for offset in range(size):
        down += components[offset : rows * size : size, : columns * size, :3]
    sums = np.zeros((rows, columns, 3), np.uint32)
    for offset in range(size):
        sums += down[:, offset::size]
    return sums


def _beyond(colors: Floats) -> float:
    """Return the share of colours (N, 3) that, taken for YCbCr, no RGB has."""
    colors = colors[colors.max(axis=1) > 0]  # zeros are no colour, but what was never scanned
    if len(colors) < _BLOCKS_LEAST:
        return 0.0
    shown = _shown(colors)
    return float(((shown < -_BEYOND) | (shown > 255 + _BEYOND)).any(axis=1).mean())


def _colors_allow_ycbcr(pictures: Sequence[Pixels]) -> bool:
    quads = [_means(_sums(components, _QUAD), _QUAD) for components in pictures]
    return _beyond(np.concatenate(quads)) <= _QUADS_BEYOND


def _by_brightest(blocks: Floats, labelled_ycbcr: bool) -> bool | None:
    """Return which kind shows the brightest blocks as glass; None where neither clearly does."""
    if len(blocks) < _BLOCKS_LEAST:
        return None
    shown = _shown(blocks)
    if _is_glass(blocks, shown, _MARGIN[False], _MOST_TINT[True]):
        return False
    # Evenly red tissue looks the same: only what else is there tells.
    tint = _MOST_TINT[labelled_ycbcr]
    if _is_glass(shown, blocks, _MARGIN[True], tint) and _is_apart(blocks):
        return True
    return None


def _is_glass(colors: Floats, others: Floats, margin: float, most_tint: float) -> bool:
    """Return whether the brightest colour is light and has far less tint than the others there."""
    chosen = _brightest(colors)
    light = float(np.median(_lightness(colors[chosen])))
    tint, other = _tint(colors[chosen]), _tint(others[chosen])
    return light >= _DIM_GLASS and tint <= most_tint and other >= tint + margin


def _lightness(colors: Floats) -> Floats:
    return colors @ np.array((0.299, 0.587, 0.114), np.float32)


def _tint(colors: Floats) -> float:
    color = np.median(colors, axis=0)
    return float(color.max() - color.min())


def _brightest(colors: Floats) -> NDArray[np.bool_]:
    """Return which blocks (N, 3) have the brightest lightness that many have."""
    bins = np.floor(_lightness(colors) / _STEP).astype(int)
    values, counts = np.unique(bins, return_counts=True)
    common = values[counts >= _MODE_LEAST * len(colors)]
    return np.asarray(bins == (common if len(common) else values).max())


def _shown(blocks: Floats) -> Floats:
    """Return what YCbCr shows as RGB; beyond 0 to 255 it is the less likely, so it is not cut."""
    luma, cb, cr = blocks[:, 0], blocks[:, 1] - 128, blocks[:, 2] - 128
    green = luma - 0.344136 * cb - 0.714136 * cr
    return np.stack([luma + 1.402 * cr, green, luma + 1.772 * cb], axis=1)


def _is_apart(blocks: Floats) -> bool:
    """Return whether the first two components change, but not together as red and green do."""
    # the colour of tissue varies far less than its brightness
    if blocks[:, 0].std() < _VARIED or blocks[:, 1:].std(axis=0).max() > _MOST_CHROMA:
        return False
    if blocks[:, 1].std() < _CONSTANT:
        return True
    return bool(np.asarray(np.corrcoef(blocks[:, 0], blocks[:, 1]))[0, 1] < _APART)
