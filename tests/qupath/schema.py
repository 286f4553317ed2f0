"""The GeoJSON that QuPath 0.4 to 0.7 reads, checked key by key and type by type."""

from typing import Any
from uuid import UUID

TILE = {"objectType", "name", "color", "measurements"}
ANNOTATION = {"objectType", "name", "classification", "isLocked", "metadata"}


def check_collection(content: Any) -> None:
    """Assert that a file is a FeatureCollection of tiles and annotations, and no more."""
    assert set(content) == {"type", "napari_xmag", "features"}
    assert content["type"] == "FeatureCollection"
    ids = [feature["id"] for feature in content["features"]]
    assert len(set(ids)) == len(ids)
    for feature in content["features"]:
        check_feature(feature)


def check_feature(feature: Any) -> None:
    """Assert that a feature is a tile or an annotation."""
    assert set(feature) == {"type", "id", "geometry", "properties"}
    assert feature["type"] == "Feature"
    assert str(UUID(feature["id"])) == feature["id"]
    check_geometry(feature["geometry"])
    properties = feature["properties"]
    assert isinstance(properties["name"], str)
    assert properties["name"]
    if properties["objectType"] == "tile":
        # no metadata: QuPath 0.5 logs a stack trace for each
        assert set(properties) == TILE
        check_color(properties["color"])
        check_measurements(properties["measurements"])
    else:
        assert properties["objectType"] == "annotation"
        assert {"objectType", "name", "classification", "isLocked"} <= set(properties) <= ANNOTATION
        check_classification(properties["classification"])
        assert isinstance(properties["isLocked"], bool)
        metadata = properties.get("metadata", {"a": "b"})
        assert metadata
        assert all(isinstance(text, str) for item in metadata.items() for text in item)


def check_measurements(measurements: Any) -> None:
    """Assert that all are numbers."""
    assert measurements
    assert all(isinstance(name, str) and name for name in measurements)
    assert all(type(value) is float for value in measurements.values())


def check_classification(stated: Any) -> None:
    """Assert a name or names, and a colour: QuPath refuses a class without one."""
    assert set(stated) in ({"name", "color"}, {"names", "color"})
    names = stated.get("names", [stated.get("name")])
    assert all(isinstance(name, str) and name.strip() == name != "" for name in names)
    assert not any(sign in name for name in names for sign in ":\n\r")
    check_color(stated["color"])


def check_color(color: Any) -> None:
    """Assert three whole numbers from 0 to 255."""
    assert isinstance(color, list)
    assert len(color) == 3
    assert all(type(part) is int and 0 <= part <= 255 for part in color)


def check_geometry(geometry: Any) -> None:
    """Assert closed rings of plain numbers."""
    assert set(geometry) - {"plane"} == {"type", "coordinates"}
    assert all(type(number) is int for number in geometry.get("plane", {}).values())
    assert geometry["type"] in ("Polygon", "MultiPolygon")
    many = geometry["type"] == "MultiPolygon"
    for rings in geometry["coordinates"] if many else [geometry["coordinates"]]:
        for ring in rings:
            assert len(ring) >= 4
            assert ring[0] == ring[-1]
            assert all(len(place) == 2 and all(type(x) is float for x in place) for place in ring)
