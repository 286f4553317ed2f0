"""Regions drawn elsewhere, read from GeoJSON as QuPath writes it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TissueError

Polygon = NDArray[np.float64]


def read_geojson_regions(
    path: str | os.PathLike[str], *, origin_x: float = 0.0, origin_y: float = 0.0
) -> list[Polygon]:
    """Read polygons from a Feature, a FeatureCollection, a list of features or a bare geometry.

    Parameters
    ----------
    path
        GeoJSON file with coordinates in level-0 pixels. Points and lines in it are passed over.
    origin_x, origin_y
        Where the file's (0, 0) lies in level-0 pixels. QuPath counts from the corner of the
        slide's bounds: for its files give ``slide.bounds.x`` and ``slide.bounds.y``.

    Returns
    -------
    list of float (N, 2): x, y in level-0 pixels. Holes are joined to their outline by a seam of no
    width, so that filling by the even-odd rule leaves them out.

    Raises
    ------
    TissueError
        When the file is no GeoJSON or holds no polygon.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        polygons = [_with_holes(rings) for rings in _polygons(content)]
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise _no_regions(path, f"a file that is not GeoJSON ({error})", [error]) from error
    if not polygons:
        raise _no_regions(path, "no polygon", [])
    offset = np.array([origin_x, origin_y])
    return [polygon + offset for polygon in polygons]


def _no_regions(path: Path, found: str, causes: list[Exception]) -> TissueError:
    return TissueError(
        expected=f"regions in {path.name}",
        found=found,
        hint="Export the annotations from QuPath as GeoJSON: polygons, rectangles or brushes.",
        causes=causes,
    )


def _polygons(item: Any) -> Iterator[list[Any]]:
    """Yield the rings of every polygon, the outline first."""
    if isinstance(item, list):
        for feature in item:
            yield from _polygons(feature)
        return
    kind = item["type"]
    if kind == "FeatureCollection":
        yield from _polygons(item["features"])
    elif kind == "Feature":
        if item["geometry"] is not None:
            yield from _polygons(item["geometry"])
    elif kind == "GeometryCollection":
        yield from _polygons(item["geometries"])
    elif kind == "Polygon":
        yield item["coordinates"]
    elif kind == "MultiPolygon":
        yield from item["coordinates"]


def _with_holes(rings: list[Any]) -> Polygon:
    outline, *holes = [np.array([point[:2] for point in ring], np.float64) for ring in rings]
    if len(outline) < 3 or outline.ndim != 2:
        raise ValueError(f"a polygon of {len(outline)} points")
    parts = [outline]
    for hole in holes:
        # There and back along the same seam: it encloses nothing.
        parts += [hole, hole[:1], outline[-1:]]
    return np.concatenate(parts)
