"""Patches of a grid joined into shapes."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_xmag.analyze.heatmap import GridLike, heat_map

# Of the smaller side of a patch: rounds a step off without moving the edge it belongs to.
_ROUNDING = 1 / 3


def connected(grid: GridLike, patches: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Part patches into groups that hang together by their sides, in reading order.

    Parameters
    ----------
    patches
        int64 (k,), indices of patches of the grid.
    """
    from scipy.ndimage import label

    chosen = np.zeros(len(grid.columns), np.float32)
    chosen[patches] = 1
    groups, count = label(np.nan_to_num(heat_map(grid, chosen).pixels) > 0)
    group = groups[grid.rows[patches], grid.columns[patches]]
    return [patches[group == number] for number in range(1, count + 1)]


def outline(grid: GridLike, patches: NDArray[np.int64], *, smooth: bool = False) -> BaseGeometry:
    """Return the shape that patches cover, in level-0 pixels.

    Corners are taken from the grid, so that neighbours share theirs to the last bit and leave no
    seam between them.

    Parameters
    ----------
    smooth
        Round the steps off; the area changes by a few per cent.
    """
    columns, rows = grid.columns[patches], grid.rows[patches]
    left, right = (grid.origin_x + (columns + end) * grid.stride_x for end in (0, 1))
    top, bottom = (grid.origin_y + (rows + end) * grid.stride_y for end in (0, 1))
    shape = shapely.simplify(shapely.coverage_union_all(shapely.box(left, top, right, bottom)), 0)
    return _smooth(shape, min(grid.stride_x, grid.stride_y) * _ROUNDING) if smooth else shape


def _smooth(shape: BaseGeometry, radius: float) -> BaseGeometry:
    closed = shape.buffer(radius, quad_segs=4).buffer(-2 * radius, quad_segs=4)
    return closed.buffer(radius, quad_segs=4).simplify(radius / 20)
