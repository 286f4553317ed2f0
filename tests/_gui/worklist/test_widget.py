"""A list of slides, analyzed in the background and reviewed with keys alone."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_xmag._gui.analyze.tasks import Analysis, ModelShelf
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.worklist import tasks
from napari_xmag._gui.worklist.runner import Runner
from napari_xmag._gui.worklist.table import REVIEWED
from napari_xmag._gui.worklist.widget import WorklistWidget
from napari_xmag.analyze.events import Waiting
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import CohortError, ExportError
from napari_xmag.files import real_path
from napari_xmag.geometry import Mpp
from napari_xmag.result_keys import with_entry
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import Verdict
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_file import read_rows
from napari_xmag.review.worklist_row import RowStatus, WorklistRow
from napari_xmag.slide.tissue import TissueChoice
from tests._gui.window import Window
from tests.analyze.test_result import make_result
from tests.qupath.projects import write_sections

pytestmark = pytest.mark.window


def rows(count: int) -> list[WorklistRow]:
    """Return slides of every status, with suspicions in no order."""
    kinds = list(RowStatus)
    return [
        WorklistRow(
            Path(f"slides/case-{number}.svs"),
            status=kinds[number % len(kinds)],
            suspicion=(number * 37 % 101) / 101 if number % len(kinds) == 0 else None,
        )
        for number in range(count)
    ]


def test_a_thousand_rows_are_sorted_and_keep_the_selection(qtbot: QtBot) -> None:
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.worklist = Worklist(rows(1000))
    widget.table.show_list(widget.worklist)
    widget.show()

    shown = widget.table.rows
    answered = [row.suspicion for row in shown if row.suspicion is not None]
    assert [row.suspicion for row in shown[: len(answered)]] == sorted(answered, reverse=True)
    widget.view.selectRow(3)
    widget.table.sort(0, Qt.SortOrder.AscendingOrder)
    names = [row.shown_name for row in widget.table.rows]
    assert names == sorted(names)
    (selected,) = widget.view.selectionModel().selectedRows()
    assert widget.table.rows[selected.row()] == shown[3]
    # Only what is in sight is asked for, whatever the length of the list.
    asked = []
    data = widget.table.data
    widget.table.data = lambda index, role=0: asked.append(index.row()) or data(index, role)
    widget.view.viewport().repaint()
    assert len(set(asked)) < 30
    widget.shut_down()


def test_a_tick_in_the_table_is_a_review(qtbot: QtBot) -> None:
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.worklist = Worklist(rows(5))
    widget.table.show_list(widget.worklist)
    index = widget.table.index(2, REVIEWED)
    widget.table.setData(index, Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    assert [row.reviewed for row in widget.table.rows].count(True) == 1
    assert widget.table.rows[2].reviewed
    names = [widget.table.index(row, 0).data() for row in range(5)]
    assert [name.startswith("✓ ") for name in names] == [row == 2 for row in range(5)]
    assert "1 reviewed" in widget.words.text()
    widget.shut_down()


@dataclass(frozen=True)
class SlowRun:
    """A run; how many slides were under way as each began; what lets them end."""

    runner: Runner
    jobs: Jobs
    at_once: list[int]
    go_on: Event


def _raise(error: Exception) -> None:
    raise error


class Desk:
    """Notes what the worklist asks of *Analyze slide*."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def in_sight(self) -> tuple[Path, int] | None:
        return None

    def show_slide(self, path: Path, image: int) -> None:
        self.asked.append(("show", path.name))

    def close_slide(self, path: Path, image: int) -> None:
        self.asked.append(("close", path.name))

    def reload(self, path: Path, image: int) -> None:
        self.asked.append(("reload", path.name))


