"""Tables of labelled slides: what is read, and each problem by its row."""

import os
import shutil
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import tifffile
from openpyxl import Workbook

from napari_xmag.cohort.cohort import (
    Cohort,
    CohortRow,
    check,
    check_slides,
    read_cohort,
    write_cohort,
)
from napari_xmag.cohort.opening import open_cohort
from napari_xmag.cohort.table import read_table, write_table
from napari_xmag.errors import CohortError
from napari_xmag.geometry import Mpp
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.mpp_store import remember_mpp
from tests.slides import draw_section, write_pyramid


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
        tmp_path, "slide,label,patient,split,mpp\na/1.svs,x,p,train,0.25\n/b/2.svs,y,q,,\n"
    )
    assert not cohort.problems
    first, second = cohort.rows
    assert (first.slide, second.slide) == (tmp_path / "a" / "1.svs", Path("/b/2.svs"))
    assert (first.patient, first.split, first.mpp) == ("p", "train", 0.25)
    assert (second.split, second.mpp, second.site) == ("", None, "")
    assert cohort.classes == ("x", "y")


@pytest.mark.parametrize("columns", ["slide,label", "slide,label,patient"])
def test_without_any_patient_each_slide_stands_for_itself(tmp_path: Path, columns: str) -> None:
    cells = "," * (columns.count(",") - 1)
    cohort = read(tmp_path, f"{columns}\n1.svs,x{cells}\n/b/2.svs,y{cells}\n")
    assert not cohort.problems
    assert cohort.rows[1].patient == "/b/2.svs"
    assert cohort.rows[1].named_patient == ""


MISSING = ["NA", "n/a", "N/A", "nan", "NaN", "None", "NULL", "null", "-", "--", "#N/A", "", "  ",
           "N.A", "N.A.", "NaT", "\\N", "(blank)", "missing", "\N{MINUS SIGN}", "\N{EN DASH}", "—",
           "#BEZUG!", "#NV", "#WERT!", "#NAME?", "#DIV/0!", "#¿NOMBRE?", "#ÜBERLAUF!", "#N/D",
           "######"]  # fmt: skip


@pytest.mark.parametrize("missing", MISSING)
def test_missing_labels_and_patients_are_asked_for_by_row(tmp_path: Path, missing: str) -> None:
    table = f"slide,label,patient\n1.svs,x,p\n2.svs,y,q\n3.svs,{missing},r\n4.svs,x,{missing}\n"
    cohort = read(tmp_path, table)
    assert problems(cohort) == [(4, "no label"), (5, "no patient")]
    assert cohort.classes == ("x", "y")


def test_patients_that_are_written_to_be_unknown_are_asked_for(tmp_path: Path) -> None:
    cohort = read(tmp_path, "slide,label,patient\n1.svs,x,nan\n2.svs,y,nan\n")
    assert problems(cohort) == [(2, "no patient"), (3, "no patient")]


