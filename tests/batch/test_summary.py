"""The tables of a run: right, growing, harmless in a spreadsheet and in a browser."""

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_xmag.analyze import Flag
from napari_xmag.analyze.abstain import NO_ANSWER
from napari_xmag.batch.events import SlideDone, SlideFailed, SlideLabel
from napari_xmag.batch.summary import Summary
from napari_xmag.errors import ConfigError, TissueError
from tests.analyze.test_result import make_result


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def done(out: Path, slide: Path, folder: str, image: Any = 1, *flags: str) -> SlideDone:
    """Write a result as a run would; return its event."""
    result = replace(
        make_result(),
        flags=tuple(Flag(code, f"About <{code}>.") for code in flags),
        tissue={"choice": "auto", "area_mm2": 12.5},
    )
    result.save(out / folder)
    return SlideDone(SlideLabel(slide, image), out / folder, result)


def failed(slide: Path, why: str = "glass") -> SlideFailed:
    error = TissueError(expected="tissue", found=why, hint="Look.")
    return SlideFailed(SlideLabel(slide, 1), error)


def test_a_row_says_what_the_result_says(tmp_path: Path) -> None:
    slides, out = tmp_path / "slides", tmp_path / "out"
    slides.mkdir()
    summary = Summary(out, [slides])
    first = done(out, slides / "a" / "case.svs", "case")
    summary.done(first)
    summary.done(done(out, slides / "b" / "case.svs", "case#2", 2, "out_of_range"))
    summary.failed(failed(slides / "c.svs"))
    summary.write(last=True)
    one, two = rows(out / "summary.csv")
    result = first.result
    assert (one["slide"], one["image"], one["folder"]) == ("a/case.svs", "1", "case")
    assert (two["slide"], two["image"], two["folder"]) == ("b/case.svs", "2", "case#2")
    assert one["fingerprint"] == result.slide["fingerprint"]
    assert (one["answer"], one["reasons"]) == (result.headline, "")
    assert (two["answer"], two["reasons"]) == ("abstained", "About <out_of_range>.")
    for name, share in zip(result.classes, result.probabilities, strict=True):
        assert float(one[f"probability: {name}"]) == pytest.approx(share, rel=1e-5)
    assert (one["tissue_mm2"], two["flags"]) == ("12.5", "out_of_range")
    assert float(one["seconds"]) == pytest.approx(result.seconds["total"], abs=1e-3)
    assert "Research use only" in one["notice"]
    (lost,) = rows(out / "failed.csv")
    assert (lost["slide"], "found glass" in lost["reason"]) == ("c.svs", True)
    page = (out / "summary.html").read_text(encoding="utf-8")
    assert NO_ANSWER in page
    assert "About &lt;out_of_range&gt;." in page
    # the number of the answer alone: none beside "no reliable prediction"
    share = result.probabilities[result.classes.index(str(result.answer))]
    assert re.findall(r"[\d.]+ %", page) == [f"{100 * share:.1f} %"]
    assert "About <out_of_range>" not in page
    assert 'href="case%232/"' in page
    assert "http" not in page.replace('href="http', "")


