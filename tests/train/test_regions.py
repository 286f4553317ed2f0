"""Regions of slides as labels of their patches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.cohort.problems import TableError
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import CohortError, ConfigError, TissueError
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.annotations import example_features, write_annotations
from napari_xmag.teach.lesson import Example, Lesson, SlideId, TaughtClass
from napari_xmag.train.config import RegionsConfig, TrainConfig, class_pairs
from napari_xmag.train.regions import PatchLabels, RegionClasses, count_regions
from tests.qupath.shapes import annotation, collection, polygon, square, write

CLASSES = ("benign", "malignant")


def boxes(*corners: tuple[float, float], side: float = 100) -> np.ndarray:
    return np.array([(x, y, side, side) for x, y in corners], float)


def row(slide: Path, *features: Any) -> CohortRow:
    path = write(slide.parent / "regions" / f"{slide.stem}.geojson", collection(*features))
    return CohortRow(2, slide, "benign", regions=path)


@pytest.fixture
def slide(pyramid_slide: Path, tmp_path: Path) -> Path:
    (tmp_path / "regions").mkdir()
    link = tmp_path / pyramid_slide.name
    link.symlink_to(pyramid_slide)
    return link


def labelled(
    one: CohortRow, places: np.ndarray, origin: Origin = Origin.BOUNDS, **settings: str
) -> PatchLabels:
    config = RegionsConfig.model_validate(settings)
    found = RegionClasses(CLASSES, config).of_patches(one, places, origin)
    assert found is not None
    return found


def test_a_patch_has_the_class_of_the_region_around_its_centre(slide: Path) -> None:
    one = row(
        slide,
        annotation(polygon(square(0, 0, 200)), "Malignant"),
        annotation(polygon(square(150, 0, 200)), "BENIGN"),
        annotation({"type": "Point", "coordinates": [510, 510]}, "malignant"),
        annotation(polygon(square(0, 0, 900))),
    )
    places = boxes((0, 0), (120, 0), (290, 0), (500, 500), (700, 700))
    found = labelled(one, places)
    assert found.labels.tolist() == [1, -1, 0, 1, -1]
    assert found.words == "left out: 1 without a class"
    assert count_regions(one) == 3


def test_regions_that_all_contradict_their_slide_are_told(slide: Path) -> None:
    one = row(slide, annotation(polygon(square(0, 0, 100)), "malignant"))
    assert one.label == "benign"
    found = labelled(one, boxes((0, 0)))
    assert found.labels.tolist() == [1]
    assert found.words == "none is benign, the label of the slide"
    stroma = row(slide, annotation(polygon(square(0, 0, 100)), "Stroma"))
    assert labelled(stroma, boxes((0, 0)), classes="Stroma = benign").words == ""


def test_no_regions_are_no_labels(slide: Path) -> None:
    one = CohortRow(2, slide, "benign")
    assert count_regions(one) == 0
    classes = RegionClasses(CLASSES, RegionsConfig())
    assert classes.of_patches(one, boxes((0, 0)), Origin.SLIDE) is None


def test_classes_are_renamed_and_unknown_ones_told(slide: Path) -> None:
    one = row(
        slide,
        annotation(polygon(square(0, 0, 100)), "Tumor"),
        annotation(polygon(square(0, 0, 100)), "Tumor: Positive"),
        annotation(polygon(square(200, 0, 100)), "Necrosis"),
    )
    places = boxes((0, 0), (200, 0))
    one = replace(one, label="malignant")
    found = labelled(one, places, classes="tumor = malignant; Tumor: Positive=malignant")
    # two names of one class do not contradict each other
    assert found.labels.tolist() == [1, -1]
    assert found.words == "Necrosis: no label of the table"


def test_what_lies_on_glass_or_is_too_small_is_told(slide: Path) -> None:
    one = row(
        slide,
        annotation(polygon(square(0, 0, 100)), "benign"),
        annotation(polygon(square(5, 205, 10)), "malignant"),
        annotation(polygon(square(600, 600, 100)), "malignant"),
        annotation({"type": "Point", "coordinates": [950, 950]}, "malignant"),
    )
    found = labelled(one, boxes((0, 0), (0, 200)))
    assert found.labels.tolist() == [0, -1]
    assert found.words == (
        "2 of 4 areas and points on glass or outside the slide; "
        "1 of 4 areas and points smaller than a patch"
    )
    nothing = labelled(one, boxes((300, 300)))
    assert nothing.words.endswith("no patch has a class")


def test_regions_on_another_focal_plane_are_refused_before_anything_is_encoded(
    slide: Path,
) -> None:
    geometry = polygon(square(0, 0, 100)) | {"plane": {"c": -1, "z": 1, "t": 0}}
    one = row(slide, annotation(geometry, "malignant"))
    with pytest.raises(TableError, match=r"row 2: the regions cannot be used: .*z = 1"):
        RegionClasses(CLASSES, RegionsConfig()).require_known([one])
    with pytest.raises(TissueError, match=r"z = 1"):
        count_regions(one)


def test_the_origin_is_the_corner_of_the_scan_unless_told(
    bounds_slide: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.geojson", annotation(polygon(square(0, 0, 100)), "malignant"))
    one = CohortRow(2, bounds_slide, "benign", regions=path)
    with open_slide(bounds_slide) as opened:
        corner = opened.bounds.x, opened.bounds.y
    assert min(corner) > 100
    places = boxes(corner, (0, 0))
    assert labelled(one, places).labels.tolist() == [1, -1]
    assert labelled(one, places, Origin.SLIDE).labels.tolist() == [-1, 1]


def test_examples_that_teach_exports_label_their_patches(
    bounds_slide: Path, tmp_path: Path
) -> None:
    with open_slide(bounds_slide) as opened:
        frame = slide_frame(opened, Origin.BOUNDS)
    of, x, y = SlideId("0" * 64), frame.x, frame.y
    places = boxes((x, y), (x + 100, y), (x + 200, y))
    marked = [(x + 50, y + 50, "malignant"), (x + 250, y + 50, "benign")]
    lesson = Lesson(
        tuple(TaughtClass(name, "#ff0000") for name in CLASSES),
        tuple(Example(of, *example) for example in marked),
    )
    write_annotations(example_features(lesson, of, frame), tmp_path / "slide-examples.geojson")
    one = CohortRow(2, bounds_slide, "malignant", regions=tmp_path / "slide-examples.geojson")
    found = labelled(one, places)
    assert found.labels.tolist() == [1, -1, 0]
    assert found.words == ""


def test_regions_without_any_label_of_the_table_are_refused(slide: Path) -> None:
    one = row(slide, annotation(polygon(square(0, 0, 100)), "Tumor"))
    words = r'Tumor, none of which is a label \(benign, malignant\).*"NAME = LABEL; …"'
    with pytest.raises(CohortError, match=words):
        RegionClasses(CLASSES, RegionsConfig()).require_known([one])
    RegionClasses(CLASSES, RegionsConfig(classes="Tumor=malignant")).require_known([one])


def test_a_file_that_cannot_be_read_is_told_by_row(slide: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.geojson").write_text("{")
    one = CohortRow(7, slide, "benign", regions=tmp_path / "bad.geojson")
    with pytest.raises(CohortError, match=r"row 7: .*GeoJSON"):
        RegionClasses(CLASSES, RegionsConfig()).require_known([one])


def test_names_for_no_label_and_no_pairs_are_refused() -> None:
    with pytest.raises(ConfigError, match="Tumor = cancer"):
        RegionClasses(CLASSES, RegionsConfig(classes="Tumor = cancer"))
    assert class_pairs(" Tumor = malignant; ") == {"Tumor": "malignant"}
    assert class_pairs("Tumor = x; tumor = x") == {"Tumor": "x", "tumor": "x"}
    for text in ("Tumor", "Tumor =", "a = x; a = x", "Tumor = x; TUMOR=y", "a-b = x; A_B = y"):
        with pytest.raises(ValueError, match="write each class once"):
            TrainConfig.model_validate({"regions": {"classes": text}})


def test_the_table_names_regions_beside_it_and_misses_those_that_are_gone(
    slide: Path, tmp_path: Path
) -> None:
    one = row(slide, annotation(polygon(square(0, 0, 100)), "malignant"))
    table = tmp_path / "cohort.csv"
    lines = [f"{slide.name},benign,regions/{slide.stem}.geojson", "b.svs,malignant,NA"]
    table.write_text("\n".join(["slide,label,Regions", *lines, "c.svs,malignant,gone.geojson"]))
    cohort = read_cohort(table, open_slides=False)
    assert [item.regions for item in cohort.rows] == [one.regions, None, tmp_path / "gone.geojson"]
    assert [(p.row, p.words) for p in cohort.problems] == [
        (4, "the regions file gone.geojson does not exist")
    ]
