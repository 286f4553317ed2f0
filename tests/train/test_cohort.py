"""Tables of labelled slides: what is read, and each problem by its row."""

from pathlib import Path

import pytest

from napari_xmag.errors import CohortError
from napari_xmag.train.cohort import Cohort, read_cohort


def write(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> Cohort:
    """Read without opening slides."""
    return read_cohort(write(folder, text), open_slides=False)


def problems(cohort: Cohort) -> list[tuple[int, str]]:
    return [(problem.row, problem.words) for problem in cohort.problems]


def test_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    cohort = read(
        tmp_path, "slide,label,patient,split,mpp\na/1.svs,x,p,train,0.25\n/b/2.svs,y,,,\n"
    )
    assert not cohort.problems
    first, second = cohort.rows
    assert (first.slide, second.slide) == (tmp_path / "a" / "1.svs", Path("/b/2.svs"))
    assert (first.patient, first.split, first.mpp) == ("p", "train", 0.25)
    # Without a patient a slide stands for itself.
    assert (second.patient, second.split, second.mpp) == ("/b/2.svs", "", None)
    assert cohort.classes == ("x", "y")


def test_excel_heading_and_spaces(tmp_path: Path) -> None:
    cohort = read(tmp_path, "\ufeffSlide, Label\n1.svs, x\n2.svs ,y\n")
    assert [(row.slide.name, row.label) for row in cohort.rows] == [("1.svs", "x"), ("2.svs", "y")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1.svs,y,q,,", "1.svs stands in row 2 already"),
        ("./1.svs,x,p,,", "1.svs stands in row 2 already"),
        ("3.svs,,,,", "no label"),
        (",x,,,", "no slide"),
        ("3.svs,y,p,,", "patient p has 2 labels (x, y)"),
        ("3.svs,x,p,test,", "patient p has 2 splits (train, test)"),
        ("3.svs,x,,testing,", "unknown split 'testing'"),
        ("3.svs,x,,,quarter", "mpp 'quarter'"),
        ("3.svs,x,,,-1", "mpp '-1'"),
    ],
)
def test_each_problem_names_its_row(tmp_path: Path, line: str, words: str) -> None:
    table = f"slide,label,patient,split,mpp\n1.svs,x,p,train,\n2.svs,y,,,\n{line}\n"
    assert problems(read(tmp_path, table)) == [(4, words)]


def test_one_class_only(tmp_path: Path) -> None:
    assert problems(read(tmp_path, "slide,label\n1.svs,x\n2.svs,x\n")) == [
        (0, "only the label 'x'")
    ]
    assert problems(read(tmp_path, "slide,label\n")) == [(0, "no rows")]


def test_missing_columns_and_files(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no label"):
        read(tmp_path, "slide,class\n1.svs,x\n")
    with pytest.raises(CohortError, match=r"none\.csv"):
        read_cohort(tmp_path / "none.csv")


def test_slides_are_opened(tmp_path: Path, pyramid_slide: Path, no_mpp_slide: Path) -> None:
    broken = tmp_path / "broken.tiff"
    broken.write_bytes(b"no slide")
    rows = [
        f"{pyramid_slide},x,",
        f"{no_mpp_slide},y,",
        f"{no_mpp_slide.name},y,",
        "broken.tiff,x,",
    ]
    cohort = read_cohort(write(tmp_path, "\n".join(["slide,label,mpp", *rows])))
    assert problems(cohort) == [
        (3, "no-mpp.tiff states no pixel size"),
        (4, "no-mpp.tiff is not there"),
        (5, "broken.tiff does not open"),
    ]
    with pytest.raises(CohortError, match=r"row 3: no-mpp.tiff states no pixel size"):
        cohort.require_good()
    given = write(tmp_path, f"slide,label,mpp\n{pyramid_slide},x,\n{no_mpp_slide},y,0.5\n")
    read_cohort(given).require_good()
