"""GeoJSON as QuPath documents it."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from napari_xmag import NOTICE
from napari_xmag.export import write_geojson
from tests.analyze.test_result import make_result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiles.geojson"


def test_features_are_qupath_tiles(path: Path) -> None:
    result = make_result()
    write_geojson(result, path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["type"] == "FeatureCollection"
    assert len(data["features"]) == len(result.patches)
    for index, feature in enumerate(data["features"]):
        assert feature["type"] == "Feature"
        UUID(feature["id"])
        assert feature["properties"]["objectType"] == "tile"
        measurements = feature["properties"]["measurements"]
        assert all(isinstance(value, float) for value in measurements.values())
        assert measurements["Attention"] == result.patches.attention[index]
        assert measurements["Evidence: malignant"] == result.patches.evidence[index, 1]
        ring = feature["geometry"]["coordinates"][0]
        assert feature["geometry"]["type"] == "Polygon"
        assert len(ring) == 5
        assert ring[0] == ring[-1]


def test_ids_differ_and_stay(path: Path) -> None:
    ids = []
    for origin in ("bounds", "bounds", "slide"):
        write_geojson(make_result(), path, origin)
        ids.append([feature["id"] for feature in json.loads(path.read_text())["features"]])
    assert len(set(ids[0])) == len(ids[0])
    assert ids[0] == ids[1] == ids[2]


def test_bounds_are_qupaths_origin(path: Path) -> None:
    for origin, corner in (("bounds", [0, 0]), ("slide", [1501, 2003])):
        write_geojson(make_result(), path, origin)
        data = json.loads(path.read_text())
        assert data["features"][0]["geometry"]["coordinates"][0][0] == corner
        assert data["napari_xmag"]["origin"] == origin


def test_the_default_is_qupaths(path: Path) -> None:
    write_geojson(make_result(), path)
    assert json.loads(path.read_text())["napari_xmag"]["origin"] == "bounds"


def test_says_what_it_is_for(path: Path) -> None:
    write_geojson(make_result(), path)
    data = json.loads(path.read_text())
    assert data["napari_xmag"]["notice"] == NOTICE
    assert all(f["properties"]["metadata"]["notice"] == NOTICE for f in data["features"])


def test_no_tiles(path: Path) -> None:
    write_geojson(make_result(0), path)
    assert json.loads(path.read_text())["features"] == []


def test_unknown_origin_writes_nothing(path: Path) -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        write_geojson(make_result(), path, "elsewhere")
    assert not path.exists()
