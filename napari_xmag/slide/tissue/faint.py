"""Tissue that is hardly stained: too pale to be told from tinted glass, but with cells in it."""

import math
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide
from napari_xmag.slide.overview import Overview
from napari_xmag.slide.tissue.areas import COARSE, coarse, fine, grown, labelled_areas, shrunk
from napari_xmag.slide.tissue.staining import Staining
from napari_xmag.slide.tissue.texture import Region, cell_texture, spread_places

Mask = NDArray[np.bool_]

# Mean colourfulness above that of glass, 0 to 255, and over how many coarse pixels.
_FAINT = 2.5
_MEAN_PX = 3
# Half of the least width of faint areas, in coarse pixels, and how large they must be without such
# an edge. Narrower is the blurred rim of what is well stained: coloured, and wider than twice this.
_NARROW = 2
_VIVID = 3
_LEAST_UM2 = 20_000.0
# Most areas that are looked at, largest first.
_MOST_AREAS = 40
# Tissue has more texture at the scale of cells than this, and than so many times that of glass; so
# many of the places in an area may have less.
_TISSUE_TEXTURE = 1.3
_MORE_THAN_GLASS = 1.4
_MAY_DIFFER = 1
# Glass is looked at so far from anything coloured, in coarse pixels.
_AWAY = 6


def find_faint(
    slide: Slide,
    overview: Overview,
    staining: Staining,
    colored: Mask,
    marks: Mask,
    pixel_um2: float,
) -> Mask:
    """Find what has little colour, but the texture of tissue.

    Parameters
    ----------
    colored
        bool (H, W): where the overview clearly has colour.
    marks
        bool (H, W): what is pen or smear; what borders on it is its rim.
    pixel_um2
        Area of an overview pixel in µm².

    Returns
    -------
    bool (H, W).
    """
    from scipy.ndimage import uniform_filter

    usable, clear = coarse(overview.usable), coarse(colored)
    mean = uniform_filter(coarse(staining.saturation).astype(np.float32), _MEAN_PX)
    faint = (mean > _FAINT) & usable
    vivid = grown(shrunk(clear, _VIVID) | coarse(marks), _VIVID + 1)
    # Texture is looked for at some distance from edges, those of the slide included: they are none.
    inner = np.zeros_like(faint)
    inner[_NARROW:-_NARROW, _NARROW:-_NARROW] = True
    cores = shrunk(faint & ~vivid, _NARROW) & inner
    scale = overview.scale_x * COARSE, overview.scale_y * COARSE
    least = _LEAST_UM2 / (pixel_um2 * COARSE**2)
    found = np.zeros_like(faint)
    limit: float | None = None
    for rows, columns, area in islice(labelled_areas(cores, least), _MOST_AREAS):
        limit = limit or _limit(slide, usable & ~grown(faint | clear, _AWAY), scale)
        if _has_cells(slide, Region(area, rows.start, columns.start, *scale), limit):
            found[rows, columns] |= area
    return fine(grown(found, _NARROW) & faint, *colored.shape) & overview.usable


def _has_cells(slide: Slide, region: Region, limit: float) -> bool:
    """Say whether nearly all places of an area have more texture than glass."""
    textures = [cell_texture(slide, region, *place) for place in spread_places(region.pixels)]
    known = [texture for texture in textures if texture is not None]
    textured = sum(texture > limit for texture in known)
    return textured > 0 and len(known) - textured <= _MAY_DIFFER


def _limit(slide: Slide, glass: Mask, scale: tuple[float, float]) -> float:
    """Return the least texture of tissue: clearly above the noise that glass has, too."""
    if not glass.any():
        return math.inf
    region = Region(glass, 0, 0, *scale)
    textures = [cell_texture(slide, region, *place) for place in spread_places(glass)]
    known = [texture for texture in textures if texture is not None]
    noise = float(np.median(known)) if known else math.inf
    return max(_TISSUE_TEXTURE, _MORE_THAN_GLASS * noise)
