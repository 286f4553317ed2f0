"""Find tissue on a picture of about 8 µm per pixel: what is coloured, and not ink."""

import math

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.tissue.areas import (
    COARSE,
    coarse,
    fine,
    grown,
    lines,
    mostly,
    shrunk,
    without_small,
)
from napari_xmag.slide.tissue.faint import find_faint
from napari_xmag.slide.tissue.glass import find_glass
from napari_xmag.slide.tissue.mask import TissueChoice, TissueFindings, TissueMask
from napari_xmag.slide.tissue.pen import Marks, find_marks
from napari_xmag.slide.tissue.staining import Staining, measure_staining

Mask = NDArray[np.bool_]

# Specks below and holes up to these areas are dust and lumens, not fragments and glass.
SPECK_UM2 = 10_000.0
HOLE_UM2 = 20_000.0
# Colourfulness above that of glass, 0 to 255; tissue at a fifth of the usual stain has 15.
COLORED = 8
# Silver blackens without colour. Where hardly anything is coloured, tissue is what is darker than
# glass by so many levels, wider than twice so many pixels, and rough in so much of it.
GREY = 16
GREY_RADIUS = 6
GREY_ROUGH = 0.3
GREY_MORE = 3
ROUGH = 8
# What is nowhere wider than twice this, yet has such an area, is a line: the edge of a cover slip,
# the rim of a bubble, a fibre.
LINE_UM = 36.0
LINE_UM2 = 30_000.0
# Of what is not glass, more than these parts without texture are kept, unless a pen drew them: what
# is attached to tissue, and what lies by itself.
MOST_ATTACHED = 0.03
MOST_ALONE = 0.2
# Nobody draws over so much of a slide: what looks like a pen is kept then, and flagged.
MOST_PEN = 0.3


def find_tissue(slide: Slide) -> TissueMask:
    """Find tissue: what is coloured against the slide's own glass, and has texture.

    What is damaged in the file is neither tissue nor glass, but ``unreadable``.

    Glass is whatever bright, smooth colour dominates the slide. Pen marks are known by their shape
    and by their lack of texture at the scale of cells, not by their colour; tissue that is hardly
    stained is known by having it. Black and transparent areas, specks and holes are removed by
    their area in µm².

    Returns
    -------
    The mask, with what was noticed in its ``findings``.

    Raises
    ------
    MppMissingError
        When the slide has no mpp.
    """
    mpp = require_mpp(slide)
    overview = read_overview(slide)
    pixel_um2 = overview.scale_x * mpp.x * overview.scale_y * mpp.y
    glass = find_glass(overview)
    staining = measure_staining(overview, glass)
    stained = _stained(staining, overview.usable, HOLE_UM2 / pixel_um2)
    stained = without_small(stained, SPECK_UM2 / pixel_um2)
    marks = find_marks(slide, overview, staining, stained, glass.color, pixel_um2)
    left_out = _left_out(marks, stained, SPECK_UM2 / pixel_um2)
    faint = find_faint(slide, overview, staining, stained, left_out, pixel_um2)
    tissue = _solid(stained | faint, left_out, pixel_um2) & overview.usable & ~left_out
    red, green, blue = map(float, glass.color)
    findings = TissueFindings(
        glass=(red, green, blue),
        tissue=_share(tissue, overview.usable),
        pen=_share(marks.strokes & left_out, stained),
        smears=_share(left_out & ~marks.strokes, stained),
        kept=_share((marks.strokes | marks.doubtful) & ~left_out, stained),
    )
    scales = overview.scale_x, overview.scale_y
    return TissueMask(tissue, *scales, TissueChoice.AUTO, findings, overview.unreadable)


def _stained(staining: Staining, usable: Mask, hole: float) -> Mask:
    """Return what is not glass: what has colour, or is blackened by silver."""
    colored = (staining.saturation > COLORED) & usable
    dark = (staining.darkness > GREY) & usable
    if dark.sum() < GREY_MORE * colored.sum():
        return colored
    dark = ~without_small(~dark, hole)
    wide = grown(shrunk(dark, GREY_RADIUS), GREY_RADIUS) & dark
    inside = shrunk(wide, GREY_RADIUS)
    rough = _share((staining.rough > ROUGH) & inside, inside)
    return colored | wide if rough >= GREY_ROUGH else colored


def _left_out(marks: Marks, stained: Mask, least: float) -> Mask:
    """Return which marks are no tissue; those that would leave nothing else stay."""
    drawn = _share(marks.strokes, stained) <= MOST_PEN
    left_out = marks.strokes if drawn else np.zeros_like(stained)
    if marks.doubtful.any():
        alone = mostly(stained, marks.doubtful)
        if _share(alone, stained) <= MOST_ALONE:
            left_out = left_out | alone
        attached = marks.doubtful & ~alone
        if _share(attached, stained) <= MOST_ATTACHED:
            left_out = left_out | attached
    if not left_out.any() or without_small(stained & ~left_out, least).any():
        return left_out
    return np.zeros_like(stained)


def _solid(stained: Mask, left_out: Mask, pixel_um2: float) -> Mask:
    """Return tissue without specks and lines, its holes filled."""
    tissue = stained
    if left_out.any():
        tissue = without_small(stained & ~left_out, SPECK_UM2 / pixel_um2)
    tissue = ~without_small(~tissue, HOLE_UM2 / pixel_um2)
    side_um = COARSE * math.sqrt(pixel_um2)
    drawn = lines(coarse(tissue), max(1, round(LINE_UM / side_um)), LINE_UM2 / side_um**2)
    return tissue & ~fine(drawn, *tissue.shape) if drawn.any() else tissue


def _share(part: Mask, whole: Mask) -> float:
    return float(part.sum() / max(1, whole.sum()))
