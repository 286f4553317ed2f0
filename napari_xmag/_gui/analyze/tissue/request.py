"""Which part of a slide is to be analyzed, as the widgets say."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import (
    TissueChoice,
    TissueMask,
    find_tissue,
    painted,
    tissue_in_polygons,
    whole_slide,
)

_STEPS, _OFFSET = 10, 1 / 3
"""Corners count in tenths of a pixel; the edges between these lie where nobody puts a corner."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueRequest:
    """Which part of a slide to analyze, read from the widgets once.

    Attributes
    ----------
    choice
        What was chosen.
    pixels
        bool (H, W), for a painted mask.
    polygons
        Each (N, 2) as x, y in level-0 pixels, for shapes.
    """

    choice: TissueChoice
    pixels: NDArray[np.bool_] | None = None
    polygons: tuple[NDArray[np.float64], ...] = ()

    def mask(self, slide: Slide) -> TissueMask:
        """Find or make the mask; reads the slide."""
        if self.choice is TissueChoice.WHOLE:
            return whole_slide(slide)
        if self.choice is TissueChoice.REGIONS:
            return tissue_in_polygons(slide, list(self.polygons))
        if self.choice is TissueChoice.PAINTED and self.pixels is not None:
            return painted(slide, self.pixels)
        return find_tissue(slide)

    @property
    def digest(self) -> str:
        """What tells these regions, or this painted mask, from others; empty for neither."""
        if self.pixels is not None:
            content = repr(self.pixels.shape).encode() + np.packbits(self.pixels).tobytes()
            return sha256(content).hexdigest()
        if not self.polygons:
            return ""
        outlines = sorted(
            np.floor(polygon * _STEPS + _OFFSET).astype(np.int64).tobytes()
            for polygon in self.polygons
        )
        whole = sha256()
        for outline in outlines:
            whole.update(sha256(outline).digest())
        return whole.hexdigest()
