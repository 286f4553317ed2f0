"""A map of classes as annotations for QuPath: patches of one class merged into polygons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_xmag.analyze.heatmap import GridLike
from napari_xmag.geometry import Box, Mpp
from napari_xmag.qupath.classes import RGB, class_color
from napari_xmag.qupath.features import annotation, feature_id
from napari_xmag.qupath.geometry import geometry_json, shown_shape
from napari_xmag.qupath.outlines import connected, outline


@dataclass(frozen=True, slots=True, eq=False)
class ClassPolygon:
    """A connected place of one class.

    Attributes
    ----------
    class_name
        Its class.
    shape
        Its outline in level-0 pixels, with holes.
    area_um2
        The area of its patches in µm², before any smoothing.
    """

    class_name: str
    shape: BaseGeometry
    area_um2: float


def class_polygons(
    grid: GridLike,
    labels: NDArray[np.int64],
    classes: Sequence[str],
    mpp: Mpp,
    *,
    least_um2: float = 0.0,
    smooth: bool = False,
) -> list[ClassPolygon]:
    """Merge neighbouring patches of one class.

    Parameters
    ----------
    labels
        int64 (P,), the class of each patch of the grid as an index into ``classes``; below zero for
        none.
    mpp
        Pixel size of the slide.
    least_um2
        Smaller places are left out.
    smooth
        Round the steps between patches off.

    Returns
    -------
    By class, then in reading order.
    """
    patch_um2 = grid.stride_x * mpp.x * grid.stride_y * mpp.y
    return [
        ClassPolygon(name, outline(grid, part, smooth=smooth), len(part) * patch_um2)
        for index, name in enumerate(classes)
        for part in connected(grid, np.flatnonzero(labels == index))
        if len(part) * patch_um2 >= least_um2
    ]


def polygon_features(
    polygons: Sequence[ClassPolygon], frame: Box, identity: str, colors: dict[str, RGB]
) -> list[dict[str, Any]]:
    """Return class polygons as unlocked annotations, clipped to what QuPath shows.

    Unlocked, so that the user can mend them; each has its class and colour as in QuPath.

    Parameters
    ----------
    frame
        The level-0 box that QuPath shows; coordinates count from its corner.
    identity
        Of slide and model; the same polygons of it get the same ids.
    colors
        Of the classes; QuPath's own where one is missing.
    """
    features = []
    for number, polygon in enumerate(polygons, 1):
        geometry = geometry_json(shown_shape(polygon.shape, frame))
        if geometry is None:
            continue
        name = polygon.class_name
        features.append(
            annotation(
                feature_id(identity, f"polygon {name}", number),
                geometry,
                f"{name}, {polygon.area_um2 / 1e6:.3g} mm²",
                [name],
                colors.get(name, class_color(name)),
                locked=False,
            )
        )
    return features
