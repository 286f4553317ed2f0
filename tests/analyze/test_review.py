"""Verdicts on tiles come back as they were written."""

import csv
from pathlib import Path

import pytest

from napari_xmag import NOTICE
from napari_xmag.analyze.review import Verdict, read_review, write_review
from napari_xmag.errors import ResultError
from tests.analyze.test_result import make_result


def test_verdicts_come_back(tmp_path: Path) -> None:
    result = make_result()
    verdicts = {31: Verdict.WRONG, 4: Verdict.RIGHT}
    write_review(result, verdicts, tmp_path / "review.csv")

    assert read_review(result, tmp_path / "review.csv") == verdicts
    with (tmp_path / "review.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["x"]) for row in rows] == [result.patches.x[4], result.patches.x[31]]
    assert {row["notice"] for row in rows} == {NOTICE}


@pytest.mark.parametrize(
    "text",
    ["x,y,verdict\n1.5,2,right\n", "x,y,verdict\n1501,2003,perhaps\n", "nothing\n1\n"],
    ids=["another slide's tile", "no verdict", "no such table"],
)
def test_foreign_tables_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "review.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=r"review\.csv"):
        read_review(make_result(), tmp_path / "review.csv")
