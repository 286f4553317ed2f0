"""Pen marks and smears: coloured areas that are smooth where tissue has cells.

Colour alone tells nothing: picrosirius red, aniline blue and light green are as vivid as felt pens.
So every evenly coloured area that borders on glass, or stands out from what surrounds it, is looked
at again at the scale of cells. What has no texture there is no tissue.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide
from napari_xmag.slide.overview import Overview
from napari_xmag.slide.tissue.areas import grown, shrunk
from napari_xmag.slide.tissue.ink import color_overlap, same_ink
from napari_xmag.slide.tissue.staining import Staining
from napari_xmag.slide.tissue.texture import cell_texture

Mask = NDArray[np.bool_]
_Value = TypeVar("_Value", bound=np.generic)

# Areas are told apart on every other pixel of the overview, about 16 µm apart.
_STEP = 2
# Neighbours in a stroke of a pen differ by no more than so many levels.
_SMOOTH = 8
# Half of the narrowest smooth area that counts, in overview pixels; and its least size.
_NARROW = 2
_LEAST_UM2 = 6_000.0
# Gaps up to twice so many coarse pixels belong to the area: in tissue they hold the nuclei.
_GAP = 3
# The rim of a stroke, blurred, in overview pixels.
_RIM = 6
# An area is suspect when so much of what surrounds it, up to so many coarse pixels away, is glass,
# or when its colour differs by so many levels.
_AROUND = 5
_BESIDE_GLASS = 0.2
_STANDS_OUT = 60
# Most areas that are looked at, largest first, and places in each.
_MOST_AREAS = 40
_PLACES = 8
# Ink has less texture than this at the scale of cells, and pale haze less than that; at least so
# much of the places in an area must agree.
_INK_TEXTURE = 2.2
_HAZE_TEXTURE = 0.9
_AGREE = 0.6
# Colourfulness or darkness of ink; what is paler is haze.
_VIVID = 0.12
_DARK = 0.5
# A stroke keeps so much of its colour up to its edge, and is at most so wide.
_SHARP = 0.6
_WIDEST_UM = 4_000.0
# A pen's colour overlaps with that of tissue by no more than this part.
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
        bool (H, W): where the overview is coloured.
    glass
        float (3,), colour of the glass.
    pixel_um2
        Area of an overview pixel in µm².
    """
    areas = _SmoothAreas(staining, colored, pixel_um2)
    strokes, doubtful = np.zeros_like(areas.colored), np.zeros_like(areas.colored)
    for area in areas.suspects():
        if _is_plain(slide, area, (overview.scale_x * _STEP, overview.scale_y * _STEP)):
            target = strokes if area.is_stroke else doubtful
            target |= area.region
    rest = areas.colored & ~grown(strokes | doubtful, _AROUND)
    if color_overlap(areas.pixels, strokes, rest, glass) > _OWN_COLOR:
        strokes, doubtful = np.zeros_like(strokes), doubtful | strokes
    strokes = same_ink(areas.pixels, areas.colored, strokes, glass)
    doubtful &= ~strokes
    # Haze fades into glass: what is vivid beside it is tissue.
    pale = colored & (staining.saturation < _VIVID)
    return Marks(_with_rim(strokes, colored), _with_rim(doubtful, pale))


@dataclass(frozen=True, eq=False)
class _Area:
    """A smooth area on the coarse grid.

    Attributes
    ----------
    core, region
        bool (H, W): what is smooth, and with the gaps in it.
    saturation, darkness
        Medians.
    sharp
        How much of its colour it keeps up to its edge.
    width_um
        Where it is widest.
    """

    core: Mask
    region: Mask
    saturation: float
    darkness: float
    sharp: float
    width_um: float

    @property
    def is_vivid(self) -> bool:
        return self.saturation >= _VIVID or self.darkness >= _DARK

    @property
    def is_stroke(self) -> bool:
        return self.is_vivid and self.sharp >= _SHARP and self.width_um <= _WIDEST_UM