def test_images_that_show_one_slide_come_with_their_own_results(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, store = Desk(), ReviewStore("abc")
    monkeypatch.setattr("napari_xmag._gui.worklist.widget.open_analyze", lambda *_: desk)
    ids = [
        store.save_result(replace(make_result(), settings=with_entry({}, entry)))
        for entry in ("left", "right")
    ]
    slide = WorklistRow(Path("a.svs"), fingerprint="abc")
    images = [
        replace(slide, entry=entry, result=name)
        for entry, name in zip(("left", "right"), ids, strict=True)
    ]
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.worklist = Worklist([*images, WorklistRow(Path("b.svs"))])
    for row, name in zip(images, ids, strict=True):
        widget.show_row(row)
        assert store.view().result == name
    widget.show_row(widget.worklist.rows[2])
    calls = ["show a.svs", "show a.svs", "reload a.svs", "show b.svs", "close a.svs"]
    assert [" ".join(call) for call in desk.asked] == calls
    widget.shut_down()


@pytest.fixture
def listed(window: Window) -> Iterator[WorklistWidget]:
    """The worklist beside *Analyze slide* in one window."""
    widget = WorklistWidget(window.viewer)
    window.viewer.window.add_dock_widget(widget, name="Worklist")
    yield widget
    widget.shut_down()


def test_slides_are_analysed_paused_and_reviewed_by_keys(
    window: Window,
    listed: WorklistWidget,
    pyramid_slide: Path,
    single_level_slide: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_text("no slide")
    listed.add_slides([pyramid_slide, single_level_slide, broken])
    window.wait(lambda: len(listed.worklist) == 3)
    listed.worklist.save(tmp_path / "list.json")

    window.go_on.clear()  # the first slide is held up after some tiles
    listed.buttons["Run"].click()
    first = listed.worklist.rows[0].key
    window.wait(lambda: listed.worklist[first].status is RowStatus.RUNNING)
    window.wait(lambda: "tiles" in listed.words.text())
    listed.buttons["Run"].click()
    window.wait(lambda: listed.worklist[first].status is RowStatus.WAITING)
    assert not listed.runner.running

    window.go_on.set()
    listed.buttons["Run"].click()
    window.wait(lambda: not listed.runner.running)
    counts = listed.worklist.counts()
    assert (counts[RowStatus.ABSTAINED], counts[RowStatus.FAILED]) == (2, 1)
    failed = next(row for row in listed.worklist.rows if row.status is RowStatus.FAILED)
    assert failed.slide == broken
    assert failed.reason.startswith("Expected a whole slide that can be read, but found")

    window.type("W")
    window.wait(lambda: window.widget.state.current and window.session.cards)
    one = window.session
    window.type("N", "1", "R", "W")
    window.wait(lambda: window.session is not one and window.session.cards)
    assert {one.path, window.session.path} == {pyramid_slide, single_level_slide}
    # The slide before made room, and nothing of it is lost.
    assert window.widget.state.sessions == (window.session,)
    window.type("Shift+W")
    window.wait(lambda: window.session.path == one.path and window.session.said)
    (said,) = window.session.said.values()
    assert said.verdict is Verdict.RIGHT

    saved = Worklist.load(tmp_path / "list.json")
    assert {row.slide: row.reviewed for row in saved.rows}[one.path]

    # What cannot be opened, or has gone, takes the place of the slide before: R is not about that.
    broken.unlink()
    listed.show_row(failed)
    window.wait(lambda: window.widget.state.current is None)
    window.type("R")
    assert [row.slide for row in listed.worklist.rows if row.reviewed] == [one.path, broken]
    (selected,) = listed.view.selectionModel().selectedRows()
    assert listed.table.rows[selected.row()].slide == broken
    # A slide that is chosen without the list is the one that R is about.
    window.open(single_level_slide if one.path == pyramid_slide else pyramid_slide)
    window.type("R")
    assert all(row.reviewed for row in listed.worklist.rows)
    copy = window.open(Path(shutil.copy(one.path, tmp_path / "copy.tiff")))
    window.wait(lambda: copy.store is not None)
    window.type("R")  # it is the same slide
    assert [row.slide for row in listed.worklist.rows if not row.reviewed] == [one.path]
    assert listed.worklist.retry_failed() == 1
    caplog.clear()  # the traceback of the error holds the window


def test_each_row_shows_its_own_picture_alone(
    window: Window,
    listed: WorklistWidget,
    single_level_slide: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sizes = ((512, 600), (768, 400), (600, 640))
    sections = write_sections(tmp_path / "sections.ome.tif", *sizes)
    broken = tmp_path / "broken.svs"
    broken.write_text("no slide")
    found = [WorklistRow(sections, number) for number in (1, 2, 3)]
    missing = [WorklistRow(broken), WorklistRow(sections, 7)]
    listed.worklist.add([*found, *missing])
    listed.table.refresh()
    viewer, state = window.viewer, window.widget.state
    for row, (width, height) in zip(found, sizes, strict=True):
        listed.show_row(row)
        (layer,) = viewer.layers
        assert (layer.visible, layer.data[0].shape) == (True, (height, width, 3))
        assert (window.session.path, window.session.image) == row.picture

    # By a link it is the same slide: it is not opened again, and R is about its row.
    link = tmp_path / "link.ome.tif"
    link.symlink_to(sections)
    listed.show_row(WorklistRow(link, 3))
    (layer,) = viewer.layers
    viewer.layers.clear()
    viewer.open(link, plugin="napari-xmag")
    assert (window.session.path, window.session.image) == (link, 1)
    listed.current = None
    window.type("R")
    assert [row.key for row in listed.worklist.rows if row.reviewed] == [found[0].key]

    # Of what cannot be opened nothing is shown, and no other slide in its place.
    viewer.open(single_level_slide, plugin="napari-xmag")
    for row in missing:
        listed.show_row(row)
        assert state.current is None
        assert not any(layer.visible for layer in viewer.layers)
        window.type("R")
        assert listed.worklist[row.key].reviewed
    viewer.layers[-1].visible = True
    assert window.session.path == single_level_slide
    caplog.clear()  # the traceback of the error holds the window


def test_a_pixel_size_of_a_table_is_known_to_a_slide_that_is_open(
    window: Window, listed: WorklistWidget, no_mpp_slide: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"slide,mpp\n{no_mpp_slide},0.5\n", encoding="utf-8")
    listed.add_slides([table])
    window.wait(lambda: len(listed.worklist) == 1)
    window.type("W")
    window.wait(lambda: window.widget.state.current and window.session.slide)
    assert window.session.mpp is None
    listed.buttons["Run"].click()
    window.wait(lambda: window.session.result)
    assert window.session.mpp == Mpp(0.5, 0.5)
    assert window.session.layer.scale == pytest.approx((0.5, 0.5))

    # What is analyzed by hand after the run failed is no failure any more.
    (row,) = listed.worklist.rows
    window.wait(lambda: not listed.runner.running)
    listed.worklist.fail(row.key, "It was out of reach.")
    listed.table.refresh()
    session = window.analyze()
    window.wait(lambda: listed.worklist[row.key].status is not RowStatus.FAILED)
    taken = listed.worklist[row.key]
    assert (taken.result, taken.headline) == (session.shown_id, session.result.headline)


def test_a_slide_that_waits_takes_only_what_the_run_would_make(
    window: Window, listed: WorklistWidget, pyramid_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.open(pyramid_slide)
    window.wait(lambda: session.store is not None)
    listed.worklist.add([WorklistRow(pyramid_slide)])
    (key,) = (row.key for row in listed.worklist.rows)
    height, width = session.layer.data[0].shape[:2]
    window.widget.controller.tissue.draw()
    corners = ((0.3, 0.3), (0.3, 0.6), (0.6, 0.6), (0.6, 0.3))
    session.regions_layer.add_polygons([np.array(corners) * (height, width)])
    window.analyze()
    window.wait(lambda: session.shown_id)
    listed.follow()
    assert listed.worklist[key].status is RowStatus.WAITING  # a part is not the slide

    window.widget.controller.tissue.choose(TissueChoice.AUTO)
    desk = window.widget.desk
    with monkeypatch.context() as other:
        other.setattr(type(desk), "model_digest", lambda _: "another model")
        window.analyze()
        window.wait(lambda: session.shown_id)
        listed.follow()
        assert listed.worklist[key].status is RowStatus.WAITING
    window.analyze()
    window.wait(lambda: session.shown_id)
    listed.follow()
    assert listed.worklist[key].result == session.shown_id


def test_words_of_a_search_go_when_it_fails(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> Iterator[object]:
        yield Waiting("Looking for slides")
        raise CohortError(expected="a table", found="none", hint="Choose another file.")

    told: list[Exception] = []
    monkeypatch.setattr("napari_xmag._gui.worklist.widget.tell_error", told.append)
    monkeypatch.setattr(tasks, "find_rows", failing)
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    before = widget.words.text()
    widget.add_slides([tmp_path])
    qtbot.waitUntil(lambda: bool(told) and not widget.jobs.running)
    assert widget.words.text() == before
    widget.shut_down()


def test_paths_of_a_long_list_are_followed_once(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    monkeypatch.setattr("napari_xmag._gui.worklist.widget.open_analyze", lambda *_: desk)
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    link = tmp_path / "link.svs"
    link.symlink_to(tmp_path / "7.svs")
    found = [WorklistRow(tmp_path / f"{n}.svs", fingerprint=f"{n}", result="1") for n in range(50)]
    widget.worklist = Worklist(found)
    widget.table.show_list(widget.worklist)
    followed: list[Path] = []

    def follow(path: Path) -> Path:
        followed.append(path)
        return real_path(path)

    for module in ("review.worklist", "files"):
        monkeypatch.setattr(f"napari_xmag.{module}.real_path", follow)
    widget.step(1)
    widget.step(1)
    assert len(followed) <= 4
    assert [row.slide.name for row in widget.worklist.showing((link, 1))] == ["7.svs"]
    followed.clear()
    assert widget.worklist.showing((tmp_path / "elsewhere.svs", 1)) == ()
    assert followed == [tmp_path / "elsewhere.svs"]
    widget.shut_down()


def test_a_run_goes_on_where_the_list_cannot_be_saved(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def analyze(row: WorklistRow, _: object) -> Iterator[object]:
        yield tasks.RowAnalyzed(make_result(), row.slide.name)

    monkeypatch.setattr(tasks, "analyze_row", analyze)
    told: list[Exception] = []
    jobs = Jobs(told.append)
    runner = Runner(jobs, lambda: Analysis("tiny", AnalyzeSettings(), ModelShelf()), told.append)
    runner.worklist = Worklist(WorklistRow(tmp_path / f"{number}.svs") for number in range(3))
    folder = tmp_path / "share"
    runner.worklist.save(folder / "list.json")
    folder.rename(tmp_path / "away")
    folder.write_text("The share is gone.")
    runner.start()
    qtbot.waitUntil(lambda: not runner.running and not jobs.running)
    assert [row.result for row in runner.worklist.rows] == ["0.svs", "1.svs", "2.svs"]
    assert [type(error) for error in told] == [ExportError]
    folder.unlink()
    (tmp_path / "away").rename(folder)
    runner.worklist.mark_reviewed(runner.worklist.rows[0].key)
    assert Worklist.load(folder / "list.json").rows == runner.worklist.rows


@pytest.fixture
def slow_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowRun]:
    """A run through a saved list whose slides take until ``go_on``."""
    at_once: list[int] = []
    now: set[str] = set()
    go_on = Event()

    def analyze(row: WorklistRow, _: object) -> Iterator[object]:
        now.add(row.slide.name)
        at_once.append(len(now))
        try:
            while not go_on.wait(0.01):
                yield None
            yield tasks.RowAnalyzed(make_result(), row.slide.name)
        finally:
            now.discard(row.slide.name)

    monkeypatch.setattr(tasks, "analyze_row", analyze)
    Worklist(WorklistRow(tmp_path / f"{number}.svs") for number in range(3)).save(
        tmp_path / "list.json"
    )
    jobs = Jobs(_raise)
    runner = Runner(jobs, lambda: Analysis("tiny", AnalyzeSettings(), ModelShelf()), _raise)
    runner.worklist = Worklist.load(tmp_path / "list.json")
    yield SlowRun(runner, jobs, at_once, go_on)
    jobs.stop_all()


def test_run_at_once_after_pause_analyzes_one_slide_at_a_time(
    qtbot: QtBot, slow_run: SlowRun
) -> None:
    slow_run.runner.start()
    qtbot.waitUntil(lambda: bool(slow_run.at_once))
    slow_run.runner.pause()
    slow_run.runner.start()
    slow_run.go_on.set()
    qtbot.waitUntil(lambda: not slow_run.runner.running and not slow_run.jobs.running)
    assert set(slow_run.at_once) == {1}
    assert [row.result for row in slow_run.runner.worklist.rows] == ["0.svs", "1.svs", "2.svs"]


def test_a_slide_waits_again_for_all_when_its_window_is_closed(
    qtbot: QtBot, slow_run: SlowRun
) -> None:
    path = slow_run.runner.worklist.path
    slow_run.runner.start()
    qtbot.waitUntil(lambda: bool(slow_run.at_once))
    slow_run.runner.close()
    slow_run.jobs.stop_all()
    assert [row.status for row in read_rows(path, live=True)] == [RowStatus.WAITING] * 3


def test_what_another_window_analyzes_is_left_to_it(qtbot: QtBot, slow_run: SlowRun) -> None:
    runner = slow_run.runner
    other = Worklist.load(runner.worklist.path)
    other.begin(other.rows[0].key)
    slow_run.go_on.set()
    runner.start()
    qtbot.waitUntil(lambda: not runner.running and not slow_run.jobs.running)
    assert [row.result for row in runner.worklist.rows] == ["", "1.svs", "2.svs"]
    assert runner.worklist.rows[0].status is RowStatus.RUNNING


def test_what_another_window_writes_is_shown(qtbot: QtBot, tmp_path: Path) -> None:
    Worklist(rows(3)[2:]).save(tmp_path / "list.json")
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.add_slides([tmp_path / "list.json"])
    other = Worklist.load(tmp_path / "list.json")
    other.retry_failed()
    other.add([WorklistRow(tmp_path / "new.svs")])
    other.begin(other.rows[1].key)
    qtbot.waitUntil(lambda: len(widget.table.rows) == 2)  # without a word from anybody
    assert widget.words.text() == "1 running · 1 waiting"
    assert widget.buttons["Run"].isEnabled()
    widget.shut_down()


def test_a_list_is_not_replaced_without_a_question(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "day.2"), ""))
    path = tmp_path / "day.2.json"
    Worklist(rows(3)).save(path)
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    for expected in (3, 0):
        widget.buttons["Save list …"].click()
        assert len(Worklist.load(path)) == expected
    widget.buttons["Save list …"].click()  # the file that it follows: nothing to ask
    assert answers == []
    widget.shut_down()


def test_slides_of_one_name_are_told_apart_by_their_folders(qtbot: QtBot) -> None:
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    places = ("a/2026/case.svs", "b/2026/case.svs", "b/2025/case.svs", "b/other.svs")
    images = [WorklistRow(Path("c/one.svs"), name="Image", entry=entry) for entry in ("1", "2")]
    widget.worklist = Worklist([*(WorklistRow(Path(place)) for place in places), *images])
    widget.table.show_list(widget.worklist)
    shown = {widget.table.index(row, 0).data() for row in range(len(widget.table.rows))}
    assert shown == {*places[:3], "other.svs", "Image"}
    widget.shut_down()


def test_slides_with_names_that_begin_alike_look_different(qtbot: QtBot) -> None:
    widget = WorklistWidget(ViewerModel())
    qtbot.addWidget(widget)
    names = ("crowded-01.svs", "crowded-02.svs")
    widget.worklist = Worklist([WorklistRow(Path("slides") / name) for name in names])
    widget.table.show_list(widget.worklist)
    picture = QPixmap(tasks.THUMBNAIL_PX, tasks.THUMBNAIL_PX)
    picture.fill(Qt.GlobalColor.white)
    for row in widget.worklist.rows:
        widget.table.show_thumbnail(row.key, QIcon(picture))
    widget.resize(320, 400)
    widget.show()
    view = widget.view
    cells = [
        view.viewport().grab(view.visualRect(widget.table.index(row, 0))).toImage()
        for row in range(len(names))
    ]
    assert cells[0] != cells[1]
    widget.shut_down()
