"""Patches of one class become polygons with its name and colour."""

import numpy as np
import pytest
import shapely
import shapely.geometry

from napari_xmag.geometry import Box, Mpp
from napari_xmag.qupath.class_polygons import class_polygons, polygon_features
from tests.analyze.test_result import make_result
from tests.qupath.schema import check_feature

CLASSES = ["Tumor", "Stroma", "Gland: inner"]
MPP = Mpp(0.25, 0.25)
SIDE = 2048.000000000731


def labels() -> np.ndarray:
    """A ring of tumour around one patch of stroma, a strip of stroma, a gland; the rest none."""
    grid = np.full((7, 10), -1)
    grid[1:4, 1:4] = 0
    grid[2, 2] = 1
    grid[5, :] = 1
    grid[0, 9] = 2
    return grid.ravel()


def test_holes_areas_and_classes() -> None:
    found = class_polygons(make_result(70), labels(), CLASSES, MPP)
    assert [(item.class_name, len(item.shape.interiors)) for item in found] == [
        ("Tumor", 1),
        ("Stroma", 0),
        ("Stroma", 0),
        ("Gland: inner", 0),
    ]
    counts = [8, 1, 10, 1]
    areas = [item.shape.area for item in found]
    assert areas == pytest.approx([count * SIDE**2 for count in counts], rel=1e-9)
    assert [item.area_um2 for item in found] == pytest.approx(
        [c * 512**2 for c in counts], rel=1e-9
    )
    # no seams and no needless corners
    assert len(found[2].shape.exterior.coords) == 5


def test_small_places_are_left_out() -> None:
    found = class_polygons(make_result(70), labels(), CLASSES, MPP, least_um2=2 * 512**2)
    assert [item.class_name for item in found] == ["Tumor", "Stroma"]


def test_smooth_outlines_keep_area_and_hole() -> None:
    plain = class_polygons(make_result(70), labels(), CLASSES, MPP)[0]
    smooth = class_polygons(make_result(70), labels(), CLASSES, MPP, smooth=True)[0]
    assert smooth.shape.area == pytest.approx(plain.shape.area, rel=0.05)
    assert len(smooth.shape.interiors) == 1
    assert len(smooth.shape.exterior.coords) > len(plain.shape.exterior.coords)


def test_features_for_qupath() -> None:
    frame = Box(1501, 2003, 20480, 14336)
    found = class_polygons(make_result(70), labels(), CLASSES, MPP)
    features = polygon_features(found, frame, "slide/model", {"Stroma": (1, 2, 3)})
    for feature in features:
        check_feature(feature)
        assert not feature["properties"]["isLocked"]
    stated = [item["properties"]["classification"] for item in features]
    assert stated[0] == {"name": "Tumor", "color": [200, 0, 0]}
    assert stated[1] == {"name": "Stroma", "color": [1, 2, 3]}
    assert stated[3]["names"] == ["Gland", "inner"]
    assert len({item["id"] for item in features}) == 4
    shape = shapely.geometry.shape(features[0]["geometry"])
    assert shape.bounds == pytest.approx((2048, 2048, 8192, 8192), abs=0.01)
    # the last row ends within the frame: nothing is clipped but rounding
    assert shape.area == pytest.approx(8 * SIDE**2, rel=1e-4)


def test_features_are_clipped() -> None:
    found = class_polygons(make_result(70), labels(), CLASSES, MPP)
    features = polygon_features(found, Box(1501, 2003, 3000, 14336), "slide/model", {})
    assert [item["properties"]["classification"]["name"] for item in features] == [
        "Tumor",
        "Stroma",
    ]
    for feature in features:
        assert shapely.geometry.shape(feature["geometry"]).bounds[2] <= 3000