def test_names_are_no_formulas_and_no_markup(tmp_path: Path) -> None:
    summary = Summary(tmp_path, [tmp_path])
    names = ["=HYPERLINK(1).svs", "+1.svs", "-1.svs", "@x.svs", "'quoted.svs", "<b>bold.svs"]
    for number, name in enumerate(names):
        summary.done(done(tmp_path, tmp_path / name, f"r{number}"))
    summary.failed(failed(tmp_path / "=cmd.svs", "=\n=2"))
    summary.write(last=True)
    cells = [cell for row in rows(tmp_path / "summary.csv") for cell in row.values()]
    cells += [cell for row in rows(tmp_path / "failed.csv") for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n")]
    assert "<b>bold" not in (tmp_path / "summary.html").read_text(encoding="utf-8")
    # what is read back is what was meant
    again = Summary(tmp_path, [tmp_path])
    again.done(done(tmp_path, tmp_path / "new.svs", "new"))
    before = (tmp_path / "summary.csv").read_text(encoding="utf-8-sig").splitlines()
    again.write(last=True)
    after = (tmp_path / "summary.csv").read_text(encoding="utf-8-sig").splitlines()
    assert set(before) < set(after)
    assert len(after) == len(before) + 1


def test_rows_of_earlier_runs_stay_while_their_results_do(tmp_path: Path) -> None:
    first = Summary(tmp_path, [tmp_path])
    for name in ("a", "b", "c"):
        first.done(done(tmp_path, tmp_path / f"{name}.svs", name))
    first.failed(failed(tmp_path / "d.svs"))
    first.failed(failed(tmp_path / "e.svs"))
    first.write(last=True)
    shutil.rmtree(tmp_path / "b")
    second = Summary(tmp_path, [tmp_path])
    second.done(done(tmp_path, tmp_path / "a.svs", "a", 1, "out_of_range"))
    second.done(done(tmp_path, tmp_path / "d.svs", "d"))
    second.write(last=True)
    table = rows(tmp_path / "summary.csv")
    assert [(row["folder"], row["answer"]) for row in table] == [
        ("a", "abstained"),
        ("c", "malignant"),
        ("d", "malignant"),
    ]
    assert [row["slide"] for row in rows(tmp_path / "failed.csv")] == ["e.svs"]
    third = Summary(tmp_path, [tmp_path])
    third.done(done(tmp_path, tmp_path / "e.svs", "e"))
    third.write(last=True)
    assert not (tmp_path / "failed.csv").exists()


def test_two_runs_at_once_keep_each_others_rows(tmp_path: Path) -> None:
    one, two = (Summary(tmp_path, [tmp_path]) for _ in range(2))
    one.done(done(tmp_path, tmp_path / "a.svs", "a"))
    two.done(done(tmp_path, tmp_path / "b.svs", "b"))
    one.write(last=True)
    two.write(last=True)
    one.write(last=True)
    assert [row["folder"] for row in rows(tmp_path / "summary.csv")] == ["a", "b"]


def test_someone_elses_table_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "summary.csv").write_text("patient;outcome\n1;good\n")
    with pytest.raises(ConfigError, match=r"summary\.csv"):
        Summary(tmp_path, [tmp_path])


def test_images_of_a_project_fail_by_their_names(tmp_path: Path) -> None:
    tables = Summary(tmp_path, [tmp_path])
    error = TissueError(expected="a", found="b", hint="c")
    images = [SlideLabel(tmp_path / "s.czi", None, "same", key) for key in "12"]
    for label in images:
        tables.failed(SlideFailed(label, error))
    tables.write(last=True)
    found = rows(tmp_path / "failed.csv")
    assert [(row["slide"], row["image"]) for row in found] == [("same", "ID 1"), ("same", "ID 2")]
    assert images[0].name == "same"


def test_one_project_forgets_no_failure_of_another(tmp_path: Path) -> None:
    error = TissueError(expected="a", found="b", hint="c")
    places = [tmp_path / name / "project.qpproj" for name in "ab"]
    images = [SlideLabel(tmp_path / "s.czi", None, "same", "1", place) for place in places]
    for label in images:
        tables = Summary(tmp_path, [tmp_path])
        tables.failed(SlideFailed(label, error))
        tables.write(last=True)
    projects = [row["project"] for row in rows(tmp_path / "failed.csv")]
    assert projects == ["a/project.qpproj", "b/project.qpproj"]
    tables = Summary(tmp_path, [tmp_path])
    tables.done(SlideDone(images[1], tmp_path / "1", make_result()))
    tables.write(last=True)
    assert [row["project"] for row in rows(tmp_path / "failed.csv")] == projects[:1]
    assert [row["project"] for row in rows(tmp_path / "summary.csv")] == projects[1:]


def test_images_of_a_project_stand_in_all_tables_by_their_names(tmp_path: Path) -> None:
    tables = Summary(tmp_path, [tmp_path])
    error = TissueError(expected="a", found="b", hint="c")
    images = [SlideLabel(tmp_path / "s.czi", None, name, key) for name, key in ("a1", "a2", "b3")]
    for number, label in enumerate(images[:2]):
        tables.failed(SlideFailed(label, error))
        tables.done(SlideDone(label, tmp_path / str(number), make_result()))
    tables.failed(SlideFailed(images[2], error))
    tables.write(last=True)
    found = rows(tmp_path / "summary.csv")
    assert [(row["slide"], row["image"]) for row in found] == [("a", "ID 1"), ("a", "ID 2")]
    assert [row["slide"] for row in rows(tmp_path / "failed.csv")] == ["b"]
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("a [ID 1]", "a [ID 2]", "b [ID 3]"))
