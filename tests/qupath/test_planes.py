"""Annotations belong to one focal plane: what is analyzed is the plane that is read."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.analyze.result import SlideResult
from napari_xmag.cli import main
from napari_xmag.errors import TissueError
from napari_xmag.export.geojson import patch_features, write_qupath
from napari_xmag.qupath.geojson_file import read_geojson
from napari_xmag.qupath.labelled_regions import (
    annotates_classes,
    read_labelled_file,
    read_labelled_regions,
)
from napari_xmag.qupath.origin import Origin
from napari_xmag.qupath.planes import on_plane, result_plane, shown_plane
from napari_xmag.qupath.regions import read_regions
from napari_xmag.slide.open import open_slide
from tests.analyze.test_result import make_result
from tests.qupath.projects import server
from tests.qupath.schema import check_feature
from tests.qupath.shapes import annotation, collection, polygon, square, write
from tests.slides import draw_section


def plane(z: int, t: int = 0) -> dict[str, int]:
    return {"c": -1, "z": z, "t": t}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OME-TIFF of three focal planes."""
    path = tmp_path_factory.mktemp("stack") / "stack.ome.tif"
    pixels = np.stack([draw_section(800, 600)] * 3)
    metadata = {"axes": "ZYXS", "PhysicalSizeX": 2.0, "PhysicalSizeY": 2.0}
    tifffile.imwrite(path, pixels, ome=True, photometric="rgb", tile=(128, 128), metadata=metadata)
    return path


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """Tumor on the plane in the middle, Stroma on the first, Necrosis at another time."""
    content = collection(
        annotation(polygon(square(0, 0, 800), plane=plane(1)), "Tumor"),
        annotation(polygon(square(0, 0, 800)), "Stroma"),
        annotation(polygon(square(0, 0, 800), plane=plane(1, t=2)), "Necrosis"),
    )
    return write(tmp_path / "stack.geojson", content)


def test_which_plane_a_slide_is(stack: Path) -> None:
    with open_slide(stack) as slide:
        assert (shown_plane(slide), shown_plane(slide, 3)) == (1, 1)
        # where QuPath shows a single plane, it has no other number
        assert shown_plane(slide, 1) == 0
    for name, z in (("plane 1 of 3", 0), ("plane 3 of 3", 2)):
        with open_slide(stack, image=name) as slide:
            assert shown_plane(slide) == z


def test_regions_of_the_plane_that_is_read(annotated: Path) -> None:
    found = read_regions(annotated, plane=1)
    assert found.by_class == {"Tumor": 1}
    assert found.left_out == {"on focal plane z = 0": 1, "at time point t = 2": 1}
    assert read_regions(annotated).by_class == {"Stroma": 1}
    with pytest.raises(TissueError, match=r"Only focal plane z = 2 .*--image"):
        read_regions(annotated, plane=2)


def test_classes_of_the_plane_that_is_read(
    annotated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = read_labelled_file(annotated, plane=1)
    assert [each.class_name for each in read.regions] == ["Tumor"]
    away = "1 on focal plane z = 0, 1 at time point t = 2"
    assert f"left out, {away}" in caplog.text
    assert read.left_out == away
    assert annotates_classes(annotated)
    with pytest.raises(TissueError, match="2 on focal plane z = 1"):
        read_labelled_regions(annotated, plane=2)


@pytest.mark.parametrize(("planes", "z"), [(None, 1), (3, 1), (1, 0)])
def test_what_is_analyzed_and_what_is_shown_lie_on_one_plane(
    planes: int | None, z: int, stack: Path, annotated: Path, tiny: str, tmp_path: Path
) -> None:
    shown = stack
    if planes is not None:
        shown = tmp_path / "server.json"
        builder = server(stack, "--series", "0", mpp=2.0)
        builder["metadata"]["sizeZ"] = planes
        shown.write_text(json.dumps(builder))
    command = ["analyze", str(shown), "--model", tiny, "--regions", str(annotated)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    (folder,) = (tmp_path / "out").glob("stack*")
    result = SlideResult.load(folder)
    taken = {1: "Tumor", 0: "Stroma"}[z]
    assert result.settings["regions"]["classes"] == {taken: 1}
    assert any(f"only focal plane z = {z}" in flag.words for flag in result.flags)
    (document,) = read_geojson(folder / "qupath.geojson.gz")
    for each in document["features"]:
        check_feature(each)
        assert each["geometry"].get("plane", plane(0)) == plane(z)


def test_objects_of_a_result_lie_on_its_plane(tmp_path: Path) -> None:
    result = make_result()
    # of one plane, and where nobody says, nothing is written of it
    assert result_plane(result) == 0
    assert "plane" not in str(next(patch_features(result, Origin.BOUNDS))["geometry"])
    result = replace(result, slide={**result.slide, "plane": 3})
    write_qupath(result, tmp_path / "q.geojson.gz")
    (document,) = read_geojson(tmp_path / "q.geojson.gz")
    kinds = {each["properties"]["objectType"] for each in document["features"]}
    assert kinds == {"tile", "annotation"}
    assert {each["geometry"]["plane"]["z"] for each in document["features"]} == {3}
    # QuPath shows one plane of slides that it opens with OpenSlide
    one = replace(result, slide={**result.slide, "vendor": "hamamatsu"})
    assert result_plane(one) == 0
    assert on_plane([], 3) == []