@pytest.mark.parametrize("missing", MISSING)
def test_other_missing_cells_are_empty(tmp_path: Path, missing: str) -> None:
    table = f"slide,label,split,site,mpp\n1.svs,x,{missing},{missing},{missing}\n2.svs,y,,,\n"
    (first, _), found = (cohort := read(tmp_path, table)).rows, problems(cohort)
    assert not found
    assert (first.split, first.site, first.mpp) == ("", "", None)
    assert problems(read(tmp_path, f"slide,label\n{missing},x\n1.svs,x\n2.svs,y\n")) == (
        [(2, "no slide")]
    )


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (("0", "0.0", "1", "1.0"), ("0", "1")),
        (("0", "1.00", "0,0", "1"), ("0", "1")),
        (("TRUE", "true", "False", "FALSE"), ("false", "true")),
        (("-0.0", "0", "1", "2"), ("0", "1", "2")),
        (("1.5", "2.5", "1.5", "2.5"), ("1.5", "2.5")),
        (("1+", "2+", "3+", "0"), ("0", "1+", "2+", "3+")),
    ],
)
def test_one_label_has_one_form(
    tmp_path: Path, written: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    lines = [f'{number}.svs,"{label}"' for number, label in enumerate(written)]
    cohort = read(tmp_path, "\n".join(["slide,label", *lines]))
    assert cohort.classes == classes
    assert not cohort.problems


def test_numbers_that_may_be_one_label_are_listed() -> None:
    cohort = check(labelled("01", "1", "1", "2"), open_slides=False)
    assert problems(cohort) == [(2, "label '01' looks like '1' (2 ×)")]


def test_truth_in_words_and_in_numbers_is_listed() -> None:
    cohort = check(labelled("true", "1", "1", "false", "false", "0"), open_slides=False)
    assert problems(cohort) == [
        (2, "label 'true' looks like '1' (2 ×)"),
        (7, "label '0' looks like 'false' (2 ×)"),
    ]
    assert not check(labelled("true", "false"), open_slides=False).problems


def test_a_patient_in_two_forms_is_one_or_listed(tmp_path: Path) -> None:
    table = "slide,label,patient\n1.svs,x,12\n2.svs,x,12.0\n3.svs,y,007\n4.svs,y,7\n"
    cohort = read(tmp_path, table)
    assert [row.patient for row in cohort.rows] == ["12", "12", "007", "7"]
    assert problems(cohort) == [(5, "patient '7' looks like '007' in row 4")]


@pytest.mark.parametrize(
    "date",
    [
        *("2024-03-01", "1-Mar", "Sep-02", "01. Mrz", "2024-03-01 00:00:00", "01.03.2024"),
        *("3/1/2024", "01/03/2024 0:00", "2024/03/01", "1-3-2024", "01-Mar-24", "1. 3. 2024"),
        *("3/1/2024 12:00:00 AM", "3/1/24", "13/1/24", "1/13/24", "3/1", "12/31", "01.03.24"),
    ],
)
def test_names_that_a_spreadsheet_made_dates_are_listed(tmp_path: Path, date: str) -> None:
    cohort = read(tmp_path, f"slide,label,patient\n1.svs,x,{date}\n2.svs,{date},q\n3.svs,y,r\n")
    assert [row for row, words in problems(cohort) if "is a date" in words] == [2, 3]


@pytest.mark.parametrize(
    "name",
    [
        "3-1",
        "12/345/2024",
        "31.31.2024",
        "2024-17",
        "1.3.20241",
        "3.1.2",
        "H 1/24",
        "3:1",
        "13/32",
        "0/1",
        "#7",
        "1/2/3",
        "No. #3",
    ],
)
def test_names_that_are_no_dates_are_names(tmp_path: Path, name: str) -> None:
    assert not read(tmp_path, f"slide,label,patient\n1.svs,x,{name}\n2.svs,y,q\n").problems


def test_accents_written_in_two_ways_are_one_name(tmp_path: Path) -> None:
    """Windows composes a letter and its accent, macOS writes them apart."""
    apart = "o\u0308"
    table = (
        f"slide,label,patient,site\n1.svs,böse,Jörg,Köln\n2.svs,b{apart}se,J{apart}rg,K{apart}ln"
    )
    cohort = read(tmp_path, f"{table}\n3.svs,gut,q,Ulm\n")
    assert cohort.classes == ("böse", "gut")
    assert {row.patient for row in cohort.rows} == {"Jörg", "q"}
    assert {row.site for row in cohort.rows} == {"Köln", "Ulm"}
    unnamed = CohortRow(2, Path("bo\u0308se.svs"), "x")
    assert replace(unnamed, label="y").named_patient == ""


def test_truth_in_several_languages_is_listed() -> None:
    cohort = check(labelled("WAHR", "TRUE", "True", "FALSCH", "false", "false"), open_slides=False)
    assert problems(cohort) == [
        (2, "label 'WAHR' looks like 'true' (2 ×)"),
        (5, "label 'FALSCH' looks like 'false' (2 ×)"),
    ]
    assert not check(labelled("WAHR", "FALSCH"), open_slides=False).problems


def test_a_workbook_of_durations_is_listed(tmp_path: Path) -> None:
    book = Workbook()
    durations = timedelta(days=1, hours=3), timedelta(minutes=181)
    for line in (["slide", "label"], *enumerate(durations), ["2.svs", "x"]):
        book.active.append(line)
    book.save(tmp_path / "cohort.xlsx")
    cohort = read_cohort(tmp_path / "cohort.xlsx", open_slides=False)
    assert [row for row, words in problems(cohort) if "is a time" in words] == [2, 3]


def test_a_patient_that_a_spreadsheet_rounded_is_listed(tmp_path: Path) -> None:
    cohort = read(tmp_path, "slide,label,patient\n1.svs,x,1.23457E+11\n2.svs,y,q\n")
    (problem,) = cohort.problems
    assert (problem.row, "rounded" in problem.words) == (2, True)


def test_excel_heading_and_spaces(tmp_path: Path) -> None:
    cohort = read(tmp_path, "\ufeffSlide, Label\n1.svs, x\n2.svs ,y\n")
    assert [(row.slide.name, row.label) for row in cohort.rows] == [("1.svs", "x"), ("2.svs", "y")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1.svs,y,q,,", "1.svs is already in row 2"),
        ("./1.svs,x,p,,", "1.svs is already in row 2"),
        ("1.svs,x,p,test,", "1.svs is already in row 2, with split train there and test here"),
        ("3.svs,,s,,", "no label"),
        ("3.svs,x,,,", "no patient"),
        (",x,,,", "no slide"),
        ("3.svs,y,p,,", "patient p has 2 labels (x, y)"),
        ("3.svs,x,p,test,", "patient p has 2 splits (train, test)"),
        ("3.svs,x,s,testing,", "unknown split 'testing'"),
        ("3.svs,x,s,,quarter", "mpp 'quarter'"),
        ("3.svs,x,s,,-1", "mpp '-1'"),
        ("3.svs,x,s,,40", "mpp '40'"),
    ],
)
def test_each_problem_names_its_row(tmp_path: Path, line: str, words: str) -> None:
    table = f"slide,label,patient,split,mpp\n1.svs,x,p,train,\n2.svs,y,r,,\n{line}\n"
    assert (4, words) in problems(read(tmp_path, table))
    assert {row for row, _ in problems(read(tmp_path, table))} == {4}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", ","),
        ("utf-8-sig", ";"),
        ("utf-16", "\t"),
        ("utf-16-le", "\t"),  # without its mark
        ("utf-16-be", ","),
        ("utf-32", ";"),
        ("cp1252", ";"),
    ],
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
                 ["2.svs", True, None, "wide"],
                 ["3.svs", 1.0, datetime(2024, 3, 1), None]):  # fmt: skip
        sheet.append(line)
    path = tmp_path / "cohort.xlsx"
    book.save(path)
    cohort = read_cohort(path, open_slides=False)
    assert [(row, words[:20]) for row, words in problems(cohort)] == [
        (4, "mpp 'wide'"),
        (4, "label 'true' looks l"),
        (4, "no patient"),
        (5, "patient '2024-03-01 "),
    ]
    first, second, third = cohort.rows
    assert (first.label, first.patient, first.mpp) == ("1", "12", 0.25)
    assert (second.label, second.named_patient, second.slide) == ("true", "", tmp_path / "2.svs")
    assert third.label == "1"


