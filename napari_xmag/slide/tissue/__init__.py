"""Which parts of a slide are tissue: found by the program, or chosen by the user."""

from napari_xmag.slide.tissue.chosen import painted, tissue_in_polygons, whole_slide
from napari_xmag.slide.tissue.finder import find_tissue
from napari_xmag.slide.tissue.mask import TissueChoice, TissueFindings, TissueMask

__all__ = [
    "TissueChoice",
    "TissueFindings",
    "TissueMask",
    "find_tissue",
    "painted",
    "tissue_in_polygons",
    "whole_slide",
]
