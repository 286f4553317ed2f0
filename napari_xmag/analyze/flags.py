"""Warnings that travel with a result, in words for a pathologist."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import BY_HAND, MppSource, SlideNote
from napari_xmag.slide.tissue import TissueChoice, TissueFindings, TissueMask

LITTLE_TISSUE_TILES = 10
"""Fewer tiles than this, and a slide-level answer rests on very little."""

NEARLY_ALL = 0.95
NEARLY_NONE = 0.002
"""Above and below these parts of what was scanned, the tissue finder may have gone wrong."""

MANY_MARKS = 0.03
"""More pen and smears than this part of what is not glass is worth a look."""

TEACH_AGAIN = "Mark a few patches on this slide and teach the model again."
MOST_NOT_TAUGHT = 0.5
MUCH_NOT_TAUGHT = 0.15
"""Above these parts of the tissue, what no example was like makes a map doubtful, or worthless."""

COARSE, TOO_COARSE = 1.25, 4.0
"""Pixels so much larger than those of the model's tiles lack detail, or show no cells at all."""

ALIKE_RATIO = 1.1
"""Highest attention over lowest below which a map says nothing."""


class FlagCode(StrEnum):
    """What a flag is about; what the slide itself must say has a `NoteCode` instead."""

    NO_TISSUE = "no_tissue"
    LITTLE_TISSUE = "little_tissue"
    NEARLY_ALL_TISSUE = "nearly_all_tissue"
    NEARLY_NO_TISSUE = "nearly_no_tissue"
    PEN_MARKS = "pen_marks"
    DEGENERATE_MAP = "degenerate_map"
    UNREADABLE_TILES = "unreadable_tiles"
    NOTHING_READABLE = "nothing_readable"
    MPP_BY_HAND = "mpp_by_hand"
    MPP_CONFLICT = "mpp_conflict"
    COARSE_SLIDE = "coarse_slide"
    TOO_COARSE = "too_coarse"
    OUT_OF_RANGE = "out_of_range"
    RANGE_UNKNOWN = "range_unknown"
    NOT_TAUGHT = "not_taught"
    DEMONSTRATION = "demonstration"
    REGIONS = "regions"
    QUICK = "quick"


@dataclass(frozen=True, slots=True)
class Flag:
    """One warning.

    Attributes
    ----------
    code
        For programs; a `FlagCode` or a `NoteCode`.
    words
        For people.
    """

    code: str
    words: str


def demonstration_flag(name: str) -> Flag:
    """Say that the model only shows how the program works."""
    return Flag(
        FlagCode.DEMONSTRATION,
        f"{name} is a demonstration model: it shows how the program works, "
        "and its prediction says nothing about this tissue.",
    )


def tissue_flags(planned: int, analyzed: int, area_mm2: float) -> list[Flag]:
    """Say when there was no tissue, or so little that a prediction rests on a few tiles."""
    if planned == 0:
        words = (
            "No tissue was found, so there is no prediction. Check the tissue outline: correct "
            "it, or analyze the whole slide."
        )
        return [Flag(FlagCode.NO_TISSUE, words)]
    if 0 < analyzed < LITTLE_TISSUE_TILES:
        tiles = "1 tile" if analyzed == 1 else f"{analyzed} tiles"
        words = (
            f"Very little tissue: the prediction rests on {tiles} ({area_mm2:.2g} mm²). "
            "A single artefact could change the prediction."
        )
        return [Flag(FlagCode.LITTLE_TISSUE, words)]
    return []


def finder_flags(mask: TissueMask) -> list[Flag]:
    """Say what was noticed while the program found the tissue, so that somebody looks."""
    findings = mask.findings
    if findings is None:
        return []
    flags = []
    if mask.method == TissueChoice.AUTO and findings.tissue >= NEARLY_ALL:
        words = (
            f"Nearly everything that was scanned ({100 * findings.tissue:.3g} %) was identified "
            "as tissue. If the slide shows glass, it was not recognized: check the tissue outline "
            "and correct it."
        )
        flags.append(Flag(FlagCode.NEARLY_ALL_TISSUE, words))
    elif mask.method == TissueChoice.AUTO and 0 < findings.tissue <= NEARLY_NONE:
        words = (
            f"Only {100 * findings.tissue:.2g} % of what was scanned was identified as tissue. "
            "Check the tissue outline: correct it, or analyze the whole slide."
        )
        flags.append(Flag(FlagCode.NEARLY_NO_TISSUE, words))
    return flags + _mark_flags(findings)


def _mark_flags(findings: TissueFindings) -> list[Flag]:
    """Say how much of what is not glass looks like pen, and whether it is part of the tissue."""
    if findings.kept > 0:
        words = (
            f"{100 * findings.kept:.2g} % of the detected tissue is as smooth as pen or a smear. "
            "It may still be tissue, so it was kept: check the tissue outline and erase what is "
            "not tissue."
        )
    elif findings.pen + findings.smears > MANY_MARKS:
        words = (
            f"Pen marks and smears, {100 * (findings.pen + findings.smears):.2g} % of what is not "
            "glass, were left out. Check the tissue outline and paint in any tissue that was "
            "missed."
        )
    else:
        return []
    return [Flag(FlagCode.PEN_MARKS, words)]


