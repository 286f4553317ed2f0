"""Colours of a slide's levels where what is stored contradicts what the file says of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_xmag.slide.base import NoteCode, SlideNote
from napari_xmag.slide.colors.glass import decide_color_space, shows_glass
from napari_xmag.slide.colors.stored import ColorModel, Samples, StoredColor, scaled_to_8_bit
from napari_xmag.slide.segments import SegmentLevel

_FULL = 2**16 - 1
# Cameras give so many bits, which some writers leave in 16 without saying so.
_BITS = (8, 10, 12, 14)
# No exposure leaves a picture in the lowest sixteenth of its range; in a quarter, tissue may be.
_SURE_BITS = 12


def with_seen_colors(
    levels: Sequence[SegmentLevel],
) -> tuple[list[SegmentLevel], tuple[SlideNote, ...]]:
    """Return levels whose colours follow from their samples, and notes of what that changed.

    Bits and colour space are those of the whole slide: its coarsest and its finest level tell.
    """
    color = levels[0].color
    is_color = color.model in (ColorModel.RGB, ColorModel.YCBCR)
    if not is_color or not (color.by_label or color.peak == _FULL):
        return list(levels), () if color.verified else (_unverified(),)
    ends = dict.fromkeys((levels[-1], levels[0]))
    samples = [part[..., :3] for level in ends for part in level.some_samples()]
    used = 2 ** _used_bits(samples) - 1 if color.peak == _FULL else color.peak
    scaled = replace(color, peak=used)
    meant = used != color.peak and _is_scale(scaled, samples)
    seen = _judged(scaled if meant else color, samples)
    adopted = [
        replace(level, color=replace(level.color, peak=seen.peak, model=seen.model))
        if (level.color.peak, level.color.model) == (color.peak, color.model)
        else level
        for level in levels
    ]
    return adopted, _notes(color, seen, used)


def _used_bits(samples: Sequence[Samples]) -> int:
    """Return how many bits the samples need; 16 where there are none of more than 8."""
    highest = max((int(part.max()) for part in samples if part.dtype == np.uint16), default=0)
    return next((bits for bits in _BITS if 0 < highest < 2**bits), 16)


def _is_scale(color: StoredColor, samples: Sequence[Samples]) -> bool:
    """Return whether a picture that uses no more than a peak was meant for it."""
    if color.peak.bit_length() <= _SURE_BITS:
        return True
    labelled = color.model is ColorModel.YCBCR
    return shows_glass([scaled_to_8_bit(part, color.peak) for part in samples], labelled)


def _judged(color: StoredColor, samples: Sequence[Samples]) -> StoredColor:
    if not color.by_label:
        return color
    labelled = color.model is ColorModel.YCBCR
    found = decide_color_space([scaled_to_8_bit(part, color.peak) for part in samples], labelled)
    model = ColorModel.YCBCR if found.is_ycbcr else ColorModel.RGB
    return replace(color, model=model, verified=found.sure)


def _notes(color: StoredColor, seen: StoredColor, used: int) -> tuple[SlideNote, ...]:
    notes = []
    if used != color.peak:
        words = f"The file states 16 bits per channel, but only {used.bit_length()} are used"
        if seen.peak == used:
            words += f": {used:,} is white."
        else:
            words += ". No glass shows whether the tissue is dark, so it is shown as stated."
        notes.append(SlideNote(NoteCode.COLORS, words))
    if not seen.verified:
        notes.append(_unverified())
    return tuple(notes)


def _unverified() -> SlideNote:
    return SlideNote(
        NoteCode.COLORS,
        "The colour space could not be verified: no glass or other colour is visible that would "
        "show whether the file's label, RGB or YCbCr, is correct.",
    )