def test_marks_that_nobody_sees_are_no_part_of_a_cell(tmp_path: Path) -> None:
    cohort = read(tmp_path, "\ufeff\ufeffslide,label\n1.svs,\ufeffx\n2.svs,x\u200b\n3.svs,\xa0y\n")
    assert cohort.classes == ("x", "y")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(ends.join(["", "slide;label", "1.svs;x", "2.svs;y", ""]).encode())
    cohort = read_cohort(path, open_slides=False)
    assert [(row.row, row.label) for row in cohort.rows] == [(3, "x"), (4, "y")]


def test_a_cell_too_many_is_told_by_row(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"more in row 3\. .*quotation marks"):
        read(tmp_path, "slide,mpp,label\n1.svs,1,x\n2.svs,0,25,y\n")


@pytest.mark.parametrize("name", ["locked.xlsx", "old.xls"])
def test_a_broken_or_foreign_workbook_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0 something else")
    with pytest.raises(CohortError, match=r"Save it as an Excel workbook \(\.xlsx\)"):
        read_cohort(tmp_path / name)


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    rows = (
        CohortRow(
            2, tmp_path / "a" / "ö, 1.svs", "x", "p", "train", 0.25, "Köln", tmp_path / "ö.geojson"
        ),
        CohortRow(3, Path("/elsewhere/2.svs"), "y", "007"),
    )
    (tmp_path / "ö.geojson").touch()
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


