"""Which parts of a slide are tissue, found on a picture of about 8 µm per pixel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TissueError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.overview import Overview, read_overview

Mask = NDArray[np.bool_]

# Specks below and holes up to these areas are dust and lumens, not fragments and glass.
SPECK_UM2 = 10_000.0
HOLE_UM2 = 20_000.0
# Colourfulness (0 to 1, glass = 0): below the floor it is glass whatever Otsu says, and all above
# the cap is tissue even if Otsu would part dark tissue from pale.
SATURATION_FLOOR = 0.035
SATURATION_CAP = 0.09
# Strokes are never as small as this; pigment and dust are.
PEN_PX = 12


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
        "auto", "whole", "painted" or "regions".
    """

    pixels: Mask
    scale_x: float
    scale_y: float
    method: str

    def fraction(self, box: Box) -> float:
        """Return how much of a level-0 box is tissue, 0 to 1; exact for edges within pixels."""
        return float(self.fractions([box])[0])

    def fractions(self, boxes: Sequence[Box]) -> NDArray[np.float64]:
        """Return the tissue fraction of each box, float (N,)."""
        if not boxes:
            return np.zeros(0)
        edges = np.array([(box.x, box.right, box.y, box.bottom) for box in boxes])
        left, right = edges[:, 0] / self.scale_x, edges[:, 1] / self.scale_x
        top, bottom = edges[:, 2] / self.scale_y, edges[:, 3] / self.scale_y
        inside = (
            self._sum(right, bottom)
            - self._sum(left, bottom)
            - self._sum(right, top)
            + self._sum(left, top)
        )
        fractions = inside / ((right - left) * (bottom - top))
        # Rounded, so that sums of many pixels cannot make tissue out of nothing.
        return np.asarray(np.clip(np.round(fractions, 9), 0.0, 1.0))

    def area_um2(self, mpp: Mpp) -> float:
        """Return the area of the tissue in µm²."""
        return float(self.pixels.sum()) * self.scale_x * mpp.x * self.scale_y * mpp.y

    @cached_property
    def _sums(self) -> NDArray[np.float64]:
        height, width = self.pixels.shape
        sums = np.zeros((height + 1, width + 1))
        sums[1:, 1:] = self.pixels.cumsum(0, dtype=np.float64).cumsum(1)
        return sums

    def _sum(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the tissue left of x and above y, in mask pixels, linear within a pixel."""
        height, width = self.pixels.shape
        x, y = np.clip(x, 0, width), np.clip(y, 0, height)
        x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
        x1, y1 = np.minimum(x0 + 1, width), np.minimum(y0 + 1, height)
        u, v = x - x0, y - y0
        upper = self._sums[y0, x0] * (1 - u) + self._sums[y0, x1] * u
        lower = self._sums[y1, x0] * (1 - u) + self._sums[y1, x1] * u
        return np.asarray(upper * (1 - v) + lower * v)


def find_tissue(slide: Slide) -> TissueMask:
    """Find tissue by its colour.

    Colourfulness against the slide's own glass is parted by Otsu's threshold, held between a
    floor (an empty slide has no tissue) and a cap (pale tissue is tissue). Pen, black and
    transparent areas, specks and holes are removed by their colour and their area in µm².

    Raises
    ------
    MppMissingError
        When the slide has no mpp.
    TileReadError
        When the overview cannot be read.
    """
    mpp = require_mpp(slide)
    overview = read_overview(slide)
    area = overview.scale_x * mpp.x * overview.scale_y * mpp.y
    usable = overview.usable & ~_pen(overview)
    tissue = _colourful(overview, usable) & usable
    tissue = _without_small(tissue, SPECK_UM2 / area)
    tissue = ~_without_small(~tissue, HOLE_UM2 / area) & usable
    return _mask(overview, tissue, "auto")


def whole_slide(slide: Slide) -> TissueMask:
    """Take everything that was scanned: the bounds without black and transparent areas."""
    overview = read_overview(slide)
    return _mask(overview, overview.usable, "whole")


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
    usable = _resized(read_overview(slide).usable, height, width)
    scales = base.width / width, base.height / height
    return TissueMask(pixels.astype(bool) & usable, *scales, "painted")


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
        When a polygon has fewer than three corners, or all lie outside the slide.
    """
    from skimage.draw import polygon as fill

    within = find_tissue(slide) if only_tissue else whole_slide(slide)
    inside = np.zeros_like(within.pixels)
    for corners in polygons:
        corners = np.asarray(corners, dtype=np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise _no_region(f"a shape with {len(corners)} corners")
        # skimage puts pixel centres on whole numbers, ours lie half a pixel further.
        columns = corners[:, 0] / within.scale_x - 0.5
        rows = corners[:, 1] / within.scale_y - 0.5
        inside[fill(rows, columns, inside.shape)] = True
    if not inside.any():
        raise _no_region(f"{len(polygons)} regions, none of them on the slide")
    return TissueMask(within.pixels & inside, within.scale_x, within.scale_y, "regions")


def _no_region(found: str) -> TissueError:
    return TissueError(
        expected="at least one region with an area, on this slide",
        found=found,
        hint="Draw a polygon or rectangle around tissue, or choose another way to find tissue.",
    )


def _mask(overview: Overview, pixels: Mask, method: str) -> TissueMask:
    return TissueMask(pixels, overview.scale_x, overview.scale_y, method)


def _colourful(overview: Overview, usable: Mask) -> Mask:
    """Return where colour parts tissue from glass."""
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_otsu

    saturation = gaussian_filter(overview.saturation(), sigma=1.0)
    values = saturation[usable]
    if values.size == 0 or values.max() - values.min() < 1e-3:
        return np.zeros_like(usable)
    # Beyond twice the cap all is tissue: a few vivid spots must not pull the threshold up.
    sample = values[:: 1 + values.size // 2**20]
    otsu = float(threshold_otsu(np.minimum(sample, 2 * SATURATION_CAP)))
    return np.asarray(saturation > min(max(otsu, SATURATION_FLOOR), SATURATION_CAP))


def _pen(overview: Overview) -> Mask:
    """Return marks of green, blue, red and black felt pen: colours that no H&E or IHC stain has."""
    from scipy.ndimage import binary_dilation

    hue, saturation, value = overview.hsv()
    green = (hue > 50) & (hue < 131) & (saturation > 64)
    blue = (hue >= 131) & (hue < 170) & (saturation > 140)
    red = ((hue > 249) | (hue < 9)) & (saturation > 178) & (value > 128)
    black = (value < 76) & (saturation < 89)
    marks = green | blue | red | black
    if not marks.any():
        return marks
    # The rim of a stroke is a thin mixture with glass.
    return np.asarray(binary_dilation(_without_small(marks, PEN_PX), iterations=3))


def _without_small(pixels: Mask, least: float) -> Mask:
    """Remove connected areas of fewer than ``least`` pixels."""
    from scipy.ndimage import label

    labels, _ = label(pixels)
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(1, math.ceil(least))
    keep[0] = False
    return np.asarray(keep[labels])


def _resized(pixels: Mask, height: int, width: int) -> Mask:
    """Return the nearest pixels for another size of the same picture."""
    rows = ((np.arange(height) + 0.5) * pixels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * pixels.shape[1] / width).astype(int)
    return pixels[np.ix_(rows, columns)]
