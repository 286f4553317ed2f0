"""Shapes between GeoJSON, shapely and plain corner lists."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_xmag.errors import shortened
from napari_xmag.geometry import Box
from napari_xmag.qupath.forms import FormError, as_list, as_object

Corners = NDArray[np.float64]
"""Corners of a polygon, float (N, 2) as x, y."""

DECIMALS = 2
"""QuPath itself rounds coordinates to a hundredth of a pixel."""

FARTHEST = 2.0**31
"""Pixels from the corner of a slide, either way, beyond which no place is: none is so large."""

NOWHERE = "with coordinates that are not finite numbers"
FAR = "with coordinates far beyond any slide"
TOO_FEW = "with an outline of fewer than three corners"
HOLE = "with a hole larger than its outline"

_AREAS = {"Polygon", "MultiPolygon"}
_POINTS = {"Point", "MultiPoint"}
_LINES = {"LineString", "MultiLineString"}
_SHOWN = 50
_QUARTER_SEGMENTS = 64
"""A circle of so many segments a quarter has its area to 0.01 %."""


class PlaceError(ValueError):
    """An outline that encloses no place; its message is said of the annotation, after a number."""


def read_geometry(item: Any) -> BaseGeometry:
    """Return the areas and points of a GeoJSON geometry; lines have no area and are left out.

    Overlapping and self-crossing outlines are made valid. A geometry that QuPath marks as an
    ellipse is one, whatever corners stand for it.

    Raises
    ------
    PlaceError
        When a coordinate is not a finite number or far beyond any slide, an outline has fewer than
        three corners, or a hole is larger than what it is cut from.
    FormError
        When it is no geometry. An empty object or null, as QuPath writes for its root, is empty.
    """
    if not item:
        return shapely.MultiPolygon()
    kind = str(as_object(item, "a geometry").get("type", ""))
    if not kind:
        raise FormError("a geometry without a type")
    if kind == "GeometryCollection":
        parts = as_list(item.get("geometries"), "geometries")
        return union([read_geometry(part) for part in parts])
    if kind in _LINES:
        return shapely.MultiPolygon()
    if kind in _POINTS:
        return shapely.MultiPoint(_numbers(_parts(item, "Point")))
    if kind not in _AREAS:
        raise FormError(f"a geometry of the unknown kind {shortened(kind, _SHOWN)!r}")
    area = union([_polygon(rings) for rings in _parts(item, "Polygon") if any(rings[:1])])
    return _ellipse(area) if item.get("isEllipse") else area


def _parts(item: Mapping[str, Any], single: str) -> list[Sequence[Any]]:
    """Return the coordinates of each part of a geometry; empty ones, of none, are left out."""
    coordinates = as_list(item.get("coordinates"), "coordinates")
    parts = [coordinates] if item["type"] == single else coordinates
    return [part for part in parts if as_list(part, "coordinates")]


def _numbers(places: Any) -> Corners:
    pairs = [as_list(place, "two numbers")[:2] for place in as_list(places, "places")]
    if any(len(pair) < 2 for pair in pairs):
        raise FormError("a place that is not two or three numbers")
    # Java programs write null where there is no number: it is no place, but a number's form
    if not {type(number) for pair in pairs for number in pair} <= {int, float, type(None)}:
        raise FormError("coordinates that are not numbers")
    try:
        numbers = np.array(pairs, np.float64).reshape(-1, 2)
    except OverflowError as error:  # integers of hundreds of digits
        raise PlaceError(FAR) from error
    if not np.isfinite(numbers).all():
        raise PlaceError(NOWHERE)
    if np.abs(numbers).max(initial=0) > FARTHEST:
        raise PlaceError(FAR)
    return numbers


def _polygon(rings: Any) -> BaseGeometry:
    outline, *holes = [_numbers(ring) for ring in rings]
    if len(outline) < 3:
        raise PlaceError(TOO_FEW)
    holes = [hole for hole in holes if len(hole) >= 3]
    polygon = shapely.Polygon(outline, holes)
    if polygon.is_valid:
        return polygon
    if holes and max(map(_area, holes)) > _area(outline):
        raise PlaceError(HOLE)
    # Ring by ring: of a hole that touches the outline, repaired at once, the area would be kept.
    shell, *cut = map(_mended, (outline, *holes))
    return _areas(shell.difference(union(cut))) if cut else shell


def _area(ring: Corners) -> float:
    """Return what an outline encloses; of one that crosses itself nothing cancels out."""
    return float(_mended(ring).area)


def _mended(ring: Corners) -> BaseGeometry:
    polygon = shapely.Polygon(ring)
    return polygon if polygon.is_valid else _areas(shapely.make_valid(polygon))


def _areas(shape: BaseGeometry) -> BaseGeometry:
    """Drop the lines and points that are left where an outline crosses itself."""
    parts = [part for part in shapely.get_parts(shape) if part.area > 0]
    return union(parts) if parts else shapely.MultiPolygon()


def union(shapes: Sequence[BaseGeometry] | NDArray[np.object_]) -> BaseGeometry:
    """Return shapes together as one valid shape; what two cover counts once.

    Areas that lie apart stay as they are: to join the thousands that a pixel classifier draws takes
    a minute, to see that nothing is to be joined a second.
    """
    parts = shapely.get_parts(shapes)
    if len(parts) and (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON).all():
        apart = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts.tolist())
        if apart.is_valid and not shapely.is_empty(parts).any():
            return apart
    return shapely.union_all(shapes)


def _ellipse(outline: BaseGeometry) -> BaseGeometry:
    if outline.is_empty:
        return outline
    left, top, right, bottom = outline.bounds
    circle = shapely.Point(0, 0).buffer(1, quad_segs=_QUARTER_SEGMENTS)
    half = np.array([(right - left) / 2, (bottom - top) / 2])
    return shapely.transform(circle, lambda at: at * half + [left + half[0], top + half[1]])


def polygons(shape: BaseGeometry) -> Iterator[shapely.Polygon]:
    """Yield the polygons that a shape consists of."""
    for part in shapely.get_parts(shape):
        if isinstance(part, shapely.Polygon) and not part.is_empty:
            yield part
        elif isinstance(part, shapely.GeometryCollection):
            yield from polygons(part)


def points(shape: BaseGeometry) -> Corners:
    """Return the points in a shape that belong to no polygon, float (N, 2)."""
    parts = [part for part in shapely.get_parts(shape) if not part.is_empty]
    single = [part for part in parts if isinstance(part, shapely.Point)]
    return np.array([(point.x, point.y) for point in single], np.float64).reshape(-1, 2)


def seamed(polygon: shapely.Polygon) -> Corners:
    """Return one closed line around a polygon, float (N, 2).

    Holes are joined to the outline by a seam of no width, so that filling by the even-odd rule
    leaves them out.
    """
    parts = [outline := np.asarray(polygon.exterior.coords)[:, :2]]
    for hole in polygon.interiors:
        ring = np.asarray(hole.coords)[:, :2]
        # There and back along the same seam: it encloses nothing.
        parts += [ring, ring[:1], outline[-1:]]
    return np.concatenate(parts)


def geometry_json(shape: BaseGeometry) -> Mapping[str, Any] | None:
    """Return polygons as GeoJSON, rounded as QuPath does; None where no area is left."""
    rounded = shapely.set_precision(shape, 10.0**-DECIMALS)
    parts = [_rings(polygon) for polygon in polygons(rounded) if polygon.area > 0]
    if not parts:
        return None
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _rings(polygon: shapely.Polygon) -> list[list[list[float]]]:
    return [
        np.round(np.asarray(ring.coords)[:, :2], DECIMALS).tolist()
        for ring in (polygon.exterior, *polygon.interiors)
    ]


def shown_box(box: Box, frame: Box) -> Box | None:
    """Return the part of a box that lies in a frame, counted from its corner.

    None where that is nothing, or nothing is left of it when it is rounded.
    """
    inside = box.intersection(frame)
    if inside is None:
        return None
    shown = inside.shifted(-frame.x, -frame.y)
    left, top, right, bottom = (
        round(edge, DECIMALS) for edge in (shown.x, shown.y, shown.right, shown.bottom)
    )
    return shown if left < right and top < bottom else None


def shown_shape(shape: BaseGeometry, frame: Box) -> BaseGeometry:
    """Return the part of a shape that lies in a frame, counted from its corner."""
    inside = shapely.intersection(shape, shapely.box(frame.x, frame.y, frame.right, frame.bottom))
    return shapely.transform(inside, lambda at: at - [frame.x, frame.y])
