"""The scale of each level of a pyramid, from what the file states before what its size suggests.

A coarse level may be padded to whole tiles: its size then says nothing of its scale, and whoever
divides sizes shows every place hundreds of pixels beside where it is.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from napari_xmag.geometry import Level
from napari_xmag.slide.base import NoteCode, SlideNote

# Levels are whole fractions of the finest one nearly always; a statement this near to one is
# rounded, as most headers are.
NEAR_WHOLE = 0.015
# Beyond this an axis that goes its own way is no rounding.
SAME_RATIO = 0.005
_POWERS_OF_TWO = tuple(2**power for power in range(1, 17))
# Padding beyond this multiple of the likeliest scale is not looked for.
_MOST_PADDED = 8

Agrees = Callable[[int, tuple[float, float]], bool]
"""Whether the pixels of a stored level, by its place, show the finest one at these scales."""


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """A level as it is stored.

    Attributes
    ----------
    width, height
        Stored size in pixels, padding included.
    tile_width, tile_height
        Of its tiles in pixels; 0 where it is not tiled.
    spacing
        Size of a pixel as this level states it, as (x, y) in any unit that all levels share; None
        where it states none.
    """

    width: int
    height: int
    tile_width: int = 0
    tile_height: int = 0
    spacing: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The levels that can be used.

    Attributes
    ----------
    levels
        Finest first.
    stored
        For each of them its place among the stored levels.
    notes
        Which stored levels are left out, and why.
    """

    levels: tuple[Level, ...]
    stored: tuple[int, ...]
    notes: tuple[SlideNote, ...]


def place_levels(stored: Sequence[StoredLevel], agrees: Agrees | None = None) -> Pyramid:
    """Find the scale of each level for each axis, and crop what is padding.

    What a level states counts where its pixels cover the slide at that scale, with less than a
    tile to spare. Otherwise the ratio of sizes counts where both axes agree, or where a level is
    padded to whole tiles in just one way; where a size can be explained in several ways, the
    pixels decide. A level whose scale remains unknown, or is that of another, is left out with a
    note.

    Parameters
    ----------
    stored
        The finest level first; the others in any order.
    agrees
        Compares pixels; without it the likeliest scale of a size counts.
    """
    base = stored[0]
    known = {place: _scales(base, item) for place, item in enumerate(stored[1:], 1)}
    if any(s and _is_padded(base, stored[place], s) for place, s in known.items()):
        # Where one level is padded, another that padding explains in one way is padded too.
        for place, scales in known.items():
            padded = _padded_factors(base, stored[place])
            if scales is None and len(padded) == 1:
                known[place] = float(padded[0]), float(padded[0])
    if agrees is not None:
        for place, scales in known.items():
            known[place] = _compared(base, stored[place], scales, place, agrees)
    found = [(0, Level(0, base.width, base.height, 1.0, 1.0))]
    for place, scales in known.items():
        if scales is not None and min(scales) > 1 + SAME_RATIO:
            found.append((place, _cropped(base, stored[place], scales)))
    found.sort(key=lambda entry: entry[1].downsample)
    twins = {b[0] for a, b in pairwise(found) if _same_scale(a[1], b[1])}
    found = [entry for entry in found if entry[0] not in twins]
    unknown = [stored[place] for place, s in known.items() if s is None or place in twins]
    levels = tuple(
        Level(index, level.width, level.height, level.downsample_x, level.downsample_y)
        for index, (_, level) in enumerate(found)
    )
    return Pyramid(levels, tuple(place for place, _ in found), _notes(base, unknown))


def _same_scale(one: Level, other: Level) -> bool:
    return (one.downsample_x, one.downsample_y) == (other.downsample_x, other.downsample_y)


def _compared(
    base: StoredLevel,
    item: StoredLevel,
    scales: tuple[float, float] | None,
    place: int,
    agrees: Agrees,
) -> tuple[float, float] | None:
    """Return the scale that pixels confirm where the size of a level allows several."""
    if scales is not None and scales == _stated_scales(base, item):
        return scales
    possible = _possible_factors(base, item)
    if len(possible) < 2:
        return scales
    confirmed = [factor for factor in possible if agrees(place, (factor, factor))]
    if len(confirmed) == len(possible):  # nothing but glass, which is alike at any scale
        return scales
    return (confirmed[0], confirmed[0]) if confirmed else None


def _possible_factors(base: StoredLevel, item: StoredLevel) -> list[float]:
    """Return the scales, one for both axes, that a size may have: not padded, or padded."""
    ratio = base.width / item.width
    found = [float(f) for f in _whole_factors(base, item) if _fits(base, item, f)][:1]
    if not found and _alike(base, item):
        found = [ratio]
    for factor in _padded_factors(base, item):
        known = any(math.isclose(factor, other, rel_tol=NEAR_WHOLE) for other in found)
        if not known and factor <= _MOST_PADDED * ratio:
            found.append(float(factor))
    return found


def _is_padded(base: StoredLevel, item: StoredLevel, scales: tuple[float, float]) -> bool:
    beyond = item.width - base.width / scales[0], item.height - base.height / scales[1]
    return max(beyond) >= 2


def _cropped(base: StoredLevel, item: StoredLevel, scales: tuple[float, float]) -> Level:
    width = min(item.width, max(1, round(base.width / scales[0])))
    height = min(item.height, max(1, round(base.height / scales[1])))
    return Level(0, width, height, *scales)


