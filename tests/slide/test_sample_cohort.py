"""Labelled example slides: what their table says of them is true."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.cli import main
from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.sample_cohort import COHORT_MPP, LABELS, write_sample_cohort


@pytest.fixture(scope="module")
def cohort_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    assert main(["examples", str(folder), "--slides", "4"]) == 0
    return folder


def test_the_table_is_good_and_names_every_slide(cohort_folder: Path) -> None:
    cohort = read_cohort(cohort_folder / "cohort.csv")
    assert cohort.problems == ()
    assert [row.label for row in cohort.rows] == ["even", "crowded"] * 2
    assert {row.slide for row in cohort.rows} == set(cohort_folder.glob("*.tif"))


def test_slides_state_their_pixel_size_and_differ(cohort_folder: Path) -> None:
    pictures = []
    for name in ("even-01", "crowded-01"):
        slide = open_slide(cohort_folder / f"{name}.tif")
        assert slide.mpp is not None
        assert slide.mpp.x == pytest.approx(COHORT_MPP)
        pictures.append(slide.read(Box(0, 0, 3072, 2048), 1))
        slide.close()
    assert np.array_equal(pictures[0][0, 0], pictures[1][0, 0])  # glass
    assert not np.array_equal(*pictures)


def test_patients_have_one_label_and_some_have_two_slides(tmp_path: Path) -> None:
    for number in range(16):
        label = LABELS[number % 2]
        (tmp_path / f"{label}-{number // 2 + 1:02d}.tif").touch()  # what is there is kept
    slides = list(write_sample_cohort(tmp_path, 16))
    labels: dict[str, set[str]] = {}
    for slide in slides:
        labels.setdefault(slide.patient, set()).add(slide.label)
    assert all(len(found) == 1 for found in labels.values())
    assert len(labels) == 12
    assert all(slide.path.stat().st_size == 0 for slide in slides)


def test_too_few_are_refused(tmp_path: Path) -> None:
    assert main(["examples", str(tmp_path), "--slides", "2"]) == 2
    assert not list(tmp_path.iterdir())
