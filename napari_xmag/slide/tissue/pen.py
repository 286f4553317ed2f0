"""Pen marks and smears: coloured areas that are smooth where tissue has cells.

Colour alone tells nothing: picrosirius red, aniline blue and light green are as vivid as felt pens.
So every evenly coloured area that stands out from its surroundings, or fades into glass, is looked
at again at the scale of cells. What has no texture there is no tissue.
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide
from napari_xmag.slide.overview import Overview
from napari_xmag.slide.tissue.areas import COARSE, coarse, fine, grown, shrunk
from napari_xmag.slide.tissue.ink import color_overlap, same_ink
from napari_xmag.slide.tissue.smooth_areas import VIVID, SmoothArea, smooth_areas
from napari_xmag.slide.tissue.staining import Staining
from napari_xmag.slide.tissue.texture import Region, cell_texture, spread_places

Mask = NDArray[np.bool_]

# The rim of a stroke, blurred, in overview pixels.
_RIM = 6
# An area is suspect when its colour differs from what surrounds it by so many levels, or by fewer
# where so much of that is glass; and a larger one when it borders on much glass, or fades to it.
_STANDS_OUT = 45
_STANDS_OUT_ON_GLASS = 18
_BESIDE_GLASS = 0.2
_LARGE_UM2 = 30_000.0
_ON_GLASS = 0.35
# Most areas that are looked at, largest first.
_MOST_AREAS = 40
# Ink has less texture than this at the scale of cells, and pale haze less than that; so many of the
# places in an area may have more.
_INK_TEXTURE = 2.2
_HAZE_TEXTURE = 0.9
_MAY_DIFFER = 1
# A stroke keeps so much of its colour up to its edge, where a smear fades, and is at most so wide.
_SHARP = 0.6
_WIDEST_UM = 4_000.0
# A pen's colour overlaps with that of tissue, at so many coarse pixels from it, by no more than
# this part.
_AWAY = 5
_OWN_COLOR = 0.5


@dataclass(frozen=True, eq=False)
class Marks:
    """What is coloured, but shows no cells.

    Attributes
    ----------
    strokes
        bool (H, W): strokes and dots of a pen.
    doubtful
        bool (H, W): as smooth as ink, but without the shape of a stroke, or too pale.
    """

    strokes: Mask
    doubtful: Mask


def find_marks(
    slide: Slide,
    overview: Overview,
    staining: Staining,
    colored: Mask,
    glass: NDArray[np.float32],
    pixel_um2: float,
) -> Marks:
    """Find pen marks and smears among what is coloured.

    Parameters
    ----------
    colored
        bool (H, W): where the overview is not glass.
    glass
        float (3,), colour of the glass.
    pixel_um2
        Area of an overview pixel in µm².
    """
    coarse_um2 = pixel_um2 * COARSE**2
    everything = coarse(colored)
    strokes, doubtful = np.zeros_like(everything), np.zeros_like(everything)
    scale = overview.scale_x * COARSE, overview.scale_y * COARSE
    suspects = (a for a in smooth_areas(staining, colored, pixel_um2) if _suspect(a, coarse_um2))
    for area in islice(suspects, _MOST_AREAS):
        if _is_plain(slide, area, scale):
            height, width = area.region.shape
            target = strokes if _is_stroke(area, coarse_um2) else doubtful
            target[area.top : area.top + height, area.left : area.left + width] |= area.region
    strokes, doubtful = _by_color(staining.coarse, everything, strokes, doubtful, glass)
    # Haze fades into glass: what is vivid beside it is tissue.
    pale = colored & (staining.saturation < VIVID)
    return Marks(_with_rim(strokes, colored) & colored, _with_rim(doubtful, pale) & colored)


def _suspect(area: SmoothArea, coarse_um2: float) -> bool:
    """Say whether an area may be pen or smear, as far as the overview tells."""
    if area.contrast >= _STANDS_OUT and area.is_vivid:
        return True
    if area.contrast >= _STANDS_OUT_ON_GLASS and area.beside_glass >= _BESIDE_GLASS:
        return True
    large = area.core.sum() * coarse_um2 >= _LARGE_UM2
    return bool(large and (area.beside_glass >= _ON_GLASS or area.sharp < _SHARP))


def _is_plain(slide: Slide, area: SmoothArea, scale: tuple[float, float]) -> bool:
    """Say whether an area has no texture at the scale of cells."""
    # The edge of a stroke is no texture of what is within.
    inner = shrunk(area.region, 1)
    inner = inner if inner.any() else area.region
    region = Region(inner, area.top, area.left, *scale)
    limit = _INK_TEXTURE if area.is_vivid else _HAZE_TEXTURE
    plain = textured = 0
    for row, column in spread_places(area.core):
        texture = cell_texture(slide, region, row, column)
        plain += texture is not None and texture <= limit
        textured += texture is not None and texture > limit
        if textured > _MAY_DIFFER:
            return False
    return plain > textured


def _is_stroke(area: SmoothArea, coarse_um2: float) -> bool:
    narrow = area.width * coarse_um2**0.5 <= _WIDEST_UM
    return area.is_vivid and narrow and area.sharp >= _SHARP


def _by_color(
    pixels: NDArray[np.uint8],
    colored: Mask,
    strokes: Mask,
    doubtful: Mask,
    glass: NDArray[np.float32],
) -> tuple[Mask, Mask]:
    """Doubt strokes of the colour that tissue has, and follow those that have their own."""
    if not strokes.any():
        return strokes, doubtful
    rest = colored & ~grown(strokes | doubtful, _AWAY)
    if color_overlap(pixels, strokes, rest, glass) > _OWN_COLOR:
        return np.zeros_like(strokes), doubtful | strokes
    strokes = same_ink(pixels, colored, strokes, glass)
    return strokes, doubtful & ~strokes


def _with_rim(marks: Mask, rim: Mask) -> Mask:
    """Return marks of the coarse grid on the overview, with what of their rim may be theirs."""
    if not marks.any():
        return np.zeros_like(rim)
    marks = fine(marks, *rim.shape)
    return marks | (grown(marks, _RIM) & rim)