@pytest.mark.parametrize(
    ("column", "meant"), [("region", "regions"), ("Patients", "patient"), ("splits", "split")]
)
def test_a_column_that_is_almost_one_of_ours_is_told(
    tmp_path: Path, column: str, meant: str
) -> None:
    cohort = read(tmp_path, f"slide,label,{column},age,scanner\n1.svs,x,,60,A\n2.svs,y,,61,B\n")
    (told,) = cohort.left_out
    assert (
        str(told) == f"the column {column.lower()!r} is not read. If it holds the {meant}, "
        f"rename it to {meant}"
    )
    assert read(tmp_path, f"slide,label,{column},{meant}\n1.svs,x,,\n").left_out == ()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights of their own there")
def test_regions_of_one_file_for_two_slides_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text("{}")
    (tmp_path / "same.geojson").symlink_to("a.geojson")
    lines = ["1.svs,x,a.geojson", "2.svs,y,", "3.svs,y,./same.geojson"]
    cohort = read(tmp_path, "\n".join(["slide,label,regions", *lines]))
    assert problems(cohort) == [(4, "the regions file same.geojson is that of row 2, too")]


def test_a_column_named_twice(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="label twice"):
        read(tmp_path, "slide,label,Label\n1.svs,x,y\n")


def test_slides_are_checked_one_after_another(pyramid_slide: Path, no_mpp_slide: Path) -> None:
    rows = [CohortRow(2, pyramid_slide, "x"), CohortRow(3, no_mpp_slide, "y")] * 20
    found = check_slides(rows)
    first, second = next(found), next(found)
    assert (first.row, first.problems) == (rows[0], ())
    assert (second.row, len(second.problems)) == (rows[1], 1)
    assert first.fingerprint != second.fingerprint
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
        (4, "no-mpp.tiff does not exist"),
        (5, "broken.tiff cannot be opened"),
    ]
    with pytest.raises(CohortError, match=r"row 3: no-mpp.tiff states no pixel size"):
        cohort.require_good()
    given = write(tmp_path, f"slide,label,mpp\n{pyramid_slide},x,\n{no_mpp_slide},y,0.5\n")
    read_cohort(given).require_good()


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_what_a_path_leads_to_instead_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("")
    paths = ["gone", "folder", "loop", "loop/in.geojson", "file:///a/b", "https://a/b", "x:y/b"]
    words = [
        *("gone does not exist", "folder is a folder"),
        "loop cannot be reached (symbolic links that lead round in a circle)",
        "in.geojson cannot be reached (symbolic links that lead round in a circle)",
        *("b is an address (file://…)", "b is an address (https://…)", "b does not exist"),
    ]
    rows = [f"{number}.svs,{'xy'[number % 2]},{path}" for number, path in enumerate(paths)]
    regions = read(tmp_path, "\n".join(["slide,label,regions", *rows, "f.svs,x,file"]))
    assert problems(regions) == [(2 + n, f"the regions file {w}") for n, w in enumerate(words)]
    assert regions.problems[0].hint == "Correct the path, or leave the cell empty"
    assert (
        regions.problems[4].hint == "Write a plain path, without file://, or leave the cell empty"
    )
    lines = [f"{path},{'xy'[number % 2]}" for number, path in enumerate(paths)]
    slides = read_cohort(write(tmp_path, "\n".join(["slide,label", *lines])))
    told = dict(problems(slides))
    # a folder may be a slide of several files
    assert told.pop(3) == "folder cannot be opened"
    assert [told[2 + n] for n in (0, 2, 3, 4, 5, 6)] == [words[n] for n in (0, 2, 3, 4, 5, 6)]


