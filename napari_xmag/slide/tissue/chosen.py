"""Tissue that the user chose: all that was scanned, what was painted, or regions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TissueError
from napari_xmag.slide.base import Slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.polygons import fill_polygon
from napari_xmag.slide.tissue.areas import resized
from napari_xmag.slide.tissue.finder import find_tissue
from napari_xmag.slide.tissue.mask import TissueChoice, TissueMask


def whole_slide(slide: Slide) -> TissueMask:
    """Take everything that was scanned: the bounds without black and transparent areas."""
    overview = read_overview(slide)
    scales = overview.scale_x, overview.scale_y
    return TissueMask(overview.usable, *scales, TissueChoice.WHOLE, unreadable=overview.unreadable)


def painted(slide: Slide, pixels: NDArray[np.bool_]) -> TissueMask:
    """Take what the user painted on a picture of the whole slide, bool (H, W) of any size.

    Raises
    ------
    TissueError
        When the picture does not have the slide's proportions.
    """
    height, width = pixels.shape
    base = slide.levels[0]
    # Half a pixel of rounding on either side is all that a picture of the whole slide can be off.
    if abs(base.width / width * height - base.height) > base.width / width:
        raise TissueError(
            expected=f"a tissue mask with the proportions of the slide, {base.width}×{base.height}",
            found=f"one of {width}×{height}",
            hint="Paint on the mask of this slide.",
        )
    overview = read_overview(slide)
    usable, lost = (
        resized(part, height, width) & pixels.astype(bool)
        for part in (overview.usable, overview.unreadable)
    )
    scales = base.width / width, base.height / height
    return TissueMask(usable, *scales, TissueChoice.PAINTED, unreadable=lost)


def tissue_in_polygons(
    slide: Slide, polygons: Sequence[NDArray[np.float64]], *, only_tissue: bool = True
) -> TissueMask:
    """Take the tissue within polygons.

    Parameters
    ----------
    polygons
        Each (N, 2): x, y in level-0 pixels, filled by the even-odd rule.
    only_tissue
        Leave out the glass within them, as :func:`find_tissue` sees it; otherwise everything
        scanned within them counts.

    Raises
    ------
    TissueError
        When a polygon has fewer than three corners or corners that are no places, or all lie
        outside the slide.
    """
    within = find_tissue(slide) if only_tissue else whole_slide(slide)
    inside = np.zeros_like(within.pixels)
    for corners in polygons:
        corners = np.asarray(corners, dtype=np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise _no_region(f"a shape with {len(corners)} corners")
        fill_polygon(inside, corners / (within.scale_x, within.scale_y))
    if not inside.any():
        raise _no_region(_why_none(slide, polygons, within))
    lost = None if within.unreadable is None else within.unreadable & inside
    return replace(
        within, pixels=within.pixels & inside, method=TissueChoice.REGIONS, unreadable=lost
    )


def _why_none(slide: Slide, polygons: Sequence[NDArray[np.float64]], mask: TissueMask) -> str:
    count = "1 region" if len(polygons) == 1 else f"{len(polygons)} regions"
    level = slide.levels[0]
    ends = [(corners.min(axis=0), corners.max(axis=0)) for corners in map(np.asarray, polygons)]
    if any((high > 0).all() and (low < (level.width, level.height)).all() for low, high in ends):
        side = f"{mask.scale_x:.3g}×{mask.scale_y:.3g}"
        return f"{count} too small to be seen: tissue is mapped in steps of {side} pixels"
    return f"{count}, none of them on the slide" if polygons[1:] else f"{count} beside the slide"


def _no_region(found: str) -> TissueError:
    return TissueError(
        expected="at least one region with an area, on this slide",
        found=found,
        hint="Draw a polygon or rectangle around tissue, or choose another way to find tissue.",
    )
