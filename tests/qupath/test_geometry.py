"""Shapes keep their area and place on every way."""

import numpy as np
import pytest
import shapely
import shapely.geometry

from napari_xmag.geometry import Box
from napari_xmag.qupath.forms import FormError
from napari_xmag.qupath.geometry import (
    PlaceError,
    geometry_json,
    points,
    polygons,
    read_geometry,
    seamed,
    shown_box,
    shown_shape,
    union,
)
from tests.qupath.shapes import polygon, square


def even_odd_area(corners: np.ndarray) -> float:
    """Return the area by the trapezium rule: seams cancel out."""
    x, y = corners.T
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


def test_holes_and_islands_in_them() -> None:
    holed = polygon(square(0, 0, 100), square(20, 20, 60)[::-1])
    island = polygon(square(40, 40, 20))
    both = {"type": "MultiPolygon", "coordinates": [holed["coordinates"], island["coordinates"]]}
    shape = read_geometry(both)
    assert shape.area == 100**2 - 60**2 + 20**2
    assert sum(even_odd_area(seamed(part)) for part in polygons(shape)) == shape.area


def test_crossing_and_overlapping_outlines() -> None:
    bow = polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]])
    assert read_geometry(bow).area == pytest.approx(50)
    twice = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 10)], [square(5, 0, 10)]]}
    assert read_geometry(twice).area == 150
    spike = polygon([[0, 0], [10, 0], [20, 0], [10, 0], [10, 10], [0, 10], [0, 0]])
    assert read_geometry(spike).area == 100


def test_a_hole_in_an_outline_that_crosses_itself() -> None:
    bow = polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]], square(1, 4.5, 1))
    assert read_geometry(bow).area == pytest.approx(49)
    with pytest.raises(PlaceError, match="hole larger"):
        read_geometry(polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]], square(0, 0, 9)))


@pytest.mark.parametrize(
    ("holes", "area"),
    [
        ([(0, 0, 5, 5)], 75),  # in a corner
        ([(2, 0, 7, 3)], 85),  # on an edge
        ([(8, 4, 12, 7)], 94),  # half outside
        ([(2, 2, 5, 5), (4, 4, 7, 7)], 83),  # two that overlap
        ([(2, 2, 8, 8), (4, 4, 6, 6)], 64),  # one in another
    ],
)
def test_holes_that_touch_or_cross_are_holes(
    holes: list[tuple[float, float, float, float]], area: float
) -> None:
    boxes = [shapely.box(*corners) for corners in ((0, 0, 10, 10), *holes)]
    found = read_geometry(polygon(*(list(map(list, box.exterior.coords)) for box in boxes)))
    assert found.area == pytest.approx(area)
    assert found.is_valid


def test_open_rings_and_heights() -> None:
    assert read_geometry(polygon(square(0, 0, 10)[:-1])).area == 100
    high = polygon([[x, y, 7] for x, y in square(0, 0, 10)])
    assert read_geometry(high).area == 100


@pytest.mark.parametrize("size", [0, 1])
def test_places_of_too_few_numbers_are_not_paired(size: int) -> None:
    places = [[0] * size, [5] * size] * 3
    for item in (polygon(places), {"type": "MultiPoint", "coordinates": [[1, 2], [3]]}):
        with pytest.raises(FormError, match="not two or three numbers"):
            read_geometry(item)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [2**31 + 1, -1e300, 10**401], ids=["just", "float", "integer"])
def test_places_beyond_any_slide_are_refused(far: float) -> None:
    for item in (polygon([[0, 0], [far, 0], [5, 5]]), {"type": "Point", "coordinates": [0, far]}):
        with pytest.raises(PlaceError, match="far beyond any slide"):
            read_geometry(item)
    assert read_geometry(polygon(square(-(2**31), -(2**31), 2**32))).area == 2**64


def test_an_ellipse_is_one_whatever_stands_for_it() -> None:
    box = polygon([[0, 0], [20, 0], [20, 10], [0, 10], [0, 0]], isEllipse=True)
    shape = read_geometry(box)
    assert shape.area == pytest.approx(np.pi * 10 * 5, rel=1e-3)
    assert shape.bounds == pytest.approx((0, 0, 20, 10))


def test_nothing_is_empty() -> None:
    for item in ({}, None, {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}):
        assert read_geometry(item).is_empty
    for coordinates in ([], [[]], [[], []]):
        for kind in ("Polygon", "MultiPolygon"):
            assert read_geometry({"type": kind, "coordinates": coordinates}).is_empty
    whole = {"type": "MultiPolygon", "coordinates": [[], [[]], [square(0, 0, 10)]]}
    assert read_geometry(whole).area == 100


def test_points() -> None:
    assert points(read_geometry({"type": "Point", "coordinates": [1, 2]})).tolist() == [[1, 2]]
    mixed = {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "MultiPoint", "coordinates": [[50, 50], [60, 60]]},
            polygon(square(0, 0, 10)),
        ],
    }
    shape = read_geometry(mixed)
    assert sorted(points(shape).tolist()) == [[50, 50], [60, 60]]
    assert shape.area == 100


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(0, 0, 10, 10).difference(shapely.box(2, 2, 4, 4)),
        shapely.union_all([shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)]),
    ],
)
def test_written_shapes_are_read_by_shapely(shape: shapely.Geometry) -> None:
    assert shapely.geometry.shape(geometry_json(shape)).equals(shape)


def test_what_has_no_area_is_not_written() -> None:
    line = shapely.LineString([(0, 0), (5, 5)])
    hair = shapely.box(0, 0, 0.001, 50)
    for shape in (shapely.MultiPolygon(), shapely.Polygon(), line, hair):
        assert geometry_json(shape) is None
    mixed = shapely.GeometryCollection([line, hair, shapely.box(0, 0, 10, 10)])
    written = geometry_json(mixed)
    assert written is not None
    assert shapely.geometry.shape(written).equals(shapely.box(0, 0, 10, 10))
    frame = Box(0, 0, 100, 100)
    assert geometry_json(shown_shape(shapely.box(100, 0, 200, 50), frame)) is None  # touches it
    assert shown_box(Box(99.999, 0, 50, 50), frame) is None


def test_only_what_is_shown() -> None:
    frame = Box(100, 200, 50, 50)
    assert shown_box(Box(90, 190, 20, 20), frame) == Box(0, 0, 10, 10)
    assert shown_box(Box(0, 0, 20, 20), frame) is None
    assert shown_shape(shapely.box(90, 190, 110, 210), frame).bounds == (0, 0, 10, 10)


def test_areas_that_lie_apart_are_not_joined_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    squares = [shapely.box(x, 0, x + 1, 1) for x in range(0, 40, 2)]
    together = shapely.union_all(squares)
    overlapping = [*squares, shapely.box(0.5, 0, 1.5, 1)]
    assert union(overlapping).area == pytest.approx(20.5)
    assert union([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]).equals(shapely.box(0, 0, 2, 1))
    assert union([shapely.MultiPoint([(0, 0), (1, 1)]), shapely.Point(0, 0)]).area == 0
    assert union([]).is_empty
    monkeypatch.delattr(shapely, "union_all")
    assert union(squares).equals(together)
    assert union([shapely.MultiPolygon(squares[1:]), squares[0]]).equals(together)
    many = {"type": "MultiPolygon", "coordinates": [[square(x, 0, 1)] for x in range(0, 40, 2)]}
    assert read_geometry(many).equals(together)
