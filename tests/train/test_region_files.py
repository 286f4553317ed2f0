"""What the files of regions of a cohort name, and that a run sees when they change."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag.cohort.problems import TableError
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.train.config import RegionsConfig
from napari_xmag.train.region_files import RegionFiles
from napari_xmag.train.regions import RegionClasses
from tests.qupath.shapes import annotation, collection, polygon, square, write


def file(path: Path, *names: str) -> Path:
    areas = [
        annotation(polygon(square(100 * place, 0, 50)), name) for place, name in enumerate(names)
    ]
    return write(path, collection(*areas))


@pytest.fixture
def rows(tmp_path: Path, pyramid_slide: Path) -> list[CohortRow]:
    """Three training slides, two with regions, and a test slide."""
    for name in "abcd":
        (tmp_path / f"{name}.tiff").symlink_to(pyramid_slide)
    both = file(tmp_path / "a.geojson", "benign", "malignant", "Fold")
    one = file(tmp_path / "b.geojson", "malignant")
    return [
        CohortRow(2, tmp_path / "a.tiff", "benign", split="train", regions=both),
        CohortRow(3, tmp_path / "b.tiff", "malignant", split="train", regions=one),
        CohortRow(4, tmp_path / "c.tiff", "malignant", split="train"),
        CohortRow(5, tmp_path / "d.tiff", "benign", split="test"),
    ]


def read(rows: list[CohortRow], **settings: str) -> RegionFiles:
    config = RegionsConfig.model_validate(settings)
    return RegionClasses(("benign", "malignant"), config).require_known(rows)


def test_the_plan_says_what_is_learned_from(rows: list[CohortRow]) -> None:
    files = read(rows)
    assert files.plan_words(rows) == "on 2 of 3 training slides: benign, malignant"
    assert files.teach(rows)
    assert read(rows[2:]).plan_words(rows[2:]) == ""


def test_regions_of_one_class_teach_nothing(rows: list[CohortRow]) -> None:
    alone = rows[1:]
    files = read(alone)
    words = "on 1 of 2 training slides; all are malignant, so that nothing can be learned from them"
    assert files.plan_words(alone) == words
    assert not files.teach(alone)
    tested = [rows[2], replace(rows[0], split="test")]
    assert read(tested).plan_words(tested) == "on 0 of 1 training slides"
    assert not read(tested).teach(tested)


def test_a_change_is_refused_by_its_row(rows: list[CohortRow]) -> None:
    files = read(rows)
    for row in rows:
        files.require_unchanged(row)
    file(rows[1].regions, "benign")
    with pytest.raises(TableError, match=r"row 3: .*b\.geojson has changed"):
        files.require_unchanged(rows[1])
    rows[0].regions.unlink()
    with pytest.raises(TableError, match=r"row 2: .*a\.geojson has changed"):
        files.require_unchanged(rows[0])


def test_copies_of_one_file_are_told(rows: list[CohortRow], tmp_path: Path) -> None:
    assert read(rows).twins(rows) == {}
    (tmp_path / "c.geojson").write_bytes(rows[0].regions.read_bytes())
    rows[2] = replace(rows[2], regions=tmp_path / "c.geojson")
    assert read(rows).twins(rows) == {
        rows[0].regions: "the file is a copy of that of row 4",
        rows[2].regions: "the file is a copy of that of row 2",
    }
