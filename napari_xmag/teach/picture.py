"""A taught map as a picture: the likeliest class of each patch, coloured on tissue only."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.heatmap import GridLike, heat_map, on_tissue
from napari_xmag.export.palette import heat_colors
from napari_xmag.nets.patch_classifier import Classified
from napari_xmag.qupath.classes import RGB
from napari_xmag.slide.tissue import TissueMask

_MOST_PIXELS = 4_000_000
_FAINTEST = 60
"""Opacity, of 255, of a patch whose classes are all equally likely."""

_BAND = 64

_HATCH = (90, 90, 90, 150)
_HATCH_PERIOD, _HATCH_WIDTH = 8, 2


@dataclass(frozen=True, eq=False)
class MapGround:
    """Where the map of a slide has colour; made once for a slide.

    Attributes
    ----------
    patch
        int32 (H, W), which patch each pixel shows; -1 on glass and outside all patches.
    scale_x, scale_y
        Level-0 pixels per pixel; the corner of the first lies on the corner of level 0.
    """

    patch: NDArray[np.int32]
    scale_x: float
    scale_y: float

    @classmethod
    def of(cls, grid: GridLike, mask: TissueMask) -> "MapGround":
        """Lay patches over the tissue, at the mask's resolution as far as it stays quick to draw.

        Parameters
        ----------
        grid
            Where the patches lie.
        mask
            The tissue.
        """
        # exact: no slide has as many patches as float32 has whole numbers
        numbers = heat_map(grid, np.arange(len(grid.rows), dtype=np.float32))
        shown = on_tissue(numbers, mask, _MOST_PIXELS)
        patch = np.nan_to_num(shown.pixels, nan=-1).astype(np.int32)
        return cls(patch, shown.stride_x, shown.stride_y)

    @cached_property
    def hatch(self) -> NDArray[np.bool_]:
        """Diagonal lines, bool (H, W)."""
        height, width = self.patch.shape
        diagonal = np.arange(height)[:, None] + np.arange(width)[None, :]
        lines: NDArray[np.bool_] = diagonal % _HATCH_PERIOD < _HATCH_WIDTH
        return lines


def class_picture(
    ground: MapGround, classified: Classified, colors: Sequence[RGB]
) -> NDArray[np.uint8]:
    """Paint each patch in the colour of its likeliest class, the surer the stronger.

    Patches that are unlike every example have no colour but are hatched.

    Parameters
    ----------
    classified
        What the P patches are.
    colors
        Of the taught classes, in their order.

    Returns
    -------
    uint8 (H, W, 4), transparent on glass.
    """
    probabilities = classified.probabilities
    count = probabilities.shape[1]
    surest = probabilities.max(1)
    strength = (surest - 1 / count) / (1 - 1 / count) if count > 1 else np.ones_like(surest)
    table = np.zeros((len(surest) + 1, 4), np.uint8)
    table[:-1, :3] = np.asarray(colors, np.uint8)[probabilities.argmax(1)]
    table[:-1, 3] = (_FAINTEST + (255 - _FAINTEST) * strength.clip(0, 1)).round()
    table[:-1][~classified.is_taught] = 0
    unlike = np.append(~classified.is_taught, False)
    picture = np.empty((*ground.patch.shape, 4), np.uint8)
    for rows in _bands(len(picture)):
        patch = ground.patch[rows]
        picture[rows] = table[patch]
        if unlike.any():
            picture[rows][unlike[patch] & ground.hatch[rows]] = _HATCH
    return picture


def likeness_picture(ground: MapGround, likeness: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Paint patches by how like a place they are: blue where unlike, red and strong where like.

    Parameters
    ----------
    likeness
        float32 (P,), -1 to 1; what is below 0 counts as unlike.

    Returns
    -------
    uint8 (H, W, 4), transparent on glass.
    """
    strength = likeness.clip(0, 1)
    table = np.zeros((len(likeness) + 1, 4), np.uint8)
    table[:-1, :3] = heat_colors(strength)
    table[:-1, 3] = (_FAINTEST + (255 - _FAINTEST) * strength).round()
    picture = np.empty((*ground.patch.shape, 4), np.uint8)
    for rows in _bands(len(picture)):
        picture[rows] = table[ground.patch[rows]]
    return picture


def _bands(height: int) -> list[slice]:
    """Return bands of rows: numpy keeps all other threads waiting while it looks colours up."""
    return [slice(top, top + _BAND) for top in range(0, height, _BAND)]
