"""The mask that says which parts of a slide are tissue, and what was noticed while finding it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_xmag.geometry import Box, Mpp


class TissueChoice(StrEnum):
    """Which part of a slide is tissue, and who says so.

    Attributes
    ----------
    AUTO
        What the program finds.
    WHOLE
        Everything that was scanned.
    REGIONS
        What the program finds inside regions.
    PAINTED
        What somebody painted.
    """

    AUTO = "auto"
    WHOLE = "whole"
    REGIONS = "regions"
    PAINTED = "painted"


@dataclass(frozen=True, slots=True)
class TissueFindings:
    """What was noticed while tissue was found; shares are parts of 1.

    Attributes
    ----------
    glass
        Colour of the glass, 0 to 255 each; white where the slide shows none.
    tissue
        Part of what was scanned that is tissue.
    pen, smears
        Parts of what is not glass that were left out, as a pen's strokes and as smears.
    kept
        Part of what is not glass that has no more texture than ink, and was kept all the same.
    """

    glass: tuple[float, float, float]
    tissue: float
    pen: float
    smears: float
    kept: float


@dataclass(frozen=True, eq=False)
class TissueMask:
    """A picture of the whole slide that is True where tissue is.

    Attributes
    ----------
    pixels
        bool (H, W); its corner lies on the corner of level 0, its far corner on that of level 0.
    scale_x, scale_y
        Level-0 pixels per mask pixel.
    method
        How it came about.
    findings
        What was noticed where the program found the tissue (AUTO, REGIONS); None otherwise.
    unreadable
        bool (H, W), where the file is damaged so that nobody knows what is there; None for nowhere.
    """

    pixels: NDArray[np.bool_]
    scale_x: float
    scale_y: float
    method: TissueChoice
    findings: TissueFindings | None = None
    unreadable: NDArray[np.bool_] | None = None

    def fraction(self, box: Box) -> float:
        """Return how much of a level-0 box is tissue, 0 to 1; exact for edges within pixels."""
        return float(self.fractions([box])[0])

    def fractions(self, boxes: Sequence[Box]) -> NDArray[np.float64]:
        """Return the tissue fraction of each box, float (N,)."""
        sums = self._sums
        if not boxes:
            return np.zeros(0)
        edges = np.array([(box.x, box.right, box.y, box.bottom) for box in boxes])
        left, right = edges[:, 0] / self.scale_x, edges[:, 1] / self.scale_x
        top, bottom = edges[:, 2] / self.scale_y, edges[:, 3] / self.scale_y
        inside = (
            _sum(sums, right, bottom)
            - _sum(sums, left, bottom)
            - _sum(sums, right, top)
            + _sum(sums, left, top)
        )
        fractions = inside / ((right - left) * (bottom - top))
        return _share(fractions)

    def grid_fractions(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the tissue fraction of each place of a grid, float (R, C).

        Parameters
        ----------
        x, y
            Level-0 edges of its columns, float (C + 1,), and rows, (R + 1,).
        """
        return self._grid(self._sums, x, y)

    def unreadable_grid_fractions(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the part of each place that is unreadable; see `grid_fractions`."""
        if self.unreadable is None or not self.unreadable.any():
            return np.zeros((len(y) - 1, len(x) - 1))
        return self._grid(_summed(self.unreadable), x, y)

    def _grid(
        self, sums: NDArray[np.unsignedinteger], x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        x, y = x / self.scale_x, y / self.scale_y
        corners = _sum(sums, *np.meshgrid(x, y))
        inside = np.diff(np.diff(corners, axis=0), axis=1)
        return _share(inside / np.outer(np.diff(y), np.diff(x)))

    def area_um2(self, mpp: Mpp) -> float:
        """Return the area of the tissue in µm²."""
        return float(self.pixels.sum()) * self.scale_x * mpp.x * self.scale_y * mpp.y

    @cached_property
    def _sums(self) -> NDArray[np.unsignedinteger]:
        return _summed(self.pixels)


def _summed(pixels: NDArray[np.bool_]) -> NDArray[np.unsignedinteger]:
    """Return how many pixels are True above and left of each corner, (H + 1, W + 1)."""
    height, width = pixels.shape
    sums = np.zeros((height + 1, width + 1), np.min_scalar_type(pixels.size))
    pixels.cumsum(1, sums.dtype, out=sums[1:, 1:])
    # row by row: down the columns, NumPy is ten times slower
    for above, row in pairwise(sums):
        row += above
    return sums


def _share(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    # Rounded, so that sums of many pixels cannot make tissue out of nothing.
    return np.asarray(np.clip(np.round(fractions, 9), 0.0, 1.0))


def _sum(
    sums: NDArray[np.unsignedinteger], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the pixels left of x and above y, in mask pixels, linear within a pixel."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    x, y = np.clip(x, 0, width), np.clip(y, 0, height)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, width), np.minimum(y0 + 1, height)
    u, v = x - x0, y - y0
    upper = sums[y0, x0] * (1 - u) + sums[y0, x1] * u
    lower = sums[y1, x0] * (1 - u) + sums[y1, x1] * u
    return np.asarray(upper * (1 - v) + lower * v)
