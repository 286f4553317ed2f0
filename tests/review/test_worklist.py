"""A list of slides keeps what became of each, and can be picked up again after a crash."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag import NOTICE
from napari_xmag.analyze import Flag, FlagCode, SlideResult
from napari_xmag.batch.targets import find_targets
from napari_xmag.errors import CohortError, ExportError, ProjectError, ResultError
from napari_xmag.leftovers import owner
from napari_xmag.result_keys import with_entry
from napari_xmag.review.worklist import COLUMNS, Worklist
from napari_xmag.review.worklist_results import take_results
from napari_xmag.review.worklist_row import RowStatus, WorklistRow
from napari_xmag.review.worklist_sources import worklist_rows
from napari_xmag.slide.fingerprint import slide_fingerprint
from tests.analyze.test_result import make_result
from tests.qupath.projects import (
    entry,
    server,
    unusable_images,
    write_project,
    write_sections,
)
from tests.slides import draw_section, write_pyramid


def rows(folder: Path, *names: str) -> list[WorklistRow]:
    return [WorklistRow(folder / name) for name in names]


@pytest.fixture
def worklist(tmp_path: Path) -> Worklist:
    found = Worklist(rows(tmp_path, "a.svs", "b.svs", "c.svs", "d.svs", "e.svs"))
    found.save(tmp_path / "list.json")
    return found


def result(malignant: float, *flags: Flag) -> SlideResult:
    probabilities = (1 - malignant, malignant)
    return replace(make_result(), probabilities=probabilities, flags=flags)


def go_through(worklist: Worklist) -> None:
    """Let b be more suspicious than a, c abstain, d fail and e be under way."""
    a, b, c, d, e = (row.key for row in worklist.rows)
    worklist.finish(a, result(0.2), "id-a")
    worklist.finish(b, result(0.9), "id-b")
    worklist.finish(c, result(0.95, Flag(FlagCode.OUT_OF_RANGE, "It looks unlike those.")))
    worklist.fail(d, "The file is broken.")
    worklist.begin(e)


def names(rows: tuple[WorklistRow, ...]) -> str:
    return "".join(row.slide.stem for row in rows)


def test_the_most_suspicious_first_and_those_that_abstain_apart(worklist: Worklist) -> None:
    go_through(worklist)
    assert names(worklist.sorted()) == "bacde"
    assert [row.status for row in worklist.sorted()] == list(RowStatus)[:1] * 2 + [
        RowStatus.ABSTAINED,
        RowStatus.FAILED,
        RowStatus.RUNNING,
    ]
    c = worklist.sorted()[2]
    assert (c.answer, c.headline, c.suspicion) == ("", "No reliable prediction", None)
    assert (c.reason, c.flags) == ("It looks unlike those.", ("out_of_range",))
    assert worklist.counts() == {status: 2 if status == "done" else 1 for status in RowStatus} | {
        RowStatus.WAITING: 0
    }


def test_sorted_by_any_column_what_is_unknown_comes_last(worklist: Worklist) -> None:
    go_through(worklist)
    worklist.mark_reviewed(worklist.rows[1].key)
    for column in COLUMNS:
        assert len(worklist.sorted(column)) == len(worklist.sorted(column, descending=False)) == 5
    assert names(worklist.sorted("name", descending=False)) == "abcde"
    assert names(worklist.sorted("seconds"))[3:] == "de"
    assert names(worklist.sorted("suspicion", descending=False)) == "abcde"
    assert names(worklist.sorted("reviewed"))[0] == "b"


def test_everything_is_there_again_and_what_ran_waits(worklist: Worklist, tmp_path: Path) -> None:
    go_through(worklist)
    worklist.mark_reviewed(worklist.rows[0].key)
    assert Worklist.load(tmp_path / "list.json").rows == worklist.rows
    killed = f"{owner()[:-6]}000000"  # had this process's number before a restart
    text = (tmp_path / "list.json").read_text(encoding="utf-8")
    (tmp_path / "list.json").write_text(text.replace(owner(), killed), encoding="utf-8")
    again = Worklist.load(tmp_path / "list.json")
    assert again.rows[:4] == worklist.rows[:4]
    assert again.rows[4] == WorklistRow(worklist.rows[4].slide)
    waiting = again.next_waiting()
    assert waiting is not None
    assert waiting.slide.name == "e.svs"
    assert again.retry_failed() == 1
    assert [row.slide.name for row in Worklist.load(tmp_path / "list.json").rows
            if row.status is RowStatus.WAITING] == ["d.svs", "e.svs"]  # fmt: skip


def test_what_ran_waits_in_other_lists_when_the_run_has_ended(
    worklist: Worklist, tmp_path: Path
) -> None:
    row = worklist.rows[0]
    worklist.begin(row.key)
    first = tmp_path / "list.json"
    # the run of another list is not that of the list into which its slides are taken
    taken = worklist_rows([first]).rows
    assert {found.status for found in taken} == {RowStatus.WAITING}
    assert Worklist.load(first)[row.key].status is RowStatus.RUNNING

    worklist.save(tmp_path / "other.json")  # the first file is not written any more
    seen = Worklist.load(first)
    assert seen[row.key].status is RowStatus.RUNNING
    worklist.finish(row.key, result(0.2), "id")
    assert Worklist.load(first)[row.key] == row
    assert seen.follow()
    assert seen[row.key] == row


def test_the_list_may_move_with_its_slides(worklist: Worklist, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    far = Path(tmp_path.anchor) / "archive" / "x.svs"
    inside = Worklist([WorklistRow(folder / "a.svs"), WorklistRow(far)])
    inside.save(folder / "list.json")
    text = (folder / "list.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    moved = folder.rename(tmp_path / "moved")
    assert [row.slide for row in Worklist.load(moved / "list.json").rows] == [
        moved / "a.svs",
        far,
    ]


@pytest.mark.parametrize("text", ["[]", "{", '{"format": "a shopping list"}'])
def test_what_is_no_worklist(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(ResultError, match="worklist"):
        Worklist.load(tmp_path / "list.json")


def test_an_altered_or_newer_list(worklist: Worklist, tmp_path: Path) -> None:
    data = json.loads((tmp_path / "list.json").read_text())
    for change in (
        {"format_version": 2},
        {"rows": [{"image": 1}]},
        {"rows": [{**data["rows"][0], "status": "lost"}]},
    ):
        (tmp_path / "list.json").write_text(json.dumps({**data, **change}))
        with pytest.raises(ResultError):
            Worklist.load(tmp_path / "list.json")


def test_next_and_previous(worklist: Worklist) -> None:
    go_through(worklist)
    order = worklist.sorted()
    step = worklist.neighbour
    assert step(None, 1) == order[0]
    assert step(order[0].key, 1) == order[1]
    assert step(order[1].key, -1) == order[0]
    assert step(order[0].key, -1) is None
    assert step(order[-1].key, 1) is None


def test_the_summary_is_a_table_for_people(worklist: Worklist, tmp_path: Path) -> None:
    go_through(worklist)
    worklist.add([WorklistRow(tmp_path / "=cmd.svs", name="=1+1")])
    worklist.fail((tmp_path / "=cmd.svs", 1), "-1 is no mpp")
    worklist.write_summary(tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8-sig") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["status"] for line in lines][:3] == ["done", "done", "abstained"]
    assert lines[0]["headline"] == "malignant"
    assert {line["notice"] for line in lines} == {NOTICE}
    assert all(not str(cell).startswith(("=", "-")) for line in lines for cell in line.values())


def test_a_thousand_rows_each_once(tmp_path: Path) -> None:
    many = Worklist(path=tmp_path / "list.json")
    found = rows(tmp_path, *(f"{number}.svs" for number in range(1000)))
    assert (many.add(found), many.add(found)) == (1000, 0)
    for row in found[:20]:
        many.finish(row.key, result(0.5))
    assert len(Worklist.load(tmp_path / "list.json")) == 1000
    many.remove(found[0].key)
    assert found[0].key not in Worklist.load(tmp_path / "list.json")


def test_a_slide_is_listed_once_by_whatever_path(
    worklist: Worklist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "slides"
    for each in (folder, tmp_path / "sub"):
        each.mkdir()
    slide = write_pyramid(folder / "x.tiff", draw_section(300, 300))
    (tmp_path / "linked").symlink_to(folder)
    monkeypatch.chdir(tmp_path / "sub")
    first = worklist.add(worklist_rows([Path("../slides")]).rows)
    worklist.finish(worklist.rows[-1].key, result(0.9), "id")
    again = Worklist.load(tmp_path / "list.json")
    (tmp_path / "table.csv").write_text("slide,mpp\nslides/x.tiff,0.5\n")
    for sources in ([Path("../slides")], [tmp_path / "linked"], [tmp_path / "table.csv", slide]):
        assert again.add(worklist_rows(sources).rows) == 0
    assert (first, len(again)) == (1, 6)
    assert (again.rows[-1].slide, again.rows[-1].result) == (slide, "id")
    once = worklist_rows([tmp_path / "table.csv", Path("../sub/../slides")]).rows
    assert [row.mpp for row in once] == [0.5]


def test_slides_from_folders_tables_and_earlier_lists(worklist: Worklist, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    slide = write_pyramid(folder / "x.tiff", draw_section(300, 300))
    (folder / "notes.txt.bak").write_text("no slide")
    table = tmp_path / "table.csv"
    table.write_text("Path;mpp;image\nslides/x.tiff;0,5;\nslides/y.svs;;2\nNA;;\n")
    worklist.fail(worklist.rows[0].key, "broken")
    found = worklist_rows([folder, table, tmp_path / "list.json"])
    assert [row.key for row in found.rows] == [
        (slide, 1),
        (folder / "y.svs", 2),
        *(row.key for row in worklist.rows),
    ]
    assert found.rows[0].mpp == 0.5
    assert found.rows[2].status is RowStatus.FAILED


def test_each_picture_of_a_file_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    folder.mkdir()
    sections = write_sections(folder / "sections.ome.tif", (512, 600), (768, 400), (600, 640))
    (folder / "broken.svs").write_text("no slide")
    rows = worklist_rows([folder]).rows
    broken = (folder / "broken.svs", 1)
    assert [row.key for row in rows] == [broken, *((sections, n) for n in (1, 2, 3))]
    (tmp_path / "table.csv").write_text("slide,image\nday/sections.ome.tif,2\n")
    assert [row.key for row in worklist_rows([tmp_path / "table.csv"]).rows] == [(sections, 2)]
    (tmp_path / "table.csv").write_text("slide,mpp\nday/sections.ome.tif,0.3\n")
    found = worklist_rows([tmp_path / "table.csv"]).rows
    assert [(row.image, row.mpp) for row in found] == [(1, 0.3), (2, 0.3), (3, 0.3)]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "column of slides"), ("slide,mpp\nx.svs,-1\n", "mpp in row 2"),
     ("slide,image\nx.svs,1.5\n", "image in row 2")],
)  # fmt: skip
def test_tables_that_cannot_be_meant(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(CohortError, match=said):
        worklist_rows([tmp_path / "table.csv"])


def test_slides_of_a_project_with_the_picture_that_it_shows(
    tmp_path: Path, pyramid_slide: Path, aperio_slide: Path
) -> None:
    sections = write_sections(tmp_path / "two.ome.tif", (512, 600), (768, 400))
    gone = server(pyramid_slide, mpp=0.25)
    gone["uri"] = (tmp_path / "gone.svs").as_uri()
    turned = {"builderType": "rotated", "rotation": "ROTATE_90", "builder": server(aperio_slide)}
    project = write_project(
        tmp_path / "p" / "project.qpproj",
        entry(1, server(pyramid_slide)),
        entry(2, server(sections, "--series", "1", size=(768, 400))),
        entry(3, gone),
        entry(4, turned),
    )
    plain, second, missing, rotated = worklist_rows([project]).rows
    assert (plain.slide, plain.shown_name, plain.status) == (pyramid_slide, "image 1", "waiting")
    assert (second.slide, second.image) == (sections, 2)
    assert (missing.status, "no file there" in missing.reason) == (RowStatus.FAILED, True)
    assert (rotated.status, "rotated" in rotated.reason) == (RowStatus.FAILED, True)


def test_an_unusable_image_hides_no_usable_one(tmp_path: Path, pyramid_slide: Path) -> None:
    bad = unusable_images(pyramid_slide, tmp_path)
    project = write_project(tmp_path / "project.qpproj", *bad, entry(1, server(pyramid_slide)))
    found = worklist_rows([project])
    waiting = [row for row in found.rows if row.status is RowStatus.WAITING]
    assert [(row.slide, row.name) for row in waiting] == [(pyramid_slide, "image 1")]
    assert [name for name, _ in found.unusable] == [f"image {11 + i}" for i in range(len(bad))]
    assert all(reason for _, reason in found.unusable)
    none = write_project(tmp_path / "none.qpproj", *bad)
    with pytest.raises(ProjectError, match=r"none\. image 11: .*image 18: "):
        worklist_rows([none])


def two_images(place: Path, slide: Path, before: Path | None = None) -> Path:
    """Write a project of two images of one slide; return its file."""
    uri = before.as_uri() if before else ""
    return write_project(place, entry(1, server(slide)), entry(2, server(slide)), uri=uri)


def test_images_of_a_moved_project_are_the_same(tmp_path: Path, pyramid_slide: Path) -> None:
    listed = Worklist(path=tmp_path / "list.json")
    before = two_images(tmp_path / "before" / "project.qpproj", pyramid_slide)
    assert listed.add(worklist_rows([before]).rows) == 2
    first = listed.rows[0].key
    listed.finish(first, result(0.9), "id-1")
    listed.mark_reviewed(first)
    (tmp_path / "before").rename(tmp_path / "after")
    after = two_images(tmp_path / "after" / "project.qpproj", pyramid_slide, before)
    assert listed.add(worklist_rows([after]).rows) == 0
    for rows in (listed.rows, Worklist.load(tmp_path / "list.json").rows):
        assert [(row.name, row.status, row.reviewed) for row in rows] == [
            ("image 1", RowStatus.DONE, True),
            ("image 2", RowStatus.WAITING, False),
        ]
        assert [row.entry for row in rows] == [row.entry for row in worklist_rows([after]).rows]
    # results from where it lay before are still known, and a copy is another project
    assert first[2] in listed.rows[0].marks
    copied = two_images(tmp_path / "copy" / "project.qpproj", pyramid_slide, after)
    assert listed.add(worklist_rows([copied]).rows) == 2


def test_an_image_that_can_be_read_again_waits_again(tmp_path: Path, pyramid_slide: Path) -> None:
    slide = tmp_path / "slide.tiff"
    project = write_project(
        tmp_path / "project.qpproj",
        entry(1, {**server(pyramid_slide), "uri": slide.as_uri()}),
        entry(2, server(pyramid_slide)),
    )
    listed = Worklist()
    listed.add(worklist_rows([project]).rows)
    failed = next(row for row in listed.rows if row.slide == slide)
    assert "no file there" in failed.reason
    slide.write_bytes(pyramid_slide.read_bytes())
    assert listed.add(worklist_rows([project]).rows) == 0
    assert {(row.status, row.reason) for row in listed.rows} == {(RowStatus.WAITING, "")}
    # and the other way round; a result stays
    slide.unlink()
    listed.add(worklist_rows([project]).rows)
    assert listed.counts()[RowStatus.FAILED] == listed.counts()[RowStatus.WAITING] == 1
    done = next(row for row in listed.rows if row.slide == pyramid_slide)
    listed.finish(done.key, result(0.9))
    listed.add(worklist_rows([project]).rows)
    assert listed[done.key].status is RowStatus.DONE


def test_a_plain_slide_that_failed_waits_when_it_is_added_again(worklist: Worklist) -> None:
    go_through(worklist)
    before = {row.slide: row.status for row in worklist.rows}
    again = [WorklistRow(row.slide) for row in worklist.rows]
    assert worklist.add(again) == 0
    changed = {row.slide.stem for row in worklist.rows if row.status != before[row.slide]}
    assert changed == {"d"}


def test_a_result_of_another_project_fills_no_row(tmp_path: Path, pyramid_slide: Path) -> None:
    """The script in QuPath names its project: an image of another one may have the same ID."""
    mine, other = (
        two_images(tmp_path / name / "project.qpproj", pyramid_slide) for name in ("mine", "other")
    )
    listed = Worklist()
    listed.add(worklist_rows([mine]).rows)
    for project, filled in ((other, None), (mine, "image 1")):
        described = tmp_path / "server.json"
        named = {"path": str(project), "created": 1795637798376, "previous": project.as_uri()}
        about = {"entryID": "1", "project": named, "serverBuilder": server(pyramid_slide)}
        described.write_text(json.dumps(about))
        (target,) = find_targets([described])[1]
        mark = slide_fingerprint(pyramid_slide, 1)
        made = replace(make_result(), settings=with_entry({}, target.entry))
        made = replace(made, slide={**made.slide, "fingerprint": mark})
        made.save(project.parent / "xmag" / "one")
        (taken,) = take_results(listed, [project.parent / "xmag"])
        assert (taken.row and taken.row.name) == filled
        assert bool(taken.why) == (filled is None)
    assert [row.status for row in listed.rows] == [RowStatus.DONE, RowStatus.WAITING]


def test_a_list_that_cannot_be_written_elsewhere_follows_its_file(
    worklist: Worklist, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ExportError):
        worklist.save(tmp_path / "file" / "list.json")
    worklist.mark_reviewed(worklist.rows[0].key)
    assert Worklist.load(tmp_path / "list.json").rows == worklist.rows