def test_a_pixel_size_against_the_file_is_listed(tmp_path: Path, pyramid_slide: Path) -> None:
    near, far = (shutil.copy(pyramid_slide, tmp_path / f"{name}.tiff") for name in ("near", "far"))
    with Path(far).open("ab") as stream:
        stream.write(b"a slide of its own")
    cohort = read_cohort(write(tmp_path, f"slide,label,mpp\n{near},x,0.504\n{far},y,0.25\n"))
    words = "mpp 0.25, but far.tiff states 0.5 µm per pixel (resolution tag)"
    assert problems(cohort) == [(3, words)]
    assert "within 1%" in cohort.problems[0].hint


def test_a_remembered_pixel_size_is_no_statement_of_the_file(
    tmp_path: Path, pyramid_slide: Path, no_mpp_slide: Path
) -> None:
    remember_mpp(no_mpp_slide, Mpp(1.0, 1.0))
    table = f"slide,label,mpp\n{pyramid_slide},x,\n{no_mpp_slide},y,0.5\n"
    read_cohort(write(tmp_path, table)).require_good()


def test_a_copy_under_another_name_is_listed(tmp_path: Path, pyramid_slide: Path) -> None:
    (tmp_path / "b").mkdir()
    copy = shutil.copy(pyramid_slide, tmp_path / "b" / "other.tiff")
    cohort = read_cohort(write(tmp_path, f"slide,label\n{pyramid_slide},x\n{copy},y\n"))
    assert problems(cohort) == [(3, "other.tiff is a copy of pyramid.tiff in row 2")]


def test_an_overriding_pixel_size_is_that_of_every_slide(
    tmp_path: Path, pyramid_slide: Path, no_mpp_slide: Path
) -> None:
    table = write(tmp_path, f"slide,label,mpp\n{pyramid_slide},x,0.3\n{no_mpp_slide},y,\n")
    assert len(finish(open_cohort(table)).problems) == 2
    cohort = finish(open_cohort(table, override_mpp=0.25))
    cohort.require_good()
    assert [row.mpp for row in cohort.rows] == [0.25, 0.25]


def test_slides_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        write_pyramid(tmp_path / folder / "case.tiff", draw_section(300, 200, seed=seed))
    cohort = read_cohort(write(tmp_path, "slide,label\na/case.tiff,x\nb/case.tiff,y\n"))
    cohort.require_good()
    assert len({row.patient for row in cohort.rows}) == 2


@pytest.mark.parametrize("other", ["p-07", "P_7", "P 007", "P7", "Ｐ－７"])
def test_a_patient_who_is_written_in_two_ways_is_listed(other: str) -> None:
    rows = [CohortRow(2, Path("1.svs"), "x", "P-7"), CohortRow(3, Path("2.svs"), "y", other)]
    found = check(rows, open_slides=False).problems
    assert [(p.row, p.words) for p in found] == [
        (3, f"patient {other!r} looks like 'P-7' in row 2")
    ]


@pytest.mark.parametrize("other", ["P-70", "PA-7", "P-7a", "P-7-1", "7", "P.7", "1-17"])
def test_patients_of_similar_names_are_patients(other: str) -> None:
    names = ("1-1-7" if other == "1-17" else "P-7", other)
    rows = [CohortRow(i, Path(f"{i}.svs"), "xy"[i], name) for i, name in enumerate(names)]
    assert not check(rows, open_slides=False).problems


def test_further_images_of_a_file_are_told(tmp_path: Path, pyramid_slide: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as writer:
        for seed in (1, 2):
            section = draw_section(300, 300, seed=seed)
            size = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
            writer.write(section, photometric="rgb", tile=(128, 128), metadata=size)
    table = write(tmp_path, f"slide,label\ntwo.ome.tif,x\n{pyramid_slide},y\n")
    words = "two.ome.tif contains 2 images, of which the first is used"
    for cohort in (read_cohort(table), finish(open_cohort(table))):
        cohort.require_good()
        assert [(told.row, told.words) for told in cohort.left_out] == [(2, words)]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_names_that_a_table_cannot_hold_are_escaped(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"table{suffix}"
    write_table(path, ["slide"], [["B\udce4r.tiff"], ["\x1b[31mred.tiff"]])
    assert [cells for _, cells in read_table(path, ("slide",))] == [
        {"slide": r"B\udce4r.tiff"},
        {"slide": r"\x1b[31mred.tiff"},
    ]
