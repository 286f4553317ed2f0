"""What is said of places comes back as it was written, also onto another grid."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag import NOTICE
from napari_xmag.errors import ResultError
from napari_xmag.geometry import Box
from napari_xmag.review.verdicts import (
    PlaceReview,
    Verdict,
    by_patch,
    patches_of,
    read_review,
    write_review,
)
from tests.analyze.test_result import make_result

SAID = (
    PlaceReview(
        Box(1.1, 2.2, 3.3, 4.4),
        'Übergang; "2"',
        "evidence",
        Verdict.WRONG,
        "=1+1, a fold\nand dust",
        "-Dr. Ä",
        "2026-11-26T01:00:00+00:00",
    ),
    PlaceReview(Box(9, 9, 1, 1), verdict=Verdict.RIGHT),
    PlaceReview(Box(9, 9, 1, 1), "benign", comment="'=quoted'"),
)


def test_everything_comes_back(tmp_path: Path) -> None:
    write_review(SAID, tmp_path / "review.csv")
    read = read_review(tmp_path / "review.csv")
    assert read == tuple(sorted(SAID, key=lambda said: said.key))
    with (tmp_path / "review.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["notice"] for row in rows} == {NOTICE}
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_a_spreadsheet_shows_it_as_it_is(tmp_path: Path) -> None:
    write_review(SAID, tmp_path / "review.csv")
    assert (tmp_path / "review.csv").read_bytes().startswith("\ufeffx,".encode())


@pytest.mark.parametrize(
    ("separator", "encoding", "comma"),
    [
        (",", "utf-8-sig", False),
        (";", "utf-8-sig", True),
        (";", "cp1252", True),
        ("\t", "utf-16", False),
    ],
)
def test_what_a_spreadsheet_saved_anew_is_read(
    tmp_path: Path, separator: str, encoding: str, comma: bool
) -> None:
    said = PlaceReview(
        Box(0.5, 0, 448.25, 448.25), "Übergang", "rank", Verdict.RIGHT, "Größe, ok; fein", "Dr. Ä"
    )
    write_review([said], tmp_path / "review.csv")
    with (tmp_path / "review.csv").open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.reader(stream))
    if comma:
        rows[1][:4] = [cell.replace(".", ",") for cell in rows[1][:4]]
    with (tmp_path / "review.csv").open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream, delimiter=separator).writerows([*rows, [""] * len(rows[0])])
    assert read_review(tmp_path / "review.csv") == (said,)


@pytest.mark.parametrize(
    "text",
    [
        "x,y,width,height,verdict\n1,2,3,4,perhaps\n",
        "x,y,width,height,verdict\n1,2,0,4,right\n",
        "x,y,width,height,verdict\n1,nan,3,4,right\n",
        "nothing\n1\n",
    ],
    ids=["no verdict", "no place", "not a number", "no such table"],
)
def test_foreign_tables_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "review.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=r"review\.csv"):
        read_review(tmp_path / "review.csv")


def test_the_table_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    old = "x,y,width,height,attention,verdict,notice\n1.0,2.0,3.0,4.0,0.5,right,n\n"
    (tmp_path / "review.csv").write_text(old, encoding="utf-8")
    assert read_review(tmp_path / "review.csv") == (
        PlaceReview(Box(1, 2, 3, 4), verdict=Verdict.RIGHT),
    )


def test_a_verdict_is_found_again_by_its_place() -> None:
    result = make_result()
    place = result.patches.box(7)
    moved = place.shifted(0.2 * place.width, 0)
    far = place.shifted(0.5 * place.width, 0.5 * place.height)
    outside = place.shifted(-90_000, 0)
    said = [PlaceReview(box) for box in (place, moved, far, outside)]
    assert patches_of(result, said) == [7, 7, None, None]
    assert patches_of(make_result(0), said) == [None] * 4


def test_of_two_verdicts_on_a_patch_the_later_counts() -> None:
    result = make_result()
    early = PlaceReview(result.patches.box(3), verdict=Verdict.RIGHT, date="2026-01-01")
    late = replace(early, place=early.place.shifted(1, 1), verdict=Verdict.WRONG, date="2026-01-02")
    assert by_patch(result, [late, early]) == {3: late}
