"""Which annotations are regions, and where they lie on a slide."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry

from napari_xmag.errors import ConfigError, TissueError
from napari_xmag.geometry import Box
from napari_xmag.qupath.annotations import read_annotations
from napari_xmag.qupath.origin import Origin
from napari_xmag.qupath.regions import read_regions, tissue_in_regions
from napari_xmag.slide.open import open_slide
from tests.qupath.shapes import annotation, collection, feature, polygon, square, write

TUMOR = annotation(polygon(square(0, 0, 100)), "Tumor")
POSITIVE = annotation(polygon(square(0, 0, 10)), "Tumor: Positive")
STROMA = annotation(polygon(square(50, 0, 100)), "Stroma")
PLAIN = annotation(polygon(square(300, 0, 100)))
IGNORE = annotation(polygon(square(0, 0, 1000)), "Ignore*")
REGION = annotation(polygon(square(0, 0, 200)), "Region*")
PLANE = annotation(polygon(square(0, 0, 70), plane={"c": -1, "z": 2, "t": 1}), "Tumor")
DOTS = annotation({"type": "MultiPoint", "coordinates": [[5, 5]]}, "Tumor")
TILE = feature(polygon(square(0, 0, 30)), objectType="tile")
CELL = feature(polygon(square(0, 0, 30)), objectType="cell")
ROOT = feature({}, objectType="root")
COUNTING = (TUMOR, POSITIVE, STROMA, PLAIN)
EVERYTHING = collection(*COUNTING, IGNORE, REGION, PLANE, DOTS, TILE, CELL, ROOT)


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    return write(tmp_path / "all.geojson.gz", EVERYTHING)


def test_what_counts(everything: Path) -> None:
    regions = read_regions(everything)
    assert regions.by_class == {"Tumor": 1, "Tumor: Positive": 1, "Stroma": 1, "Unclassified": 1}
    assert regions.shape.area == 150 * 100 + 100 * 100
    assert regions.left_out == {
        "of class Ignore*": 1,
        "of class Region*": 1,
        "on focal plane z = 2": 1,
        "without an area": 1,
        "tile": 1,
        "cell": 1,
        "root object": 1,
    }
    assert "1 on focal plane z = 2" in regions.words
    assert regions.to_json()["file"] == "all.geojson.gz"


@pytest.mark.parametrize(
    ("classes", "by_class"),
    [
        (["Tumor"], {"Tumor": 1, "Tumor: Positive": 1}),
        (["tumor: positive"], {"Tumor: Positive": 1}),
        (["Stroma", "Unclassified"], {"Stroma": 1, "Unclassified": 1}),
        (["Ignore*"], {"Ignore*": 1}),
        (["Region*"], {"Region*": 1}),
    ],
)
def test_chosen_classes(everything: Path, classes: list[str], by_class: dict[str, int]) -> None:
    assert read_regions(everything, classes).by_class == by_class


def test_a_class_that_does_not_occur(everything: Path) -> None:
    with pytest.raises(ConfigError, match=r"Tumour.*Ignore\*, Region\*, Stroma, Tumor"):
        read_regions(everything, ["Tumor", "Tumour"])


def test_one_of_the_classes_is_enough_in_a_cohort(everything: Path) -> None:
    found = read_regions(everything, ["Stroma", "Tumour"], all_occur=False)
    assert found.by_class == {"Stroma": 1}
    with pytest.raises(ConfigError, match="Tumour or Fat"):
        read_regions(everything, ["Tumour", "Fat"], all_occur=False)


@pytest.mark.parametrize("classes", [[], ["*"], ["XMAG"]])
def test_what_the_program_left_on_a_slide_is_no_region(classes: list[str], tmp_path: Path) -> None:
    hotspot = annotation(polygon(square(0, 0, 100)), "XMAG: Tumor", name="XMAG hotspot 1")
    path = write(tmp_path / "a.geojson", collection(hotspot, REGION, STROMA, TUMOR))
    if classes == ["XMAG"]:
        with pytest.raises(TissueError, match="1 of class XMAG: Tumor"):
            read_regions(path, classes)
    else:
        found = read_regions(path, classes)
        assert "XMAG: Tumor" not in found.by_class
        assert found.left_out["of class XMAG: Tumor"] == 1


@pytest.mark.parametrize("item", [IGNORE, PLANE, DOTS, TILE, ROOT])
def test_nothing_that_counts(item: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TissueError, match=r"a\.geojson"):
        read_regions(write(tmp_path / "a.geojson", collection(item)))


def test_a_plane_without_a_number_is_the_first(tmp_path: Path) -> None:
    item = annotation(polygon(square(0, 0, 70), plane={"c": -1, "z": None, "t": None}), "Tumor")
    assert read_regions(write(tmp_path / "a.geojson", collection(item))).by_class == {"Tumor": 1}


def test_only_another_plane(tmp_path: Path) -> None:
    with pytest.raises(TissueError, match="Only focal plane z = 0"):
        read_regions(write(tmp_path / "a.geojson", collection(PLANE)))


def test_only_starred_classes(tmp_path: Path) -> None:
    with pytest.raises(TissueError, match=r"Region\*.*--regions-class"):
        read_regions(write(tmp_path / "a.geojson", collection(REGION)))


def test_holes_are_left_out_on_the_slide(tmp_path: Path, pyramid_slide: Path) -> None:
    holed = polygon(square(400, 400, 1200), square(800, 800, 400))
    regions = read_regions(write(tmp_path / "a.geojson", holed))
    with_glass = tissue_in_regions(
        open_slide(pyramid_slide), regions, Origin.BOUNDS, only_tissue=False
    )
    assert with_glass.method == "regions"
    assert with_glass.fraction(Box(440, 440, 320, 1120)) == 1
    assert with_glass.fraction(Box(840, 840, 320, 320)) == 0
    assert with_glass.fraction(Box(1640, 440, 400, 1100)) == 0


@pytest.mark.parametrize("origin", [Origin.BOUNDS, Origin.SLIDE])
def test_coordinates_count_from_the_origin(
    origin: Origin, tmp_path: Path, bounds_slide: Path
) -> None:
    slide = open_slide(bounds_slide)
    corner = (slide.bounds.x, slide.bounds.y) if origin is Origin.SLIDE else (0, 0)
    path = write(tmp_path / "a.geojson", polygon(square(corner[0] + 800, corner[1] + 600, 400)))
    mask = tissue_in_regions(slide, read_regions(path), origin)
    rows, columns = np.nonzero(mask.pixels)
    middle = (columns.mean() + 0.5) * mask.scale_x, (rows.mean() + 0.5) * mask.scale_y
    expected = slide.bounds.x + 1000, slide.bounds.y + 800
    np.testing.assert_allclose(middle, expected, atol=2 * mask.scale_x)


def test_the_wrong_origin_is_named(tmp_path: Path, bounds_slide: Path) -> None:
    slide = open_slide(bounds_slide)
    regions = read_regions(write(tmp_path / "a.geojson", polygon(square(800, 600, 400))))
    with pytest.raises(TissueError, match="--qupath-origin bounds"):
        tissue_in_regions(slide, regions, Origin.SLIDE)
    far = read_regions(write(tmp_path / "b.geojson", polygon(square(90_000, 600, 400))))
    with pytest.raises(TissueError, match=r"origin is a likely cause.*--qupath-origin slide"):
        tissue_in_regions(slide, far, Origin.BOUNDS)


def test_regions_on_glass(tmp_path: Path, pyramid_slide: Path) -> None:
    regions = read_regions(write(tmp_path / "a.geojson", polygon(square(0, 0, 100))))
    with pytest.raises(TissueError, match=r"only glass within them.*of another slide"):
        tissue_in_regions(open_slide(pyramid_slide), regions, Origin.BOUNDS)


def expected_area(path: Path) -> float:
    """Return what shapely makes of the annotations that should count, read without our reader."""
    import gzip
    import json

    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    content = json.loads(raw)
    features = content if isinstance(content, list) else content["features"]
    shapes = []
    for item in features:
        properties, geometry = item["properties"], item["geometry"]
        kind = properties.get("objectType") or properties.get("object_type") or item.get("id")
        name = (properties.get("classification") or {}).get("name") or ""
        counts = kind in ("annotation", "PathAnnotationObject") and not name.endswith("*")
        if counts and "plane" not in geometry and "Polygon" in geometry["type"]:
            shapes.append(shapely.geometry.shape(geometry))
    return float(shapely.union_all(shapes).area)


@pytest.mark.real_data
def test_every_file_that_qupath_wrote(qupath_files: Path, real_slides: Path) -> None:
    paths = sorted((qupath_files / "annotations").rglob("*.geojson*"))
    assert len(paths) > 40
    slide = open_slide(real_slides / "CMU-1-Small-Region.svs")
    empty = 0
    for path in paths:
        area = expected_area(path)
        if not area:
            empty += 1
            with pytest.raises(TissueError):
                read_regions(path)
            continue
        regions = read_regions(path)
        assert regions.shape.area == pytest.approx(area, rel=0.02), path
        # and on the mask that the tiles are planned on, to half a pixel of it along the edge
        mask = tissue_in_regions(slide, regions, Origin.BOUNDS, only_tissue=False)
        level0 = mask.pixels.sum() * mask.scale_x * mask.scale_y
        edge = regions.shape.length * mask.scale_x / 2
        assert level0 == pytest.approx(area, abs=edge / 2), path
    assert empty == 3 * 6  # points, a starred class, another plane


@pytest.mark.real_data
def test_every_kind_in_the_files_of_all_versions(qupath_files: Path) -> None:
    for path in sorted((qupath_files / "annotations").rglob("all*")):
        classes = {item.classes for item in read_annotations(path).annotations}
        assert classes >= {(), ("Tumor",), ("Stroma",), ("Ignore*",), ("Positive",)}, path


def test_a_users_own_annotation_of_our_class_counts(tmp_path: Path) -> None:
    area = polygon(square(0, 0, 100))
    mine = [annotation(area, "XMAG: Tumor", name=name) for name in ("", "XMAG and me", "hotspot 1")]
    found = read_regions(write(tmp_path / "a.geojson", collection(*mine)))
    assert found.by_class == {"XMAG: Tumor": 3}


@pytest.mark.parametrize("wanted", ["Tumor:Positive", " tumor :  positive", "Tumor: Positive"])
def test_a_derived_class_however_its_colon_is_spaced(wanted: str, tmp_path: Path) -> None:
    area = polygon(square(0, 0, 100))
    path = write(
        tmp_path / "a.geojson",
        collection(annotation(area, "Tumor: Positive"), annotation(area, "Tumor: Negative")),
    )
    assert read_regions(path, [wanted]).by_class == {"Tumor: Positive": 1}


def test_an_outline_that_encloses_nothing_is_left_out_alone(tmp_path: Path) -> None:
    small, large = square(40, 40, 20), square(0, 0, 100)
    odd = [polygon([[0, 0], [5, 5]]), polygon([[3, 3]]), polygon(small, large)]
    good = polygon(large, small)
    path = write(tmp_path / "a.geojson", collection(*map(annotation, [*odd, good])))
    found = read_regions(path)
    assert found.shape.area == 100 * 100 - 20 * 20
    assert found.left_out == {
        "with an outline of fewer than three corners": 2,
        "with a hole larger than its outline": 1,
    }
    alone = write(tmp_path / "b.geojson", annotation(odd[2]))
    with pytest.raises(TissueError, match="hole larger than its outline"):
        read_regions(alone)


@pytest.mark.skipif(os.name != "posix", reason="Windows allows no such name")
def test_names_of_a_file_command_no_terminal(tmp_path: Path) -> None:
    content = collection(annotation(polygon(square(0, 0, 9)), "\x1b[31mTumor\n"), annotation(None))
    found = read_regions(write(tmp_path / "\x1b[2Ja.geojson", content))
    assert found.words == (r"1 \x1b[31mTumor of \x1b[2Ja.geojson; left out: 1 without a geometry")
    assert found.file == "\x1b[2Ja.geojson"


def test_regions_that_are_too_small_are_called_so(tmp_path: Path, bounds_slide: Path) -> None:
    small = annotation(polygon(square(1000, 700, 1)))
    regions = read_regions(write(tmp_path / "a.geojson", small))
    with open_slide(bounds_slide) as slide, pytest.raises(TissueError) as said:
        tissue_in_regions(slide, regions, Origin.BOUNDS)
    assert "found 1 region too small to be seen" in str(said.value)
    assert "origin" not in str(said.value)
