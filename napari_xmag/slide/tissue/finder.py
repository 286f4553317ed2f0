"""Find tissue on a picture of about 8 µm per pixel: what is coloured, and not ink."""

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.tissue.areas import grown, shrunk, without_small
from napari_xmag.slide.tissue.glass import find_glass
from napari_xmag.slide.tissue.mask import TissueFindings, TissueMask
from napari_xmag.slide.tissue.pen import Marks, find_marks
from napari_xmag.slide.tissue.staining import Staining, measure_staining

Mask = NDArray[np.bool_]

# Specks below and holes up to these areas are dust and lumens, not fragments and glass.
SPECK_UM2 = 10_000.0
HOLE_UM2 = 20_000.0
# Colourfulness above that of glass, 0 to 1; tissue at a fifth of the usual stain has 0.06.
COLORED = 0.035
# Silver blackens without colour. Such grey is tissue when it is darker than glass by this part,
# wider than twice so many pixels, rough in so much of it, and so much more than what is coloured.
GREY = 0.12
GREY_RADIUS = 8
GREY_ROUGH = 0.3
GREY_MORE = 4
ROUGH = 8
# Of what is not glass, more than this part without texture is kept, unless a pen drew it.
MOST_DOUBTFUL = 0.03


def find_tissue(slide: Slide) -> TissueMask:
    """Find tissue: what is coloured against the slide's own glass, and has texture.

    What is damaged in the file is neither tissue nor glass, but ``unreadable``.

    Glass is whatever bright, smooth colour dominates the slide. Pen marks are known by their shape
    and by their lack of texture at the scale of cells, not by their colour. Black and transparent
    areas, specks and holes are removed by their area in µm².

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
    stained = _stained(staining, overview.usable)
    stained = without_small(stained, SPECK_UM2 / pixel_um2)
    marks = find_marks(slide, overview, staining, stained, glass.color, pixel_um2)
    left_out = _left_out(marks, stained, SPECK_UM2 / pixel_um2)
    tissue = without_small(stained & ~left_out, SPECK_UM2 / pixel_um2)
    tissue = ~without_small(~tissue, HOLE_UM2 / pixel_um2) & overview.usable & ~left_out
    red, green, blue = map(float, glass.color)
    findings = TissueFindings(
        glass=(red, green, blue),
        tissue=_share(tissue, overview.usable),
        left_out=_share(left_out, stained),
        kept=_share((marks.strokes | marks.doubtful) & ~left_out, stained),
    )
    scales = overview.scale_x, overview.scale_y
    return TissueMask(tissue, *scales, "auto", findings, overview.unreadable)


def _stained(staining: Staining, usable: Mask) -> Mask:
    """Return what is not glass: what has colour, or is blackened by silver."""
    colored = (staining.saturation > COLORED) & usable
    grey = (staining.darkness > GREY) & usable & ~colored
    if grey.sum() < GREY_MORE * colored.sum():
        return colored
    wide = grown(shrunk(grey, GREY_RADIUS), GREY_RADIUS)
    inside = shrunk(wide, GREY_RADIUS // 2)
    rough = _share((staining.rough > ROUGH) & inside, inside)
    return colored | (wide & grey) if rough >= GREY_ROUGH else colored


def _left_out(marks: Marks, stained: Mask, least: float) -> Mask:
    """Return which marks are no tissue; those that would leave nothing else stay."""
    strokes = marks.strokes
    if not without_small(stained & ~strokes & ~marks.doubtful, least).any():
        return np.zeros_like(stained)
    if _share(marks.doubtful, stained) > MOST_DOUBTFUL:
        return strokes
    return strokes | marks.doubtful


def _share(part: Mask, whole: Mask) -> float:
    return float(part.sum() / max(1, whole.sum()))
