"""GeoJSON as QuPath documents it."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely.geometry import shape

from napari_xmag import NOTICE
from napari_xmag.analyze import Flag, FlagCode, SlideResult
from napari_xmag.analyze.heatmap import attention_rank
from napari_xmag.export import write_geojson, write_qupath
from napari_xmag.export.geojson import patches_json
from napari_xmag.export.palette import heat_colors
from napari_xmag.geometry import Box
from napari_xmag.qupath.origin import Origin
from napari_xmag.review.verdicts import PlaceReview, Verdict
from tests.analyze.test_result import make_result
from tests.qupath.schema import check_collection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiles.geojson"


def written(result: SlideResult, path: Path, **options: Any) -> Any:
    """Write both files; return the one for QuPath."""
    packed = path.with_name("qupath.geojson.gz")
    write_qupath(result, packed, **options)
    write_geojson(result, path, options.get("origin", "bounds"))
    content = json.loads(gzip.decompress(packed.read_bytes()))
    plain = json.loads(path.read_text(encoding="utf-8"))
    check_collection(content)
    check_collection(plain)
    tiles = [item for item in content["features"] if item["properties"]["objectType"] == "tile"]
    assert plain == {**content, "features": tiles}
    return content


def annotations(content: Any) -> list[Any]:
    return [item for item in content["features"] if item["properties"]["objectType"] != "tile"]


def test_patches_that_were_made_before_give_the_same_files(tmp_path: Path) -> None:
    result = make_result()
    made = patches_json(result, Origin.SLIDE)
    for write in (write_geojson, write_qupath):
        write(result, tmp_path / "anew", Origin.SLIDE)
        write(result, tmp_path / "made", Origin.SLIDE, patches=made)
        assert (tmp_path / "made").read_bytes() == (tmp_path / "anew").read_bytes()


def test_patches_are_qupath_tiles_with_colours_and_measurements(path: Path) -> None:
    result = make_result()
    content = written(result, path)
    patches = result.patches
    colors = heat_colors(attention_rank(patches.attention))
    for index in range(len(patches)):
        feature = content["features"][index]
        measurements = feature["properties"]["measurements"]
        # as float32, which is what QuPath keeps
        assert measurements["Attention"] == patches.attention[index]
        assert measurements["Attention logit"] == patches.attention_logit[index]
        assert measurements["Evidence: malignant"] == patches.evidence[index, 1]
        assert feature["properties"]["color"] == colors[index].tolist()
        corner = feature["geometry"]["coordinates"][0][0]
        expected = patches.x[index] - 1501, patches.y[index] - 2003
        np.testing.assert_allclose(corner, expected, atol=0.005)


def test_ids_differ_and_stay(path: Path) -> None:
    first = [item["id"] for item in written(make_result(), path)["features"]]
    again = [item["id"] for item in written(make_result(), path, origin="slide")["features"]]
    assert first == again
    other = replace(make_result(), model={**make_result().model, "sha256": "1" * 64})
    assert not set(first) & {item["id"] for item in written(other, path)["features"]}


def test_bounds_are_qupaths_origin(path: Path) -> None:
    for origin, corner in (("bounds", [0, 0]), ("slide", [1501, 2003])):
        content = written(make_result(), path, origin=origin)
        assert content["features"][0]["geometry"]["coordinates"][0][0] == corner
        assert content["napari_xmag"]["origin"] == origin
        assert "pixel (" in content["napari_xmag"]["origin_words"]


def test_the_default_is_qupaths(path: Path) -> None:
    write_geojson(make_result(), path)
    assert json.loads(path.read_text())["napari_xmag"]["origin"] == "bounds"


@pytest.mark.parametrize("origin", ["bounds", "slide"])
def test_patches_are_clipped_to_what_qupath_shows(origin: str, path: Path) -> None:
    plain = make_result()
    bounds = {**plain.slide["bounds"], "width": 19000.5, "height": 9000}
    slide = {**plain.slide, "bounds": bounds, "width": 21000, "height": 11000}
    content = written(replace(plain, slide=slide), path, origin=origin)
    rings = [item["geometry"]["coordinates"][0] for item in content["features"][:50]]
    largest = np.array(rings).reshape(-1, 2).max(0)
    expected = (19000.5, 9000) if origin == "bounds" else (21000, 11000)
    np.testing.assert_allclose(largest, expected, atol=0.005)


def test_hotspots_are_locked_annotations_of_our_class(path: Path) -> None:
    result = make_result(classes=("benign", "malignant"))
    found = annotations(written(result, path))
    # the five strongest of fifty, each alone: 512 µm make more than the least area
    assert 1 <= len(found) <= 5
    evidence = [float(item["properties"]["metadata"]["XMAG evidence"]) for item in found]
    assert evidence == sorted(evidence, reverse=True)
    strongest = int(result.patches.evidence[:, 1].argmax())
    covered = np.array(found[0]["geometry"]["coordinates"][0]).mean(0)
    for item in found:
        properties = item["properties"]
        assert properties["classification"]["names"] == ["XMAG", "malignant"]
        assert properties["isLocked"]
        assert properties["name"].startswith("XMAG hotspot ")
    corner = result.patches.x[strongest] - 1501, result.patches.y[strongest] - 2003
    everywhere = [np.array(item["geometry"]["coordinates"][0]) for item in found]
    assert any((np.abs(ring - corner) < 0.01).all(1).any() for ring in everywhere), covered


def test_no_hotspots_where_the_map_says_nothing(path: Path) -> None:
    flat = replace(make_result(), flags=(Flag(FlagCode.DEGENERATE_MAP, "It says nothing."),))
    assert annotations(written(flat, path)) == []
    assert annotations(written(make_result(0), path)) == []


def test_no_hotspots_where_classes_are_too_close_to_call(path: Path) -> None:
    close = replace(make_result(), probabilities=(0.5, 0.5))
    assert close.uncertain
    assert annotations(written(close, path)) == []


def test_areas_of_classes_take_the_place_of_hotspots_of_a_taught_model(path: Path) -> None:
    plain = make_result(classes=("Fat", "Lymph", "Not taught"))
    colors = [[1, 2, 3], [4, 5, 6], [128, 128, 128]]
    model = {**plain.model, "head": "patch_classifier", "colors": colors}
    result = replace(plain, model=model, probabilities=(0.5, 0.3, 0.2))
    found = annotations(written(result, path))
    labels = result.patches.evidence.argmax(1)
    patch = result.stride_x * result.stride_y
    for index, name in enumerate(("Fat", "Lymph")):
        mine = [a for a in found if a["properties"]["classification"]["names"] == ["XMAG", name]]
        assert {tuple(a["properties"]["classification"]["color"]) for a in mine} == {
            tuple(colors[index])
        }
        area = sum(shape(a["geometry"]).area for a in mine)
        assert area == pytest.approx((labels == index).sum() * patch, rel=1e-4)
    assert not [a for a in found if "Not taught" in str(a)]


def taught(**changes: Any) -> SlideResult:
    plain = make_result(classes=("Fat", "Lymph", "Not taught"))
    model = {**plain.model, "head": "patch_classifier", "colors": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}
    return replace(plain, model=model, probabilities=(0.5, 0.3, 0.2), **changes)


def test_the_head_says_what_stands_in_the_place_of_hotspots(path: Path) -> None:
    content = written(taught(), path)
    assert annotations(content)
    assert "areas of the classes that were taught stand" in content["napari_xmag"]["hotspots"]
    flat = (Flag(FlagCode.DEGENERATE_MAP, "It says nothing."),)
    content = written(taught(flags=flat), path)
    assert annotations(content) == []
    assert content["napari_xmag"]["abstained"]
    assert "no areas" in content["napari_xmag"]["hotspots"]
    assert "no reliable prediction" in content["napari_xmag"]["hotspots"]


@pytest.mark.parametrize("result", [make_result(), taught()])
def test_a_place_of_no_area_is_not_written(result: SlideResult, path: Path) -> None:
    # what QuPath shows ends where the first column does, and a hair beyond
    strip = {**result.slide["bounds"], "width": result.stride_x + 0.001}
    content = written(replace(result, slide={**result.slide, "bounds": strip}), path)
    assert all(shape(item["geometry"]).area > 1 for item in content["features"])
    nothing = {**result.slide, "bounds": {**result.slide["bounds"], "width": 0.001}}
    assert written(replace(result, slide=nothing), path)["features"] == []


def test_reviewed_places(path: Path) -> None:
    result = make_result()
    box = result.patches.box
    said = (
        PlaceReview(box(7), "malignant", "evidence", Verdict.RIGHT, "a fold?", "Dr. A", "2026"),
        PlaceReview(box(23), verdict=Verdict.WRONG),
    )
    content = written(result, path, reviews=said)
    places = [item for item in annotations(content) if "review" in item["properties"]["name"]]
    assert [item["properties"]["metadata"] for item in places] == [
        {"XMAG verdict": "wrong"},
        {
            "XMAG verdict": "right",
            "XMAG comment": "a fold?",
            "XMAG reviewer": "Dr. A",
            "XMAG date": "2026",
        },
    ]
    assert all(item["properties"]["isLocked"] for item in places)
    assert places[1]["geometry"] == content["features"][7]["geometry"]


def test_says_what_it_is_for_once(path: Path) -> None:
    write_qupath(
        make_result(), path.with_name("q.gz"), reviews=[PlaceReview(Box(1501, 2003, 9, 9))]
    )
    text = gzip.decompress(path.with_name("q.gz").read_bytes()).decode()
    assert text.count(NOTICE) == 1
    assert json.loads(text)["napari_xmag"]["notice"] == NOTICE


def test_class_names_that_qupath_would_refuse(path: Path) -> None:
    result = make_result(classes=("benign", "grade: 3\nhigh"))
    names = annotations(written(result, path))[0]["properties"]["classification"]["names"]
    assert names == ["XMAG", "grade", "3 high"]


def test_no_patches(path: Path) -> None:
    assert written(make_result(0), path)["features"] == []


def test_unknown_origin_writes_nothing(path: Path) -> None:
    for write in (write_geojson, write_qupath):
        with pytest.raises(ValueError, match="elsewhere"):
            write(make_result(), path, "elsewhere")
        assert not path.exists()


@pytest.mark.parametrize("count", [2, 5, 6, 30])
def test_a_large_map_stays_small(path: Path, count: int) -> None:
    classes = tuple(f"class {number}" for number in range(count))
    content = make_result(16384, classes=classes)
    wide = {**content.slide, "bounds": {"x": 1501, "y": 2003, "width": 3e4, "height": 4e6}}
    # another order than that of the names
    likely = tuple((number * 7 % count + 1) / sum(range(count + 1)) for number in range(count))
    tall = replace(content, grid_shape=(1639, 10), slide=wide, probabilities=likely)
    write_qupath(tall, path)
    assert path.stat().st_size <= 1_500_000
    features = json.loads(gzip.decompress(path.read_bytes()))["features"]
    told = [name for name in features[0]["properties"]["measurements"] if "Evidence" in name]
    shares = sorted(zip(tall.probabilities, classes, strict=True), reverse=True)[:10]
    assert sorted(told) == sorted(f"Evidence: {name}" for _, name in shares)
    for name in told:
        values = [item["properties"]["measurements"][name] for item in features[:16384]]
        evidence = tall.patches.evidence[:, classes.index(name.removeprefix("Evidence: "))]
        rounded = 0.0 if count <= 5 else 0.005
        np.testing.assert_allclose(np.float32(values), evidence, rtol=rounded)
    first = path.read_bytes()
    write_qupath(tall, path)
    assert path.read_bytes() == first
