"""The heat map: one pixel for each patch of the grid, NaN where there is glass."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ConfigError
from napari_xmag.geometry import Mpp, OnGrid
from napari_xmag.slide.tissue import TissueMask


class HeatMapView(StrEnum):
    """What the colours of a heat map mean."""

    RANK = "attention (rank)"
    RAW = "attention (raw)"
    EVIDENCE = "evidence"


class GridLike(OnGrid, Protocol):
    """Where patches lie on a slide; a ``TileGrid`` and a ``SlideResult`` both are one."""

    @property
    def stride_x(self) -> float:
        """Level-0 pixels from one column to the next."""
        ...

    @property
    def stride_y(self) -> float:
        """Level-0 pixels from one row to the next."""
        ...

    @property
    def origin_x(self) -> float:
        """Left edge of column 0 in level-0 pixels."""
        ...

    @property
    def origin_y(self) -> float:
        """Top edge of row 0 in level-0 pixels."""
        ...


OPACITY = 0.5
"""Of a map that nobody has set otherwise."""


@dataclass(frozen=True, slots=True)
class MapLook:
    """How a map is shown.

    Attributes
    ----------
    view, class_name
        What the colours mean; see `view_values`.
    opacity
        Of the colours, 0 to 1.
    threshold
        Patches that are weaker than this part of the strongest have no colour, 0 to 1.
    """

    view: HeatMapView = HeatMapView.EVIDENCE
    class_name: str = ""
    opacity: float = OPACITY
    threshold: float = 0.0

    def of(self, result: SlideResult) -> "MapLook":
        """Return the same look with the predicted class of a result where none is named."""
        return replace(self, class_name=self.class_name or result.predicted or "")

    @property
    def words(self) -> str:
        """What the colours and their meaning do not tell; empty where there is nothing."""
        words = []
        if self.threshold > 0:
            words.append(
                f"Patches below {100 * self.threshold:.0f} % of the strongest colour are hidden."
            )
        if self.opacity != OPACITY:
            words.append(f"The map is shown at {100 * self.opacity:.0f} % opacity.")
        return " ".join(words)


AS_MADE = MapLook()
"""How a map looks that nobody has set otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A picture of patch values and its place on the slide.

    Attributes
    ----------
    pixels
        float32 (H, W), NaN where no patch was read.
    stride_x, stride_y
        Level-0 pixels covered by one heat map pixel.
    origin_x, origin_y
        Level-0 position of the top left corner.
    """

    pixels: NDArray[np.float32]
    stride_x: float
    stride_y: float
    origin_x: float
    origin_y: float

    def scale_um(self, mpp: Mpp) -> tuple[float, float]:
        """Return the size of a heat map pixel in µm as (y, x), napari's order."""
        return self.stride_y * mpp.y, self.stride_x * mpp.x

    def at(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the values on a grid of places, float32 (R, C); NaN outside the map.

        Parameters
        ----------
        x, y
            Level-0 places of its columns, float (C,), and rows, (R,).
        """
        rows, columns = self.pixels.shape
        across = _cells(x, self.origin_x, self.stride_x, columns)
        down = _cells(y, self.origin_y, self.stride_y, rows)
        framed = np.pad(self.pixels, 1, constant_values=np.nan)
        values: NDArray[np.float32] = framed[np.ix_(down, across)]
        return values

    def translate_um(self, mpp: Mpp) -> tuple[float, float]:
        """Return the centre of the first heat map pixel in µm as (y, x).

        The slide layer has the *centre* of its first pixel at 0, hence the half pixels.
        """
        return (
            (self.origin_y + (self.stride_y - 1) / 2) * mpp.y,
            (self.origin_x + (self.stride_x - 1) / 2) * mpp.x,
        )


def hide_below(values: NDArray[np.float32], high: float, threshold: float) -> NDArray[np.float32]:
    """Return the values, NaN where they are weaker than this part of the strongest."""
    if threshold <= 0:
        return values
    return np.where(np.abs(values) >= threshold * high, values, np.float32(np.nan))


def on_tissue(heat: HeatMap, mask: TissueMask, most_pixels: int = 1_000_000) -> HeatMap:
    """Return a map with colour on tissue only, as fine as the mask as far as it is quick to draw.

    Parameters
    ----------
    heat
        One pixel for each place of a grid.
    mask
        The tissue; what is damaged counts as tissue, as it does where tiles are planned.
    most_pixels
        About as many pixels the new map has at the most.

    Returns
    -------
    HeatMap of the whole slide, NaN on glass and outside the grid.
    """
    tissue = mask.pixels if mask.unreadable is None else mask.pixels | mask.unreadable
    step = math.ceil(math.sqrt(max(1.0, tissue.size / most_pixels)))
    tissue = tissue[step // 2 :: step, step // 2 :: step]
    scale_x, scale_y = mask.scale_x * step, mask.scale_y * step
    rows, columns = tissue.shape
    values = heat.at((np.arange(columns) + 0.5) * scale_x, (np.arange(rows) + 0.5) * scale_y)
    pixels = np.where(tissue, values, np.float32(np.nan))
    return HeatMap(pixels, scale_x, scale_y, 0.0, 0.0)


def _cells(
    places: NDArray[np.floating], origin: float, stride: float, cells: int
) -> NDArray[np.int64]:
    """Return the cell in which each place lies, plus one; 0 and more than all are outside."""
    cell: NDArray[np.int64] = np.floor((places - origin) / stride).astype(np.int64)
    return np.clip(cell, -1, cells) + 1


@overload
def heat_map(grid: GridLike, values: NDArray[np.floating]) -> HeatMap: ...


@overload
def heat_map(
    grid: SlideResult, values: HeatMapView = HeatMapView.RANK, class_name: str = ""
) -> HeatMap: ...


def heat_map(
    grid: GridLike | SlideResult,
    values: NDArray[np.floating] | HeatMapView = HeatMapView.RANK,
    class_name: str = "",
) -> HeatMap:
    """Put one value for each patch on the grid.

    Parameters
    ----------
    grid
        A result, or any grid of patches.
    values
        A view of the result (see `view_values`), or any values of the patches, (P,), NaN for
        patches that have none (yet).
    class_name
        Class for the view ``EVIDENCE``; the predicted one when empty.

    Returns
    -------
    HeatMap with ``grid.shape`` pixels, NaN where there is no patch.

    Raises
    ------
    ConfigError
        When the model does not know the class.
    """
    if isinstance(values, HeatMapView):
        assert isinstance(grid, SlideResult)  # as the overloads say
        values = view_values(grid, values, class_name)
    pixels = np.full(grid.shape, np.nan, np.float32)
    pixels[grid.rows, grid.columns] = values
    return HeatMap(pixels, grid.stride_x, grid.stride_y, grid.origin_x, grid.origin_y)


def fill_between(grid: GridLike, values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return values in which each patch without one has that of the nearest patch with one.

    Parameters
    ----------
    grid
        Where the T patches lie.
    values
        (P,), NaN for patches that have none yet.
    """
    known = np.isfinite(values)
    if known.all() or not known.any():
        return values
    from scipy.ndimage import distance_transform_edt

    index = np.full(grid.shape, -1, np.int64)
    index[grid.rows[known], grid.columns[known]] = np.flatnonzero(known)
    steps = grid.stride_y, grid.stride_x
    row, column = distance_transform_edt(
        index < 0, sampling=steps, return_distances=False, return_indices=True
    )
    nearest = index[row[grid.rows, grid.columns], column[grid.rows, grid.columns]]
    filled: NDArray[np.floating] = values[nearest]
    return filled


def attention_rank(attention: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the share of the other patches that get less attention, 0 to 1, float32 (P,).

    NaN stays NaN and ties share a rank. Logits give the same ranks as the attention itself, so that
    a live map and the final one look the same.
    """
    ranks = np.full(attention.shape, np.nan, np.float32)
    known = np.isfinite(attention)
    values, where, counts = np.unique(attention[known], return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    if len(values) == 0:
        return ranks
    among = max(int(counts.sum()) - 1, 1)
    ranks[known] = ((below + (counts - 1) / 2) / among)[where] if counts.sum() > 1 else 1.0
    return ranks


def view_values(
    result: SlideResult, view: HeatMapView, class_name: str = ""
) -> NDArray[np.float32]:
    """Return the value of each patch in one view.

    Parameters
    ----------
    result
        A finished analysis.
    view
        ``RANK`` and ``RAW`` show attention, ``EVIDENCE`` the part that each patch adds to a class's
        logit.
    class_name
        Class for ``EVIDENCE``; the predicted one when empty.

    Returns
    -------
    float32 (P,).

    Raises
    ------
    ConfigError
        When the model does not know the class.
    """
    if view is HeatMapView.RANK:
        return attention_rank(result.patches.attention)
    if view is HeatMapView.RAW:
        return result.patches.attention
    wanted = class_name or result.predicted or ""
    if wanted not in result.classes:
        raise ConfigError(
            expected=f"one of the model's classes ({', '.join(result.classes)})",
            found=wanted or "no prediction",
            hint="Choose a class from the list.",
        )
    return result.patches.evidence[:, result.classes.index(wanted)]