def unreadable_flags(planned: int, unreadable: int) -> list[Flag]:
    """Say how many tiles of the file are damaged."""
    if unreadable == 0:
        return []
    if unreadable == planned:
        words = (
            f"None of the {planned} tiles could be read, so there is no prediction. "
            "The file is damaged: copy it again from the scanner."
        )
        return [Flag(FlagCode.NOTHING_READABLE, words)]
    share = 100 * unreadable / planned
    words = (
        f"{unreadable} of {planned} tiles ({share:.2g} %) could not be read and were not "
        "analyzed. The file may be damaged; result.json lists the positions of these tiles."
    )
    return [Flag(FlagCode.UNREADABLE_TILES, words)]


def quick_flags(planned: int, done: int) -> list[Flag]:
    """Say how much of the tissue a quick analysis looked at."""
    if done >= planned:
        return []
    words = (
        f"Quick analysis: {done} of {planned} tiles ({100 * done / planned:.0f} %), spread evenly "
        "over the tissue, were analyzed, enough to settle the prediction. The map has gaps, and a "
        "small lesion can be missed."
    )
    return [Flag(FlagCode.QUICK, words)]


def mpp_flags(source: str, mpp: float, conflict: str) -> list[Flag]:
    """Say when the pixel size was given by hand, or when it is doubtful."""
    flags = []
    if source in BY_HAND:
        when = "earlier and remembered" if source == MppSource.REMEMBERED else "by hand"
        words = (
            f"The pixel size ({mpp:.4g} µm) was entered {when}. If it is wrong, the model sees "
            "the tissue at the wrong magnification."
        )
        flags.append(Flag(FlagCode.MPP_BY_HAND, words))
    if conflict:
        sentence = conflict[0].upper() + conflict[1:].rstrip(".")
        words = f"The pixel size is doubtful. {sentence}."
        flags.append(Flag(FlagCode.MPP_CONFLICT, words))
    return flags


def coarse_flags(slide: float, model: float) -> list[Flag]:
    """Say when tiles must be magnified, which gives them the right size, but no detail.

    Parameters
    ----------
    slide
        µm per pixel of the slide's finest level.
    model
        µm per pixel that the model wants.
    """
    if slide < COARSE * model:
        return []
    words = (
        f"The slide has {slide:.3g} µm per pixel, the model expects {model:.3g}: its tiles "
        "are magnified and lack detail. Analyze a scan at full resolution."
    )
    code = FlagCode.TOO_COARSE if slide >= TOO_COARSE * model else FlagCode.COARSE_SLIDE
    return [Flag(code, words)]


def note_flags(notes: Iterable[SlideNote]) -> list[Flag]:
    """Say what the slide says of itself: what of its file is not shown, and what is damaged."""
    return [Flag(note.code, note.words) for note in notes]


def degenerate_flags(attention: NDArray[np.floating]) -> list[Flag]:
    """Say when all patches got nearly the same attention: such a map points at nothing.

    Parameters
    ----------
    attention
        (P,), sums to 1.
    """
    if len(attention) < 2:
        return []
    lowest = float(attention.min())
    if lowest <= 0 or float(attention.max()) / lowest >= ALIKE_RATIO:
        return []
    words = (
        "The model paid nearly the same attention to every patch: the differences between the heat "
        "map's colours are meaningless. Do not interpret individual areas."
    )
    return [Flag(FlagCode.DEGENERATE_MAP, words)]


def not_taught_flags(share: float, *, is_advised: bool = False) -> list[Flag]:
    """Say how much of the tissue is unlike every example; most of it means out of range.

    Parameters
    ----------
    share
        Part of the tissue, 0 to 1.
    is_advised
        Whether another flag says already what to do.
    """
    if share > MOST_NOT_TAUGHT:
        words = (
            f"{share:.0%} of the tissue is unlike any example that the model was taught with, "
            "perhaps because of a different stain, scanner or tissue type."
        )
        words = words if is_advised else f"{words} {TEACH_AGAIN}"
        return [Flag(FlagCode.OUT_OF_RANGE, words)]
    if share > MUCH_NOT_TAUGHT:
        words = (
            f"{share:.0%} of the tissue is unlike any example that the model was taught with, and "
            "has no class."
        )
        return [Flag(FlagCode.NOT_TAUGHT, words)]
    return []


def range_flags(distance: float, limit: float, *, is_taught: bool = False) -> list[Flag]:
    """Say when the slide's features lie far from those that the model was trained on.

    Parameters
    ----------
    is_taught
        Whether the model was taught by examples, so that more of them help.
    """
    if distance <= limit:
        return []
    learned = "taught" if is_taught else "trained"
    words = (
        f"This slide looks unlike those the model was {learned} on ({how_far(distance, limit)}): "
        "perhaps a different stain, scanner or tissue type."
    )
    if is_taught:
        words += f" {TEACH_AGAIN}"
    return [Flag(FlagCode.OUT_OF_RANGE, words)]


def range_unknown_flag() -> Flag:
    """Say that nobody can tell whether a slide is like those that the model learned from."""
    return Flag(
        FlagCode.RANGE_UNKNOWN,
        "The model does not state what its training slides looked like, so it could not be checked "
        "whether this slide resembles them.",
    )


def how_far(distance: float, limit: float) -> str:
    """Return for instance "1.9 times the usual distance", of a distance beyond a limit."""
    if limit <= 0:
        return "beyond the usual distance"
    times = round(distance / limit, 1)
    return f"{times} times the usual distance" if times > 1 else "just beyond the usual distance"