class _SmoothAreas:
    """All smooth coloured areas of a slide, on the coarse grid."""

    def __init__(self, staining: Staining, colored: Mask, pixel_um2: float) -> None:
        from scipy.ndimage import label

        smooth = colored & (staining.rough <= _SMOOTH)
        smooth = grown(shrunk(smooth, _NARROW), _NARROW)
        self.pixels, self.colored = _coarse(staining.pixels), _coarse(colored)
        self._saturation = _coarse(staining.saturation)
        self._darkness = _coarse(staining.darkness)
        self._labels, self._number = label(_coarse(smooth), np.ones((3, 3)))
        self._pixel_um2 = pixel_um2 * _STEP**2

    def suspects(self) -> Iterator[_Area]:
        """Yield the areas that may be pen or smear, the largest first."""
        sizes = np.bincount(self._labels.ravel(), minlength=self._number + 1)
        sizes[0] = 0
        large = sizes >= _LEAST_UM2 / self._pixel_um2
        if not large.any():
            return
        chosen = np.flatnonzero(large & self._suspicious())
        for number in chosen[np.argsort(-sizes[chosen], kind="stable")][:_MOST_AREAS]:
            yield self._area(int(number))

    def _suspicious(self) -> Mask:
        """Return which areas border on glass or stand out, bool (number of areas + 1,)."""
        from scipy.ndimage import maximum_filter

        labels = self._labels
        around = np.where(labels == 0, maximum_filter(labels, 2 * _AROUND + 1), 0)
        beside = np.bincount(around[~self.colored], minlength=self._number + 1)
        tissue = np.where(self.colored, around, 0)
        all_around = np.bincount(around.ravel(), minlength=self._number + 1)
        share = beside / np.maximum(1, all_around)
        contrast = np.abs(self._mean_colors(labels) - self._mean_colors(tissue)).max(axis=1)
        alone = np.bincount(tissue.ravel(), minlength=self._number + 1) == 0
        return np.asarray((share >= _BESIDE_GLASS) | (contrast >= _STANDS_OUT) | alone)

    def _mean_colors(self, labels: NDArray[np.int32]) -> NDArray[np.float64]:
        number = self._number + 1
        counts = np.maximum(1, np.bincount(labels.ravel(), minlength=number))
        sums = [np.bincount(labels.ravel(), self.pixels[..., i].ravel(), number) for i in range(3)]
        return np.asarray(np.stack(sums, axis=1) / counts[:, None])

    def _area(self, number: int) -> _Area:
        from scipy.ndimage import distance_transform_edt

        core = self._labels == number
        rows, columns = self._places[number - 1]
        place = _wider(rows, _GAP), _wider(columns, _GAP)
        region = np.zeros_like(core)
        region[place] = shrunk(grown(core[place], _GAP), _GAP) & self.colored[place]
        edge = core[place] & ~shrunk(core[place], 1)
        saturation = self._saturation[place] + self._darkness[place]
        inner = float(np.median(saturation[core[place]]))
        width = 2 * float(distance_transform_edt(np.pad(region[place], 1)).max())
        return _Area(
            core,
            region,
            float(np.median(self._saturation[core])),
            float(np.median(self._darkness[core])),
            float(np.mean(saturation[edge])) / max(inner, 1e-6) if edge.any() else 1.0,
            width * self._pixel_um2**0.5,
        )

    @cached_property
    def _places(self) -> list[tuple[slice, slice]]:
        from scipy.ndimage import find_objects

        return list(find_objects(self._labels))


def _is_plain(slide: Slide, area: _Area, scale: tuple[float, float]) -> bool:
    """Say whether an area has no texture at the scale of cells."""
    places = _spread(area.core)
    # The edge of a stroke is no texture of what is within.
    inner = shrunk(area.region, 1)
    texture = cell_texture(slide, inner if inner.any() else area.region, scale, places)
    texture = texture[np.isfinite(texture)]
    limit = _INK_TEXTURE if area.is_vivid else _HAZE_TEXTURE
    return len(texture) > 0 and float(np.mean(texture <= limit)) >= _AGREE


def _spread(core: Mask) -> NDArray[np.int64]:
    """Return places all over an area, as far from its edge as it is wide enough for."""
    for margin in (3, 2, 1, 0):
        inside = np.flatnonzero(shrunk(core, margin))
        if len(inside) >= _PLACES:
            break
    chosen = inside[np.linspace(0, len(inside) - 1, _PLACES).round().astype(int)]
    return np.stack(np.unravel_index(np.unique(chosen), core.shape), axis=1)


def _coarse(plane: NDArray[_Value]) -> NDArray[_Value]:
    return np.ascontiguousarray(plane[::_STEP, ::_STEP])


def _wider(span: slice, margin: int) -> slice:
    return slice(max(0, span.start - margin), span.stop + margin)


def _with_rim(marks: Mask, rim: Mask) -> Mask:
    """Return marks of the coarse grid on the overview, with what of their rim may be theirs."""
    if not marks.any():
        return np.zeros_like(rim)
    height, width = rim.shape
    fine = marks.repeat(_STEP, axis=0).repeat(_STEP, axis=1)[:height, :width]
    return fine | (grown(fine, _RIM) & rim)
