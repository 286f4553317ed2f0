"""Tables of labelled slides: what is read, and each problem by its row."""

from pathlib import Path

import pytest
from openpyxl import Workbook

from napari_xmag.cohort.cohort import (
    Cohort,
    CohortRow,
    check,
    check_slides,
    read_cohort,
    write_cohort,
)
from napari_xmag.errors import CohortError


def write(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> Cohort:
    """Read without opening slides."""
    return read_cohort(write(folder, text), open_slides=False)


def problems(cohort: Cohort) -> list[tuple[int, str]]:
    return [(problem.row, problem.words) for problem in cohort.problems]


def test_a_cohort_says_in_one_line_what_it_is(tmp_path: Path) -> None:
    table = write(tmp_path, "slide,label\n1.svs,x\n2.svs,y\n3.svs,x\n4.svs,\n")
    cohort = read_cohort(str(table), open_slides=False)  # as a script names it
    assert repr(cohort) == "<Cohort of 4 slides: 1 no label, 2 x, 1 y; 1 problems>"


def test_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    cohort = read(
        tmp_path, "slide,label,patient,split,mpp\na/1.svs,x,p,train,0.25\n/b/2.svs,y,,,\n"
    )
    assert not cohort.problems
    first, second = cohort.rows
    assert (first.slide, second.slide) == (tmp_path / "a" / "1.svs", Path("/b/2.svs"))
    assert (first.patient, first.split, first.mpp) == ("p", "train", 0.25)
    # Without a patient a slide stands for itself.
    assert (second.patient, second.named_patient) == ("/b/2.svs", "")
    assert (second.split, second.mpp, second.site) == ("", None, "")
    assert cohort.classes == ("x", "y")


def test_excel_heading_and_spaces(tmp_path: Path) -> None:
    cohort = read(tmp_path, "\ufeffSlide, Label\n1.svs, x\n2.svs ,y\n")
    assert [(row.slide.name, row.label) for row in cohort.rows] == [("1.svs", "x"), ("2.svs", "y")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1.svs,y,q,,", "1.svs stands in row 2 already"),
        ("./1.svs,x,p,,", "1.svs stands in row 2 already"),
        ("1.svs,x,p,test,", "1.svs stands in row 2 already, there for train and here for test"),
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
    assert (4, words) in problems(read(tmp_path, table))
    assert {row for row, _ in problems(read(tmp_path, table))} == {4}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("cp1252", ";")],
)
def test_tables_as_spreadsheets_write_them(
    tmp_path: Path, encoding: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    lines = [("Slide", " Label", "MPP", "Site"), ("präp.svs", "gutartig", "0,25", "Köln"), [""] * 4,
             ("2.svs", "bösartig", "", "")]  # fmt: skip
    path = tmp_path / "cohort.csv"
    quoted = [[f'"{cell}"' if "," in cell else cell for cell in line] for line in lines]
    path.write_text("\r\n".join(mark.join(line) for line in quoted) + "\r\n", encoding=encoding)
    cohort = read_cohort(path, open_slides=False)
    assert not cohort.problems
    first, second = cohort.rows
    assert (first.slide.name, first.label, first.mpp, first.site) == (
        "präp.svs", "gutartig", 0.25, "Köln",
    )  # fmt: skip
    assert (second.row, second.label) == (4, "bösartig")


def test_a_first_line_that_names_the_separator(tmp_path: Path) -> None:
    cohort = read(tmp_path, "sep=;\nslide;label\n1.svs;x\n2.svs;\n")
    assert problems(cohort)[-1] == (4, "no label")


def test_workbooks(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["notes"])
    sheet = book.create_sheet("slides")
    for line in (["Slide", "LABEL", "patient", "mpp"], ["1.svs", 1, 12, 0.25], [],
                 ["2.svs", 2, None, "wide"]):  # fmt: skip
        sheet.append(line)
    path = tmp_path / "cohort.xlsx"
    book.save(path)
    cohort = read_cohort(path, open_slides=False)
    assert problems(cohort) == [(4, "mpp 'wide'")]
    first, second = cohort.rows
    assert (first.label, first.patient, first.mpp) == ("1", "12", 0.25)
    assert (second.label, second.named_patient, second.slide) == ("2", "", tmp_path / "2.svs")


@pytest.mark.parametrize("name", ["locked.xlsx", "old.xls"])
def test_a_broken_or_foreign_workbook_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0 something else")
    with pytest.raises(CohortError, match=r"Save it as an Excel workbook \(\.xlsx\)"):
        read_cohort(tmp_path / name)


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    rows = (
        CohortRow(2, tmp_path / "a" / "ö, 1.svs", "x", "p", "train", 0.25, "Köln"),
        CohortRow(3, Path("/elsewhere/2.svs"), "y"),
    )
    write_cohort(tmp_path / name, rows)
    cohort = read_cohort(tmp_path / name, open_slides=False)
    assert cohort == Cohort(rows)


def test_a_csv_table_names_slides_beside_it_relatively(tmp_path: Path) -> None:
    write_cohort(tmp_path / "t.csv", [CohortRow(2, tmp_path / "a" / "1.svs", "x")])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8-sig") == "slide,label\na/1.svs,x\n"


def labelled(*labels: str) -> list[CohortRow]:
    return [CohortRow(n, Path(f"{n}.svs"), label) for n, label in enumerate(labels, 2)]


def test_a_label_in_other_letters_is_no_class_of_its_own() -> None:
    cohort = check(labelled("Low-grade", "low grade", "low grade", "high"), open_slides=False)
    assert problems(cohort) == [(2, "label 'Low-grade' looks like 'low grade' (2 ×)")]


@pytest.mark.parametrize("slip", ["benin", "bennign", "bengin", "benihn"])
def test_a_slip_of_the_pen(slip: str) -> None:
    cohort = check(labelled(*["benign"] * 5, slip, "malignant"), open_slides=False)
    assert problems(cohort) == [(7, f"label {slip!r} looks like 'benign' (5 ×)")]


@pytest.mark.parametrize("label", ["grade 2", "grade IV", "normal", "g1"])
def test_classes_of_similar_names_are_classes(label: str) -> None:
    cohort = check(labelled(*["grade 1"] * 5, *["grade I"] * 5, label), open_slides=False)
    assert not cohort.problems


def test_labels_outside_the_classes_of_the_caller() -> None:
    cohort = check(labelled("x", "y", "z"), open_slides=False, classes=("x", "y"))
    assert [str(problem) for problem in cohort.problems] == [
        "row 4: unknown label 'z'. Write one of x, y"
    ]
    assert cohort.classes == ("x", "y", "z")


def test_a_row_that_waits_for_its_label() -> None:
    cohort = check([*labelled("x", "y"), CohortRow(9, Path("9.svs"), "")], open_slides=False)
    assert problems(cohort) == [(9, "no label")]
    assert cohort.classes == ("x", "y")


def test_a_column_named_twice(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="label twice"):
        read(tmp_path, "slide,label,Label\n1.svs,x,y\n")


def test_slides_are_checked_one_after_another(pyramid_slide: Path, no_mpp_slide: Path) -> None:
    rows = [CohortRow(2, pyramid_slide, "x"), CohortRow(3, no_mpp_slide, "y")] * 20
    found = check_slides(rows)
    assert next(found) == (rows[0], [])
    row, wrong = next(found)
    assert (row, len(wrong)) == (rows[1], 1)
    found.close()  # does not open the others first


def test_one_class_only(tmp_path: Path) -> None:
    assert problems(read(tmp_path, "slide,label\n1.svs,x\n2.svs,x\n")) == [
        (0, "only the label 'x'")
    ]
    assert problems(read(tmp_path, "slide,label\n")) == [(0, "no labelled slides")]


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
