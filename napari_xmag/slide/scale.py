"""The scale of each level of a pyramid, from what the file states before what its size suggests.

A coarse level may be padded to whole tiles: its size then says nothing of its scale, and whoever
divides sizes shows every place hundreds of pixels beside where it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from napari_xmag.geometry import Level
from napari_xmag.slide.base import NoteCode, SlideNote

# Levels are whole fractions of the finest one nearly always; a statement this near to one is
# rounded, as most headers are.
NEAR_WHOLE = 0.015
# Beyond this an axis that goes its own way is no rounding.
SAME_RATIO = 0.005
_POWERS_OF_TWO = tuple(2**power for power in range(1, 17))
TOO_FEW_PX = 32
"""A level of no more pixels a side has too few for pixels to be compared; none is missed."""

# Padding beyond this multiple of the likeliest scale is not looked for.
_MOST_PADDED = 8

Scales = tuple[float, float]


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
class Placed:
    """A stored level, by its place among all, at scales that it may have, as (x, y)."""

    place: int
    scales: Scales


class Agrees(Protocol):
    """Says whether a level shows, at its scales, what a finer one shows."""

    def __call__(self, fine: Placed, coarse: Placed, *, proof: bool) -> bool | None:
        """Return None where nothing can be compared.

        With ``proof`` pixels must settle the scale; else a look here and there confirms it.
        """


_FINEST = Placed(0, (1.0, 1.0))


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
    padded to whole tiles in just one way. Where only padding explains a size, or where several
    scales do, the pixels decide; every other level is compared with the next finer one. A level
    that shows something else, whose scale remains unknown, that is that of another, or that is no
    smaller than the slide, is left out with a note.

    Parameters
    ----------
    stored
        The finest level first; the others in any order.
    agrees
        Compares pixels; without it the likeliest scale of a size counts.
    """
    base = stored[0]
    left_out: dict[int, _Reason] = {}
    found: list[Placed] = []
    for place, scales in _likely_scales(base, stored, agrees).items():
        item = stored[place]
        if item.width >= base.width and item.height >= base.height:
            left_out[place] = _Reason.NOT_SMALLER
        elif scales is None or min(scales) <= 1 + SAME_RATIO:
            left_out[place] = _Reason.UNKNOWN
        else:
            found.append(Placed(place, scales))
    kept = [_FINEST]
    for level in sorted(found, key=lambda entry: (entry.scales[0] * entry.scales[1], entry.place)):
        if level.scales == kept[-1].scales:
            left_out[level.place] = _Reason.UNKNOWN
        elif agrees is not None and agrees(kept[-1], level, proof=False) is False:
            left_out[level.place] = _Reason.OTHER_CONTENT
        else:
            kept.append(level)
    levels = tuple(_level(index, base, stored[one.place], one) for index, one in enumerate(kept))
    return Pyramid(levels, tuple(one.place for one in kept), _notes(stored, left_out))


def _likely_scales(
    base: StoredLevel, stored: Sequence[StoredLevel], agrees: Agrees | None
) -> dict[int, Scales | None]:
    """Return the scales of all levels but the finest, by their places; None where unknown."""
    known = {place: _scales(base, item) for place, item in enumerate(stored[1:], 1)}
    if any(s and _is_padded(base, stored[place], s) for place, s in known.items()):
        # Where one level is padded, another that padding explains in one way is padded too.
        for place, scales in known.items():
            padded = _padded_factors(base, stored[place])
            if scales is None and len(padded) == 1:
                known[place] = float(padded[0]), float(padded[0])
    if agrees is None:
        return known
    return {
        place: _compared(base, stored[place], scales, place, agrees)
        for place, scales in known.items()
    }


def _compared(
    base: StoredLevel,
    item: StoredLevel,
    scales: Scales | None,
    place: int,
    agrees: Agrees,
) -> Scales | None:
    """Return the scale that pixels confirm where the size of a level allows several.

    Where padding alone explains a size, scales that no power of two gives are possible, too.
    """
    if scales is not None and scales == _stated_scales(base, item):
        return scales
    possible = _possible_factors(base, item)
    if len(possible) < 2 and not (scales and _is_padded(base, item, scales)):
        return scales
    seen = {
        factor: agrees(_FINEST, Placed(place, (factor, factor)), proof=True) for factor in possible
    }
    if all(same is None for same in seen.values()):  # nothing but glass, alike at any scale
        return scales
    confirmed = sorted(
        (f for f, same in seen.items() if same is not False), key=lambda f: not seen[f]
    )
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


def _is_padded(base: StoredLevel, item: StoredLevel, scales: Scales) -> bool:
    beyond = item.width - base.width / scales[0], item.height - base.height / scales[1]
    return max(beyond) >= 2


def _level(index: int, base: StoredLevel, item: StoredLevel, placed: Placed) -> Level:
    """Return a level without its padding."""
    width = min(item.width, max(1, round(base.width / placed.scales[0])))
    height = min(item.height, max(1, round(base.height / placed.scales[1])))
    return Level(index, width, height, *placed.scales)


def _scales(base: StoredLevel, item: StoredLevel) -> Scales | None:
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


def _contradicted(base: StoredLevel, item: StoredLevel, stated: Scales) -> bool:
    """Return whether a scale that no scanner makes stands against sizes that fit another."""
    sizes = _scales_of_sizes(base, item)
    if sizes is None or all(
        math.isclose(one, other, rel_tol=NEAR_WHOLE)
        for one, other in zip(sizes, stated, strict=True)
    ):
        return False
    usual = stated[0] == stated[1] == round(stated[0])
    return not usual


def _stated_scales(base: StoredLevel, item: StoredLevel) -> Scales | None:
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


def _scales_of_sizes(base: StoredLevel, item: StoredLevel) -> Scales | None:
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


class _Reason(StrEnum):
    """Why a level is left out, as what follows a colon."""

    UNKNOWN = (
        "neither what the file states nor its size says clearly how it lies on the slide of "
        "{base.width}×{base.height} pixels. Finer levels are read instead."
    )
    OTHER_CONTENT = (
        "its pixels do not show what the slide of {base.width}×{base.height} pixels shows. Finer "
        "levels are read instead."
    )
    NOT_SMALLER = "it is no smaller than the slide of {base.width}×{base.height} pixels."


def _notes(stored: Sequence[StoredLevel], left_out: Mapping[int, _Reason]) -> tuple[SlideNote, ...]:
    return tuple(
        SlideNote(
            NoteCode.LEVEL_LEFT_OUT,
            f"A level of {stored[place].width}×{stored[place].height} pixels is left out: "
            f"{reason.format(base=stored[0])}",
        )
        for place, reason in sorted(left_out.items())
        if max(stored[place].width, stored[place].height) > TOO_FEW_PX
    )
