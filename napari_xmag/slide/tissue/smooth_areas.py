"""Coloured areas that are smooth at 8 µm per pixel: what a pen drew is one, some tissue is too."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.tissue.areas import COARSE, coarse, grown, shrunk
from napari_xmag.slide.tissue.staining import Staining

Mask = NDArray[np.bool_]

# Neighbours in a stroke of a pen differ by no more than so many levels.
_SMOOTH = 8
# Half of the narrowest smooth area that counts, in overview pixels; and its least size.
_NARROW = 2
_LEAST_UM2 = 6_000.0
# Gaps up to twice so many coarse pixels belong to the area: in tissue they hold the nuclei.
_GAP = 3
# What surrounds an area, in coarse pixels.
_AROUND = 5
# Most areas that are considered, largest first.
_MOST = 300
# Colourfulness or darkness of ink, 0 to 255; what is paler is haze.
VIVID = 30
DARK = 128


@dataclass(frozen=True, eq=False)
class SmoothArea:
    """A smooth area, and what surrounds it, on the coarse grid of the staining.

    Attributes
    ----------
    top, left
        Where the masks begin, in coarse pixels.
    core, colored
        bool (h, w): what is smooth, and what is not glass.
    pixels
        uint8 (h, w, 3).
    strength
        uint16 (h, w), colourfulness and darkness together.
    """

    top: int
    left: int
    core: Mask
    colored: Mask
    pixels: NDArray[np.uint8]
    strength: NDArray[np.uint16]
    is_vivid: bool

    @cached_property
    def region(self) -> Mask:
        """The core with the gaps in it, bool (h, w)."""
        return shrunk(grown(self.core, _GAP), _GAP) & self.colored

    @cached_property
    def _around(self) -> Mask:
        return grown(self.core, _AROUND) & ~self.core

    @cached_property
    def beside_glass(self) -> float:
        """Part of what surrounds it that is glass."""
        return float(1 - self.colored[self._around].mean()) if self._around.any() else 0.0

    @cached_property
    def contrast(self) -> float:
        """By how many levels it differs from the coloured part of its surroundings at most."""
        around = self._around & self.colored
        if not around.any():
            return 255.0
        differ = self.pixels[self.core].mean(axis=0) - self.pixels[around].mean(axis=0)
        return float(np.abs(differ).max())

    @property
    def sharp(self) -> float:
        """How much of its strength it keeps up to its edge."""
        edge = self.core & ~shrunk(self.core, 1)
        middle = float(np.median(self.strength[self.core]))
        return float(self.strength[edge].mean()) / max(middle, 1.0) if edge.any() else 1.0

    @property
    def width(self) -> float:
        """Its width where it is widest, in coarse pixels."""
        from scipy.ndimage import distance_transform_edt

        return 2 * float(distance_transform_edt(np.pad(self.region, 1)).max())


def smooth_areas(staining: Staining, colored: Mask, pixel_um2: float) -> Iterator[SmoothArea]:
    """Yield the smooth areas of a slide, the largest first.

    Parameters
    ----------
    colored
        bool (H, W): where the overview is not glass.
    pixel_um2
        Area of an overview pixel in µm².
    """
    from scipy.ndimage import find_objects, label

    smooth = colored & (staining.rough <= _SMOOTH)
    smooth = grown(shrunk(smooth, _NARROW), _NARROW)
    labels, number = label(coarse(smooth), np.ones((3, 3)))
    if not number:
        return
    sizes = np.bincount(labels.ravel())[1:]
    large = np.flatnonzero(sizes >= _LEAST_UM2 / (pixel_um2 * COARSE**2))
    places = find_objects(labels)
    for index in large[np.argsort(-sizes[large], kind="stable")][:_MOST]:
        rows, columns = (_wider(span, _AROUND) for span in places[index])
        yield _area(staining, colored, labels[rows, columns] == index + 1, rows, columns)


def _area(staining: Staining, colored: Mask, core: Mask, rows: slice, columns: slice) -> SmoothArea:
    saturation, darkness = (
        plane[::COARSE, ::COARSE][rows, columns]
        for plane in (staining.saturation, staining.darkness)
    )
    return SmoothArea(
        rows.start,
        columns.start,
        core,
        colored[::COARSE, ::COARSE][rows, columns],
        staining.coarse[rows, columns],
        saturation.astype(np.uint16) + darkness,
        bool(np.median(saturation[core]) >= VIVID or np.median(darkness[core]) >= DARK),
    )


def _wider(span: slice, margin: int) -> slice:
    return slice(max(0, span.start - margin), span.stop + margin)
