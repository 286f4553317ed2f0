"""Annotations as examples of classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.errors import TissueError
from napari_xmag.export.geojson import write_geojson, write_qupath
from napari_xmag.qupath.labelled_regions import (
    NO_LABEL,
    annotates_classes,
    label_boxes,
    read_labelled_file,
    read_labelled_regions,
    unused_words,
)
from tests.analyze.test_result import make_result
from tests.qupath.shapes import annotation, collection, feature, polygon, square, write


def boxes(*corners: tuple[float, float], side: float = 10) -> np.ndarray:
    return np.array([(x, y, x + side, y + side) for x, y in corners])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    content = collection(
        annotation(polygon(square(0, 0, 100)), "Tumor"),
        annotation(polygon(square(90, 0, 100)), "Stroma"),
        annotation({"type": "MultiPoint", "coordinates": [[505, 505], [905, 905]]}, "Tumor"),
        annotation(polygon(square(0, 0, 1000)), "Ignore*"),
        annotation(polygon(square(0, 0, 1000))),
        annotation(polygon(square(0, 0, 1000)), "XMAG: Tumor", name="XMAG area 1: 2 mm²"),
        annotation(polygon(square(700, 0, 100), plane={"z": 1}), "Stroma"),
    )
    return write(tmp_path / "a.geojson", content)


def test_areas_and_points(path: Path) -> None:
    tumor, stroma = read_labelled_regions(path)
    assert (tumor.class_name, stroma.class_name) == ("Tumor", "Stroma")
    places = boxes((10, 10), (90, 10), (150, 10), (500, 500), (300, 300), (700, 10), (94, 10))
    # by the centre in an area, or a point within; both classes at once teach nothing
    assert label_boxes([tumor, stroma], places).tolist() == [0, -1, 1, 0, -1, -1, -1]
    assert NO_LABEL == -1


@pytest.mark.parametrize(
    ("stated", "color"),
    [
        ({"name": "Tumor", "color": [10, 20, 30]}, (10, 20, 30)),
        ({"name": "Tumor", "color": [10, 20, 30, 128]}, (10, 20, 30)),
        ({"name": "Tumor", "colorRGB": -0x1000000 + 0x0A141E}, (10, 20, 30)),
        ({"name": "Tumor", "color": [10, "x", 300]}, (200, 0, 0)),
        ("Tumor", (200, 0, 0)),
    ],
)
def test_the_colour_is_that_of_the_file(stated: object, color: object, tmp_path: Path) -> None:
    plain = annotation(polygon(square(0, 0, 9)), "", classification="Tumor")
    content = collection(plain, annotation(polygon(square(20, 0, 9)), "", classification=stated))
    (tumor,) = read_labelled_regions(write(tmp_path / "a.geojson", content))
    assert tumor.color == color


def test_what_teaches_nothing_is_counted_with_the_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.geojson",
        collection(
            annotation(polygon(square(0, 0, 100)), "Tumor"),
            annotation(polygon(square(20, 20, 20)), "Necrosis"),
            annotation(polygon(square(101, 1, 2)), "Tumor"),
            annotation({"type": "MultiPoint", "coordinates": [[110, 10], [900, 9]]}, "Stroma"),
        ),
    )
    regions = read_labelled_regions(path)
    grid = boxes(*((x, y) for x in range(0, 200, 10) for y in range(0, 200, 10)))
    taught = label_boxes(regions, grid) != NO_LABEL
    words = {each.class_name: unused_words([each.shape], grid, taught) for each in regions}
    assert words == {
        "Tumor": ["1 of 2 areas and points smaller than a patch"],
        "Necrosis": ["1 of 1 areas and points only where classes overlap"],
        "Stroma": ["1 of 2 areas and points on glass or outside the slide"],
    }


def test_lines_are_left_out_and_told(tmp_path: Path) -> None:
    line = annotation({"type": "LineString", "coordinates": [[0, 0], [9, 9]]}, "Nerve")
    tumor = annotation(polygon(square(0, 0, 10)), "Tumor")
    path = write(tmp_path / "a.geojson", collection(line, tumor))
    read = read_labelled_file(path)
    assert [each.class_name for each in read.regions] == ["Tumor"]
    assert read.left_out == "1 without an area"
    with pytest.raises(TissueError, match=r"1 without an area.*areas or points"):
        read_labelled_regions(write(tmp_path / "b.geojson", line))


def test_the_origin(path: Path) -> None:
    regions = read_labelled_regions(path, origin_x=1501, origin_y=2003)
    moved = boxes((1511, 2013), (2001, 2503), (10, 10))
    assert label_boxes(regions, moved).tolist() == [0, 0, -1]


AREA = polygon(square(0, 0, 10))
PLAIN, STARRED = annotation(AREA), annotation(AREA, "Ignore*")
CELL = feature(AREA, objectType="cell")
OURS = annotation(AREA, "XMAG: Tumor", name="XMAG hotspot 1")
OUR_TILE = feature(AREA, objectType="tile", name="XMAG patch 1, 2")


@pytest.mark.parametrize(
    ("objects", "words", "hint"),
    [
        ([], "nothing in it", "draw areas or points"),
        ([PLAIN] * 3, "no annotation that counts (3 without a class)", "give each a class"),
        ([STARRED] * 2, "no annotation that counts (2 of class Ignore*)", "another class"),
        ([annotation(None, "Tumor")], "no annotation that counts (1 without a geometry)", "draw"),
        ([CELL] * 5, "5 cells and no annotation", "draw areas or points"),
        (
            [PLAIN, STARRED, OURS, CELL],
            "no annotation that counts (1 without a class, 1 of class Ignore*, "
            "1 of class XMAG: Tumor, 1 cell)",
            "give each a class",
        ),
        (
            [OUR_TILE, OUR_TILE, OURS],
            "only what XMAG exported (1 of class XMAG: Tumor, 2 tiles)",
            "annotations of your own",
        ),
        ([OUR_TILE], "only what XMAG exported (1 tile)", "annotations of your own"),
        ([OUR_TILE, feature(AREA, objectType="tile")], "2 tiles and no annotation", "draw"),
    ],
)
def test_of_a_file_without_examples_is_said_what_it_holds(
    objects: list[Any], words: str, hint: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.geojson", collection(*objects))
    with pytest.raises(TissueError) as said:
        read_labelled_regions(path)
    assert said.value.found == f"a.geojson with {words}"
    assert hint in said.value.hint
    assert not annotates_classes(path)


def test_what_this_program_exports_is_named_so(tmp_path: Path) -> None:
    write_geojson(make_result(), tmp_path / "tiles.geojson")
    write_qupath(make_result(), tmp_path / "qupath.geojson.gz")
    for name in ("tiles.geojson", "qupath.geojson.gz"):
        with pytest.raises(TissueError, match=f"found {name} with only what XMAG exported"):
            read_labelled_regions(tmp_path / name)


def test_what_nobody_meant_as_an_example_is_counted_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = annotation({"type": "LineString", "coordinates": [[0, 0], [9, 9]]}, "Nerve")
    others = [PLAIN, STARRED, OURS, annotation(None, "Tumor"), CELL, CELL]
    path = write(tmp_path / "a.geojson", collection(annotation(AREA, "Tumor"), line, *others))
    read = read_labelled_file(path, log=False)
    read_labelled_regions(path)
    assert not caplog.text
    assert read.left_out == "1 without an area"
    assert read.unlabelled == "1 without a class, 1 of class Ignore*, 1 of class XMAG: Tumor"
    assert read.words == f"{read.left_out}, {read.unlabelled}"
    read_labelled_file(path)
    assert f"left out, {read.left_out}\n" in caplog.text


def test_classes_that_differ_far_inside_a_long_name_stay_apart(tmp_path: Path) -> None:
    names = ["x" * 2500 + letter + "x" * 2500 for letter in "ab"]
    objects = [annotation(AREA, name) for name in (*names, names[0])]
    regions = read_labelled_regions(write(tmp_path / "a.geojson", collection(*objects)))
    assert len({region.class_name for region in regions}) == len(regions) == 2
    assert max(len(region.class_name) for region in regions) <= 100


@pytest.mark.real_data
def test_files_of_all_versions(qupath_files: Path) -> None:
    for path in sorted((qupath_files / "annotations").rglob("all*")):
        regions = {item.class_name: item for item in read_labelled_regions(path)}
        assert {"Tumor", "Stroma", "Necrosis", "Positive"} <= set(regions), path
        assert not {"Ignore*", "Region*"} & set(regions), path
        names, places = list(regions), boxes((1995, 1995), (2045, 1345))
        labels = label_boxes(list(regions.values()), places)
        # in a necrosis too, and in stroma alone
        assert (labels[0], names[labels[1]]) == (NO_LABEL, "Stroma"), path