def _scales(base: StoredLevel, item: StoredLevel) -> tuple[float, float] | None:
    stated = _stated_scales(base, item)
    if stated is None:
        return _scales_of_sizes(base, item)
    covered = base.width / stated[0], base.height / stated[1]
    spare = item.width - covered[0], item.height - covered[1]
    if spare[0] < max(2, item.tile_width) and spare[1] < max(2, item.tile_height):
        return None if _contradicted(base, item, stated) else stated
    whole_tiles = (
        item.tile_width
        and item.tile_height
        and not (item.width % item.tile_width or item.height % item.tile_height)
    )
    mostly = covered[0] > 0.5 * item.width and covered[1] > 0.5 * item.height
    # Padding of more than a tile, or a wrong statement: where both may be, nobody knows.
    return None if whole_tiles and mostly and _alike(base, item) else _scales_of_sizes(base, item)


def _contradicted(base: StoredLevel, item: StoredLevel, stated: tuple[float, float]) -> bool:
    """Return whether a scale that no scanner makes stands against sizes that fit another."""
    sizes = _scales_of_sizes(base, item)
    if sizes is None or all(
        math.isclose(one, other, rel_tol=NEAR_WHOLE)
        for one, other in zip(sizes, stated, strict=True)
    ):
        return False
    usual = stated[0] == stated[1] == round(stated[0])
    return not usual


def _stated_scales(base: StoredLevel, item: StoredLevel) -> tuple[float, float] | None:
    """Return the scales that both levels state, if the level's pixels can cover the slide."""
    if base.spacing is None or item.spacing is None:
        return None
    axes = (
        (item.spacing[0] / base.spacing[0], base.width, item.width),
        (item.spacing[1] / base.spacing[1], base.height, item.height),
    )
    scales = [_stated_scale(*axis) for axis in axes]
    x, y = scales
    return None if x is None or y is None else (x, y)


def _stated_scale(stated: float, full: int, stored: int) -> float | None:
    if not math.isfinite(stated) or stated <= 0:
        return None
    whole = round(stated)
    if whole >= 1 and abs(stated - whole) <= NEAR_WHOLE * whole:
        stated = float(whole)
    elif math.isclose(full / stored, stated, rel_tol=NEAR_WHOLE):
        # A header's few digits against the pixels themselves: nothing is padded here.
        stated = full / stored
    # One pixel is rounding; a level that covers less cannot have this scale.
    return stated if stored >= math.floor(full / stated) - 1 else None


def _scales_of_sizes(base: StoredLevel, item: StoredLevel) -> tuple[float, float] | None:
    """Return the scales that sizes suggest, or None where they are no proof of any."""
    whole = [factor for factor in _whole_factors(base, item) if _fits(base, item, factor)]
    if whole:
        return float(whole[0]), float(whole[0])
    padded = _padded_factors(base, item)
    alike = _alike(base, item)
    if len(padded) == 1 and not alike:
        return float(padded[0]), float(padded[0])
    if alike and not padded:
        return base.width / item.width, base.height / item.height
    return None


def _whole_factors(base: StoredLevel, item: StoredLevel) -> list[int]:
    """Return what a level's factor may be; powers of two first, since tiny levels fit many."""
    about = base.width / item.width
    return [*_POWERS_OF_TWO, max(1, math.floor(about)), math.ceil(about)]


def _fits(base: StoredLevel, item: StoredLevel, factor: int) -> bool:
    return _rounded(base.width, item.width, factor) and _rounded(base.height, item.height, factor)


def _rounded(full: int, part: int, factor: int) -> bool:
    """Return whether a size is the full one over a factor, rounded up or down."""
    return part in (full // factor, -(-full // factor))


def _padded_factors(base: StoredLevel, item: StoredLevel) -> list[int]:
    """Return the powers of two at which the level is the slide padded to whole tiles."""
    if not item.tile_width or not item.tile_height:
        return []
    return [
        factor
        for factor in _POWERS_OF_TWO
        if item.width == _whole_tiles(base.width, factor, item.tile_width)
        and item.height == _whole_tiles(base.height, factor, item.tile_height)
    ]


def _whole_tiles(full: int, factor: int, tile: int) -> int:
    return math.ceil(-(-full // factor) / tile) * tile


def _alike(base: StoredLevel, item: StoredLevel) -> bool:
    """Return whether width and height shrank alike, but for a pixel of rounding."""
    lowest_x, highest_x = base.width / (item.width + 1), base.width / max(1, item.width - 1)
    lowest_y, highest_y = base.height / (item.height + 1), base.height / max(1, item.height - 1)
    ratio = (base.width / item.width) / (base.height / item.height)
    overlap = lowest_x <= highest_y and lowest_y <= highest_x
    return overlap or abs(ratio - 1) <= SAME_RATIO


def _notes(base: StoredLevel, unknown: Iterable[StoredLevel]) -> tuple[SlideNote, ...]:
    return tuple(
        SlideNote(
            NoteCode.LEVEL_LEFT_OUT,
            f"A level of {item.width}×{item.height} pixels is left out: neither what the file "
            f"states nor its size says clearly how it lies on the slide of "
            f"{base.width}×{base.height} pixels. Finer levels are read instead.",
        )
        for item in unknown
    )
