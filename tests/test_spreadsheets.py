"""Words in tables stay words, whatever opens them."""

from pathlib import Path

import pytest
from openpyxl import load_workbook

from napari_xmag.cohort.cohort import read_cohort, write_cohort
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.spreadsheets import as_text, meant

WORDS = ["=1+1", "+1", "-x", "@SUM(A1)", "\tx", "'quoted'", "'=1", "plain", "", "3-1"]


@pytest.mark.parametrize("words", WORDS)
def test_cells_come_back_as_they_were(words: str) -> None:
    assert meant(as_text(words)) == words
    assert not as_text(words).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("name", ["cohort.csv", "cohort.xlsx"])
def test_no_cell_of_a_cohort_is_a_formula(tmp_path: Path, name: str) -> None:
    rows = [
        CohortRow(2, tmp_path / "=HYPERLINK(1).svs", '=cmd|"/c calc"!A1', patient="@p"),
        CohortRow(3, tmp_path / "b.svs", "-1 low", patient="+2"),
    ]
    write_cohort(tmp_path / name, rows)
    again = read_cohort(tmp_path / name, open_slides=False).rows
    assert [(row.slide, row.label, row.patient) for row in again] == [
        (row.slide, row.label, row.patient) for row in rows
    ]
    if name.endswith("xlsx"):
        sheet = load_workbook(tmp_path / name).active
        assert sheet is not None
        assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n"}
    else:
        cells = (tmp_path / name).read_text(encoding="utf-8-sig").replace("\n", ",").split(",")
        assert not [cell for cell in cells if cell.strip('"')[:1] in ("=", "+", "-", "@")]
