"""Which part of a slide an analysis looked at, as a result keeps it and as people read it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.tissue import (
    TissueChoice,
    TissueMask,
    find_tissue,
    tissue_in_polygons,
    whole_slide,
)

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult

_WORDS = {
    TissueChoice.AUTO: "automatically detected tissue",
    TissueChoice.WHOLE: "the whole scanned area",
    TissueChoice.REGIONS: "tissue within regions drawn by hand",
    TissueChoice.PAINTED: "tissue painted by hand",
}


def tissue_used(slide: Slide, mask: TissueMask) -> dict[str, Any]:
    """Return what a result keeps of its mask, ready for JSON."""
    return _used(mask, require_mpp(slide))


def is_tissue_of(mask: TissueMask, mpp: Mpp, used: Mapping[str, Any]) -> bool:
    """Return whether a mask of a slide is the one of which `tissue_used` said this."""
    return _used(mask, mpp) == used


def _used(mask: TissueMask, mpp: Mpp) -> dict[str, Any]:
    return {"choice": str(mask.method), "area_mm2": mask.area_um2(mpp) / 1e6}


def tissue_again(
    slide: Slide, result: "SlideResult", regions: Sequence[NDArray[np.float64]] = ()
) -> TissueMask | None:
    """Return the tissue of an earlier result: as it was kept, or found again.

    Parameters
    ----------
    slide
        The slide that was analyzed.
    regions
        Polygons that are drawn on the slide now, each (N, 2) as x, y in level-0 pixels; for results
        of earlier versions, which did not keep the tissue.

    Returns
    -------
    The mask, or None where none can be the same.

    Raises
    ------
    TileReadError
        When the slide cannot be read any more.
    """
    if slide.mpp is None or result.mask is not None:
        return result.mask
    mask, choice = None, result.tissue.get("choice")
    if choice == TissueChoice.AUTO:
        mask = find_tissue(slide)
    elif choice == TissueChoice.WHOLE:
        mask = whole_slide(slide)
    elif choice == TissueChoice.REGIONS and regions:
        mask = tissue_in_polygons(slide, regions)
    fits = mask is not None and is_tissue_of(mask, slide.mpp, result.tissue)
    return mask if fits else None


def describe_tissue(tissue: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return for instance "tissue within 3 regions of case.geojson, 12.3 mm²".

    Parameters
    ----------
    tissue
        As of `tissue_used`; may be empty in a result of an earlier version.
    settings
        Of the result; name the file of the regions where there was one.
    """
    choice = tissue.get("choice") or settings.get("tissue")
    words = _WORDS.get(TissueChoice(choice), "") if choice in set(TissueChoice) else ""
    regions = settings.get("regions")
    if isinstance(regions, Mapping):
        words = _regions_words(regions)
    area = tissue.get("area_mm2")
    parts = [words or "part of the slide", "" if area is None else f"{area:.3g} mm²"]
    return ", ".join(filter(None, parts))


def _regions_words(regions: Mapping[str, Any]) -> str:
    counts = dict(regions.get("classes") or {})
    number = sum(int(count) for count in counts.values())
    named = ", ".join(name for name in counts if name)
    shapes = "1 region" if number == 1 else f"{number} regions"
    return f"tissue within {shapes} of {regions.get('file')}" + (f" ({named})" if named else "")
