"""Annotations of every version, in every form."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import shapely

from napari_xmag.errors import TissueError
from napari_xmag.qupath.annotations import ObjectKind, read_annotations
from tests.qupath.shapes import annotation, collection, feature, polygon, square, write

SQUARE = polygon(square(10, 20, 100))


def read_one(tmp_path: Path, content: Any) -> Any:
    (found,) = read_annotations(write(tmp_path / "a.geojson", content)).annotations
    return found


@pytest.mark.parametrize("name", ["a.geojson", "a.json", "a.geojson.gz", "a.zip"])
def test_packed_or_plain(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, collection(annotation(SQUARE, "Tumor")))
    (found,) = read_annotations(path).annotations
    assert (found.shape.bounds, found.classes) == ((10, 20, 110, 120), ("Tumor",))


def test_what_a_file_is_shows_in_its_bytes(tmp_path: Path) -> None:
    packed = write(tmp_path / "a.geojson.gz", collection(annotation(SQUARE)))
    renamed = packed.rename(tmp_path / "objects.geojson")
    assert len(read_annotations(renamed).annotations) == 1


@pytest.mark.parametrize(
    "content",
    [
        SQUARE,
        feature(SQUARE),
        {"type": "Feature", "geometry": SQUARE, "properties": None},
        [feature(SQUARE)],
        collection(feature(SQUARE)),
        {"type": "GeometryCollection", "geometries": [SQUARE]},
        {"type": "MultiPolygon", "coordinates": [SQUARE["coordinates"]]},
    ],
)
def test_any_geojson(content: Any, tmp_path: Path) -> None:
    assert read_one(tmp_path, content).shape.area == 100 * 100


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        *((feature(SQUARE, objectType=kind), kind) for kind in ObjectKind if "object" not in kind),
        (feature(SQUARE, object_type="tma_core"), ObjectKind.TMA_CORE),
        (feature(SQUARE, object_type="tile"), ObjectKind.TILE),
        (feature(SQUARE, type="cell"), ObjectKind.CELL),
        ({**feature(SQUARE), "id": "PathTileObject"}, ObjectKind.TILE),
        ({**feature(SQUARE), "id": "PathRootObject"}, ObjectKind.ROOT),
        (feature(SQUARE, objectType="something new"), ObjectKind.UNKNOWN),
    ],
)
def test_kinds(content: Any, kind: ObjectKind, tmp_path: Path) -> None:
    file = read_annotations(write(tmp_path / "a.geojson", content))
    found = dict(file.others) or {ObjectKind.ANNOTATION: len(file.annotations)}
    assert found == {kind: 1}


@pytest.mark.parametrize(
    "content",
    [
        feature(SQUARE, type="gland"),  # another program's own word
        {**feature(SQUARE), "id": "PathAnnotationObject"},
        {**feature(SQUARE, objectType="annotation"), "id": "5d2c3a52-6ac4-4b6e-9f9f-4f8b1f6f6f4e"},
    ],
)
def test_annotations_without_a_type(content: Any, tmp_path: Path) -> None:
    assert read_one(tmp_path, content).shape.area == 100 * 100


@pytest.mark.parametrize(
    ("stated", "classes"),
    [
        (None, ()),
        ({}, ()),
        ("Tumor", ("Tumor",)),
        ("Tumor: Positive", ("Tumor", "Positive")),
        ({"name": "Tumor", "color": [200, 0, 0]}, ("Tumor",)),
        ({"name": "Tumor: Positive", "colorRGB": -377282}, ("Tumor", "Positive")),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, ("Tumor", "Positive")),
        ({"name": "Positive", "parentClass": {"name": "Tumor"}}, ("Tumor", "Positive")),
    ],
)
def test_classes(stated: Any, classes: tuple[str, ...], tmp_path: Path) -> None:
    assert read_one(tmp_path, annotation(SQUARE, classification=stated)).classes == classes


def test_objects_below_others(tmp_path: Path) -> None:
    inner = annotation(polygon(square(20, 30, 10)), "Tumor")
    core = feature(SQUARE, objectType="tmaCore", childObjects=[inner])
    file = read_annotations(write(tmp_path / "a.geojson", collection(core)))
    assert [item.classes for item in file.annotations] == [("Tumor",)]
    assert file.others == {ObjectKind.TMA_CORE: 1}


@pytest.mark.parametrize("geometry", [{}, None])
def test_without_a_geometry(geometry: Any, tmp_path: Path) -> None:
    content = collection(annotation(geometry), annotation(SQUARE))
    assert read_one(tmp_path, content).shape.area == 100 * 100
    assert read_annotations(tmp_path / "a.geojson").shapeless == 1


def test_plane_name_and_metadata_twice(tmp_path: Path) -> None:
    geometry = {**SQUARE, "plane": {"c": -1, "z": 2, "t": 1}}
    text = json.dumps(annotation(geometry, name="Region 1"))
    path = tmp_path / "a.geojson"
    # as QuPath 0.7 writes it
    path.write_text(text.replace('"name"', '"metadata": {}, "metadata": {"a": "b"}, "name"'))
    (found,) = read_annotations(path).annotations
    assert (found.z, found.t, found.name) == (2, 1, "Region 1")


def test_points_and_lines(tmp_path: Path) -> None:
    dots = annotation({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, "Tumor")
    line = annotation({"type": "LineString", "coordinates": [[1, 2], [3, 4]]})
    file = read_annotations(write(tmp_path / "a.geojson", collection(dots, line)))
    assert [item.shape.area for item in file.annotations] == [0, 0]
    assert len(shapely.get_parts(file.annotations[0].shape)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "not JSON",
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}',
        '{"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [1, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[NaN, 0], [1, 1], [1, 0]]]}',
        '{"type": "Polygon"}',
        '{"type": "Circle", "coordinates": [1, 2]}',
        '{"type": "FeatureCollection", "features": {"a": 1}}',
        '{"type": "Feature", "geometry": "POLYGON ((0 0))"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_geojson_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.geojson"
    path.write_text(text)
    with pytest.raises(TissueError, match=r"broken\.geojson"):
        read_annotations(path)


def test_numbers_that_are_none_refuse_only_what_they_place(tmp_path: Path) -> None:
    """As Java writes them, bare, in measurements and wherever else."""
    cells = {"Area": 1.0, "Circularity": float("nan"), "Solidity": float("inf")}
    placed = annotation(SQUARE, "Tumor", measurements=cells)
    lost = annotation(polygon([[0, 0], [float("nan"), 1], [1, 1], [0, 0]]), "Tumor")
    far = annotation(polygon([[0, 0], [float("-inf"), 1], [1, 1], [0, 0]]), "Tumor")
    no_plane = annotation({**SQUARE, "plane": {"z": float("inf"), "t": 0}}, "Tumor")
    inner = annotation(polygon(square(20, 30, 10)), "Stroma")
    parent = {**lost, "properties": {**lost["properties"], "childObjects": [inner]}}
    path = write(tmp_path / "a.geojson", collection(placed, parent, far, no_plane))
    assert "NaN" in path.read_text()
    file = read_annotations(path)
    assert [item.classes for item in file.annotations] == [("Tumor",), ("Stroma",)]
    assert file.refused == {"with coordinates that are not finite numbers": 3}


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_any_slide_refuse_only_what_they_place(tmp_path: Path) -> None:
    lost = [square(1e300, 0, 1e299), square(0, -1e300, 9), square(0, 0, 10**401)]
    planes = [{"z": 10**400}, {"t": -1e300}]
    path = write(
        tmp_path / "a.geojson",
        collection(
            *(annotation(polygon(ring), "Tumor") for ring in lost),
            *(annotation({**SQUARE, "plane": plane}, "Tumor") for plane in planes),
            annotation(polygon(square(-1e9, -5, 1e9)), "Stroma"),
            annotation(SQUARE, classification={"name": "Necrosis", "colorRGB": 10**400}),
        ),
    )
    file = read_annotations(path)
    assert [item.classes for item in file.annotations] == [("Stroma",), ("Necrosis",)]
    assert file.refused == {"with coordinates far beyond any slide": 5}


@pytest.mark.parametrize(
    ("ring", "words"),
    [
        ([[0, 0], [1, 1]], "1 with an outline of fewer than three corners"),
        ([[float("nan"), 0], [1, 1], [1, 0]], "1 with coordinates that are not finite numbers"),
    ],
)
def test_of_an_annotation_without_a_place_is_said_why(
    ring: Any, words: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.geojson", annotation(polygon(ring)))
    with pytest.raises(TissueError) as said:
        read_annotations(path)
    assert said.value.found == f"a.geojson with no annotation that has a place ({words})"
    assert "redraw" in said.value.hint


OBJECT = "in place of an object of GeoJSON"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, f"null {OBJECT}"),
        (5, f"a number {OBJECT}"),
        ("text", f"a text {OBJECT}"),
        ([feature(SQUARE), None], f"null {OBJECT}"),
        ({}, "an object without a type"),
        ({"type": "FeatureCollection"}, f"null {OBJECT}"),
        (feature(SQUARE, childObjects=True), f"true or false {OBJECT}"),
        (
            {"type": "Feature", "geometry": SQUARE, "properties": [1]},
            "a list in place of the properties of an object, in object 1",
        ),
        (
            collection(feature(SQUARE), feature("POLYGON")),
            "a text in place of a geometry, in object 2",
        ),
        (feature({"type": ["Polygon"]}), """a geometry of the unknown kind "['Polygon']", in"""),
        (feature({"type": "Polygon"}), "null in place of a list of coordinates, in object 1"),
        (feature({"type": "MultiPoint", "coordinates": [1, 2]}), "a number in place of a list"),
        (feature({"type": "GeometryCollection"}), "null in place of a list of geometries"),
        (feature(polygon([[1], [2], [3], [4]])), "a place that is not two or three numbers"),
        (feature(polygon([["1", "2"]] * 4)), "coordinates that are not numbers, in object 1"),
        (feature({**SQUARE, "plane": [1]}), "a list in place of the plane of a geometry"),
        (feature({**SQUARE, "plane": {"z": [1]}}), "a plane whose number is a list"),
        (feature(SQUARE, classification=[1]), "a class that is a list, in object 1"),
        (feature(SQUARE, classification={"name": {"a": 1}}), "a class whose name is an object"),
        (feature(SQUARE, classification={"names": "a"}), "a class whose names are a text"),
    ],
)
def test_what_is_malformed_is_said_in_words(content: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(TissueError) as said:
        read_annotations(write(tmp_path / "a.geojson", content))
    assert said.value.found.startswith(f"a.geojson with {words}")


def test_what_python_says_of_an_unknown_form_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (AttributeError("'list' object"), shapely.errors.GEOSException("Topology")):

        def fail(_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("napari_xmag.qupath.annotations.read_geometry", fail)
        with pytest.raises(TissueError, match=r"a\.geojson with an .*, in object 1\.") as said:
            read_annotations(write(tmp_path / "a.geojson", annotation(SQUARE)))
        assert str(error) not in str(said.value)


@pytest.mark.parametrize("raw", [b"\x1f\x8b\x08broken", b"PK\x03\x04broken", b"\xff\xfe\x00"])
def test_damaged_files_are_named(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.geojson"
    path.write_bytes(raw)
    with pytest.raises(TissueError, match=r"broken\.geojson"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[%s]", 1),
        ("[]", 0),
        (' {"type": "FeatureCollection", "features": [ %s , %s ] } ', 2),
        ('{"type":"FeatureCollection","features":[%s],"crs":{"a":[1]}}\n', 1),
        ('{"type":"FeatureCollection","features":[]}', 0),
        ('{"features":[%s,%s],"type":"FeatureCollection"}', 2),
    ],
)
def test_collections_are_read_object_by_object(text: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    each = json.dumps(annotation(SQUARE))
    path.write_text(text.replace("%s", each))
    assert len(read_annotations(path).annotations) == count


@pytest.mark.parametrize(
    "text",
    [
        *("[%s", "[%s,]", "[%s %s]", "[%s]]", "[%s]}", "[,]"),
        '{"type":"FeatureCollection","features":[%s]',
        '{"type":"FeatureCollection","features":[%s]}}',
        '{"type":"FeatureCollection","features":[%s],}',
    ],
)
def test_what_is_cut_off_or_goes_on_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(text.replace("%s", json.dumps(annotation(SQUARE))))
    with pytest.raises(TissueError, match="is not JSON, or is cut off"):
        read_annotations(path)


def test_many_cells_beside_an_annotation_take_little_memory(tmp_path: Path) -> None:
    values = {f"Nucleus: measurement {number}": number / 7 for number in range(40)}
    cell = feature(SQUARE, objectType="cell", measurements=values)
    path = write(tmp_path / "a.geojson", collection(annotation(SQUARE), *[cell] * 2000))
    size = path.stat().st_size
    tracemalloc.start()
    found = read_annotations(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.others == {ObjectKind.CELL: 2000}
    assert peak < 3 * size


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.geojson", tmp_path):
        with pytest.raises(TissueError, match=path.name):
            read_annotations(path)
