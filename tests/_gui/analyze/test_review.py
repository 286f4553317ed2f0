"""A slide reviewed by keys; what is said and shown is there again, whatever happens."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea, QWidget

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.analyze.widget import AnalyzeWidget
from napari_xmag._gui.shared.neighbour import dock_of
from napari_xmag.analyze.heatmap import HeatMapView, attention_rank
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ExportError
from napari_xmag.geometry import Box
from napari_xmag.review.store import ViewState
from napari_xmag.review.verdicts import Verdict
from napari_xmag.slide.tissue import TissueChoice, find_tissue
from tests._gui.window import Window, colours_of

pytestmark = pytest.mark.window


def test_a_slide_is_reviewed_by_keys_alone(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    whole = window.viewer.scene.camera.zoom
    window.analyze()
    strip, state, table = window.widget.strip, window.widget.state, session.result.patches
    count = len(session.cards)
    assert count > 2

    window.type("N")
    mark = session.mark_layer
    window.type("N", "N", "P")
    assert strip.position.text() == f"2 of {count}"
    assert [button.here for button in strip.patches].index(True) == 1
    patch = session.cards[1].patch
    center = table.y[patch] + table.height[patch] / 2, table.x[patch] + table.width[patch] / 2
    middle = session.layer.data_to_world([value - 0.5 for value in center])
    assert window.viewer.scene.camera.center[-2:] == pytest.approx(middle)
    # The outline is moved, not made anew, and the map steps back from the tissue.
    assert session.mark_layer is mark
    assert mark._extent_data.mean(axis=0) + mark.translate == pytest.approx(middle)
    assert not session.map_layer.visible

    window.type("1")
    assert strip.patches[1].right.isChecked()
    window.type("2")
    assert session.said[patch].verdict is Verdict.WRONG
    window.type("Ctrl+Z")
    assert session.said[patch].verdict is Verdict.RIGHT
    window.type("Ctrl+Shift+Z", "2")  # said again, and taken back
    assert patch not in session.said

    window.type("C")
    assert window.viewer.window._qt_window.focusWidget() is strip.comment
    QTest.keyClicks(strip.comment, "a fold")
    QTest.keyClick(strip.comment, Qt.Key.Key_Return)
    assert session.said[patch].comment == "a fold"

    window.type("M")
    assert session.map_layer.visible
    before = state.opacity
    window.type("-", "-", "=")
    assert state.opacity == pytest.approx(before - 0.1)
    assert session.map_layer.opacity == pytest.approx(state.opacity)

    # What is taken back out of sight is told.
    notification_manager.records.clear()
    window.type("Ctrl+Z", "Ctrl+Shift+Z")
    assert notification_manager.records == []
    window.widget.controller.show_evidence("malignant")
    window.type("Ctrl+Z", "Ctrl+Shift+Z")
    told = [each.message for each in notification_manager.records]
    assert [words.partition(":")[0] for words in told] == ["Undone", "Redone"]
    assert all("by attention" in words for words in told)
    state.view = HeatMapView.RANK
    session.map_layer.opacity = 0.77  # by napari's own slider
    assert window.widget.map.opacity.value() == 77
    window.type("V")
    assert state.view is HeatMapView.RAW

    window.type("H")
    assert window.viewer.scene.camera.zoom == pytest.approx(whole)
    assert session.layer.mode == "pan_zoom"  # 1 and 2 did not reach napari
    window.widget.show_keys()
    assert window.widget.keys_dialog.isVisible()
    window.widget.keys_dialog.reject()


def _no_room(_: object) -> None:
    raise ExportError(expected="room", found="none", hint="Make some.")


def test_words_belong_to_the_place_where_they_were_begun(
    window: Window,
    pyramid_slide: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = window.open(pyramid_slide)
    window.analyze()
    boxes = [session.result.patches.box(card.patch) for card in session.cards]
    # On the grid of another model: shown, and what is said next is said of the same.
    near = Box(boxes[0].x + 20, boxes[0].y + 10, 0.9 * boxes[0].width, 0.9 * boxes[0].height)
    session.history.mark(near, Verdict.RIGHT, view="rank")
    window.widget.controller.places.refresh(session)
    comment, strip = window.widget.strip.comment, window.widget.strip
    window.type("N", "2")
    assert [(said.place, said.verdict) for said in session.store.reviews()] == [
        (near, Verdict.WRONG)
    ]
    window.type("2")
    assert session.store.reviews() == ()
    assert not strip.patches[0].wrong.isChecked()

    QTest.keyClicks(comment, "of the first")
    window.widget.controller.places.step(1)  # nobody pressed Enter
    assert comment.text() == ""
    QTest.keyClicks(comment, "of the second")
    window.analyze()  # a new result comes while one types
    said = {each.place: each.comment for each in session.store.reviews()}
    assert said == {boxes[0]: "of the first", boxes[1]: "of the second"}
    window.type("N")
    with monkeypatch.context() as full:
        full.setattr(session.store, "record", _no_room)
        QTest.keyClicks(comment, "?")
        QTest.keyClick(comment, Qt.Key.Key_Return)
    assert comment.text() == "of the first?"
    assert "of the first?" not in {said.comment for said in session.store.reviews()}
    caplog.clear()  # the traceback of the error holds the window
    window.viewer.window.remove_dock_widget(window.widget)
    assert "of the first?" in {said.comment for said in session.store.reviews()}


def test_a_comment_that_cannot_be_saved_stays_with_its_patch(
    window: Window,
    pyramid_slide: Path,
    single_level_slide: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = window.open(pyramid_slide)
    window.analyze()
    strip, places = window.widget.strip, window.widget.controller.places
    boxes = [one.result.patches.box(card.patch) for card in one.cards]
    with monkeypatch.context() as full:
        full.setattr(one.store, "record", _no_room)
        window.type("N")
        QTest.keyClicks(strip.comment, "of the first")
        window.type("N")
        assert strip.comment.text() == ""
        window.type("P")
        assert strip.comment.text() == "of the first"
        window.type("N")
        QTest.keyClicks(strip.comment, "of the second")
        other = window.open(single_level_slide)
    window.analyze()
    window.type("N")
    assert strip.comment.text() == ""
    window.type("N")
    assert other.store.reviews() == ()

    window.widget.controller.choose_slide(one)
    window.wait(lambda: window.session is one)
    assert strip.comment.text() == "of the second"
    places.step(1)  # there is room again, for all of them
    said = {each.place: each.comment for each in one.store.reviews()}
    assert said == {boxes[0]: "of the first", boxes[1]: "of the second"}

    # While the slide is loaded anew there is nowhere to go.
    places.go_to(0)
    window.widget.desk.reload(one.path, one.image)
    assert not places.go_to(1)
    places.step(1)
    window.wait(lambda: one.result is not None and one.cards)
    caplog.clear()  # the traceback of the error holds the window


def test_a_slide_without_a_result_takes_no_choice_from_another(
    window: Window, pyramid_slide: Path, single_level_slide: Path
) -> None:
    one = window.open(pyramid_slide)
    window.analyze()
    window.wait(lambda: one.shown_id)
    state, control = window.widget.state, window.widget.controller
    other = next(name for name in one.result.classes if name != control.class_of(one))
    control.show_evidence(other)
    window.open(single_level_slide)
    window.wait(lambda: state.class_name == "")
    control.choose_slide(one)
    window.wait(lambda: window.session is one)
    assert state.class_name == other
    assert control.class_of(one) == other


def test_escape_cancels_from_the_canvas(window: Window, sample: Path) -> None:
    window.open(sample)
    session = window.start()
    window.type("Esc")
    window.wait(lambda: session.progress is None)
    assert session.outcome == "Cancelled."


def _check_difference(session: SlideSession, one: SlideResult, other: SlideResult) -> None:
    """Compare patch by patch: both results have the same grid."""
    ranks = [attention_rank(result.patches.attention) for result in (one, other)]
    places = zip(other.patches.row, other.patches.column, strict=True)
    theirs = dict(zip(places, ranks[1], strict=True))
    patches = one.patches
    mine = zip(patches.row, patches.column, strict=True)
    expected = [rank - theirs.get(at, np.nan) for rank, at in zip(ranks[0], mine, strict=True)]
    np.testing.assert_allclose(colours_of(session, patches), expected, atol=1e-6)
    assert tuple(session.map_layer.contrast_limits) == (-1, 1)


def _require_in_sight(window: Window, *parts: QWidget) -> None:
    """Let the panel be as small as a laptop's screen asks; require that nothing is cut."""
    window.viewer.window.resize(1280, 720)
    main = window.viewer.window._qt_window
    main.resizeDocks([dock_of(window.widget)], [320], Qt.Orientation.Horizontal)
    window.wait(lambda: window.widget.width() == 320)
    scroll = window.widget.findChildren(QScrollArea)[0]
    inside, viewport = scroll.widget(), scroll.viewport()
    window.wait(lambda: inside.width() == viewport.width())  # nothing needs more than there is
    for part in parts:
        assert part.isVisible()

    def in_sight(part: QWidget) -> bool:
        top = part.mapTo(viewport, QPoint(0, 0)).y()
        return top >= 0 and top + part.height() <= viewport.height()

    window.wait(lambda: all(in_sight(part) for part in parts), 20_000)


def test_results_live_side_by_side(window: Window, pyramid_slide: Path) -> None:
    session = window.open(pyramid_slide)
    _require_in_sight(window, window.widget.run.button)
    first = window.analyze().result
    window.wait(lambda: session.shown_id)
    kept, panel = window.widget.kept, window.widget.prediction
    window.type("N", "1")
    patch = session.cards[0].patch

    window.widget.controller.tissue.choose(TissueChoice.WHOLE)
    assert "not the area now selected" in kept.stale.text()
    assert not panel.isEnabled()
    second = window.analyze().result
    # No patch of this result is looked at: none is outlined.
    assert (session.place, session.mark_layer.visible) == (None, False)
    window.type("N")
    assert session.mark_layer.visible
    window.wait(lambda: len(session.saved) == 2 and session.shown_id)
    assert panel.isEnabled()
    assert kept.stale.text() == ""
    assert second.tissue_words in panel.about.text()

    window.type("B")
    window.wait(lambda: session.result is not second)
    assert len(session.result.patches) == len(first.patches)
    window.wait(lambda: session.cards)
    assert session.said[patch].verdict is Verdict.RIGHT
    assert kept.results.count() == 2
    assert second.tissue_words in kept.results.itemText(0)

    shown, other = session.result, second
    window.type("D")
    window.wait(lambda: session.compared is not None)
    assert kept.difference.isChecked()
    strip = window.widget.strip.patches[0]
    _require_in_sight(window, kept.difference, window.widget.map.opacity, strip)
    legend = window.widget.map.legend
    # It says what tells the two apart: not the model, which is the same.
    own, other_line = (line.text() for line in legend.compared)
    assert own == f"A: {first.tissue_words}"
    assert other_line == f"B: {second.tissue_words}"
    _check_difference(session, shown, other)
    kept.difference.click()
    assert session.compared is None
    expected = attention_rank(shown.patches.attention)
    np.testing.assert_array_equal(colours_of(session, shown.patches), expected)
    assert not any(line.isVisible() for line in legend.compared)

    # Of the whole slide, only what is tissue of the other result has a difference.
    window.type("B")
    window.wait(lambda: session.shown_id and len(session.result.patches) == len(other.patches))
    window.type("D")
    window.wait(lambda: session.compared is not None and session.compared.scores.mask is not None)
    coloured, tissue = np.isfinite(session.map_layer.data), find_tissue(session.slide)
    assert coloured.any()
    assert not (coloured & ~tissue.pixels).any()
    window.type("D", "B")
    window.wait(lambda: session.shown_id and len(session.result.patches) == len(first.patches))

    kept.delete.click()
    window.wait(lambda: len(session.saved) == 1)
    window.wait(lambda: session.result and len(session.result.patches) == len(second.patches))


def test_a_saved_result_of_another_picture_or_pixel_size_is_not_shown(
    window: Window, pyramid_slide: Path
) -> None:
    session = window.open(pyramid_slide)
    result = window.analyze().result
    window.wait(lambda: session.shown_id)
    shown, store = session.shown_id, session.store
    wider = {**result.slide, "width": result.slide["width"] + 256}
    coarser = {**result.slide, "mpp_x": 0.7, "mpp_y": 0.7}
    for number, (slide, words) in enumerate(((wider, "another image"), (coarser, "0.7 × 0.7"))):
        model = {**result.model, "sha256": f"{number:064}"}
        store.save_result(replace(result, slide=slide, model=model, created=f"{2090 + number}"))
        session.shown_id = ""
        store.save_view(ViewState())  # the newest is shown
        notification_manager.records.clear()
        window.widget.desk.reload(session.path, session.image)
        window.wait(lambda: notification_manager.records)
        (told,) = notification_manager.records
        assert words in told.message
        window.wait(lambda: session.shown_id == shown)  # the newest that fits
        assert session.result.created == result.created
    # Asked for by name it is refused, too, and the choice goes back to what is shown.
    kept = window.widget.kept
    notification_manager.records.clear()
    other = next(item.id for item in session.saved if item.id != shown)
    kept.results.setCurrentIndex(kept.results.findData(other))
    kept.results.activated.emit(kept.results.currentIndex())
    window.wait(lambda: notification_manager.records and kept.results.currentData() == shown)
    assert "has not analyzed" not in kept.stale.text()
    assert (session.shown_id, session.result.created) == (shown, result.created)

    # A result that is damaged hides no other one.
    damaged = store.result_folder(session.saved[0].id) / "tiles.csv"
    damaged.write_text("cut", encoding="utf-8")
    session.shown_id = ""
    store.save_view(ViewState(result=session.saved[0].id))
    for item in session.saved[1:]:
        if item.id != shown:
            store.delete_result(item.id)
    window.widget.desk.reload(session.path, session.image)
    window.wait(lambda: session.shown_id == shown)


def test_only_a_result_of_this_pixel_size_takes_the_place_of_another(
    window: Window, no_mpp_slide: Path
) -> None:
    session, controller = window.open(no_mpp_slide), window.widget.controller
    made = {}
    for mpp in (0.5, 0.4):
        controller.set_pixel_size(mpp)
        window.wait(lambda mpp=mpp: session.mpp and session.mpp.x == mpp and session.store)
        window.wait(lambda: not controller.jobs.running)
        window.analyze()
        window.wait(lambda: session.shown_id)
        made[mpp] = session.shown_id
    # The newest one does not fit: the other one comes.
    controller.set_pixel_size(0.5)
    window.wait(lambda: session.shown_id == made[0.5])
    assert session.result.mpp.x == 0.5
    # The last that fits is deleted: none is shown, and nothing of it stays.
    controller.keeper.delete(session, made[0.5])
    window.wait(lambda: [item.id for item in session.saved] == [made[0.4]])
    window.wait(lambda: not controller.jobs.running)
    assert (session.result, session.shown_id, session.scores) == (None, "", None)
    assert session.map_layer not in window.viewer.layers


_KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
import napari
from qtpy.QtWidgets import QApplication
from napari_xmag._gui.analyze.widget import AnalyzeWidget
from napari_xmag.analyze.heatmap import HeatMapView

def wait(reached):
    while not reached():
        QApplication.processEvents()
        time.sleep(0.01)

viewer = napari.Viewer(show=False)
widget = AnalyzeWidget(viewer)
wait(lambda: widget.state.model)
widget.controller.choose_model("tiny")
widget.state.view = HeatMapView.RANK
viewer.open(sys.argv[1], plugin="napari-xmag")
session = widget.state.current
wait(lambda: session.slide is not None)
widget.controller.tissue.draw()
session.regions_layer.add_polygons([[[300, 400], [300, 2600], [1800, 2600], [1800, 400]]])
widget.controller.analyze()
wait(lambda: session.shown_id and session.cards)
widget.state.opacity = 0.25
widget.strip.patches[0].picture.click()
widget.strip.patches[0].wrong.click()
kept = Path(os.environ["NAPARI_XMAG_HOME"]) / "reviews"
wait(lambda: any('"wrong"' in path.read_text() for path in kept.rglob("places.jsonl")))
wait(lambda: any("0.25" in path.read_text() for path in kept.rglob("view.json")))
wait(lambda: any("2600" in path.read_text() for path in kept.rglob("regions.json")))
print(session.result.created, session.cards[0].patch, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.usefixtures("graphs_of_children")
def test_all_is_there_again_after_a_crash(window: Window, pyramid_slide: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, pyramid_slide], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    created, patch = done.stdout.split()

    session = window.open(pyramid_slide)
    window.wait(lambda: session.cards)

    assert session.result.created == created
    assert session.said[int(patch)].verdict is Verdict.WRONG
    assert window.widget.strip.patches[0].wrong.isChecked()
    assert window.widget.map.opacity.value() == 25
    assert session.tissue is TissueChoice.REGIONS
    (polygon,) = session.regions_layer.data
    assert polygon.min(axis=0) == pytest.approx((300, 400))
    assert polygon.max(axis=0) == pytest.approx((1800, 2600))
    assert window.widget.kept.stale.text() == ""


def test_closing_the_dock_loses_nothing(window: Window, pyramid_slide: Path, qtbot: QtBot) -> None:
    session = window.open(pyramid_slide)
    result = window.analyze().result
    window.wait(lambda: session.shown_id)
    window.type("N", "2")
    patch = session.cards[0].patch
    window.viewer.window.remove_dock_widget(window.widget)
    assert "N" not in {str(key) for key in window.viewer.keymap}

    again = AnalyzeWidget(window.viewer)
    window.viewer.window.add_dock_widget(again, name="Analyze slide")
    window.wait(lambda: again.state.current.cards)
    restored = again.state.current
    assert restored.result.created == result.created
    assert restored.said[patch].verdict is Verdict.WRONG
    again.shut_down()


def test_how_a_slide_is_shown_is_its_own(
    window: Window, pyramid_slide: Path, single_level_slide: Path
) -> None:
    state = window.widget.state
    one = window.open(pyramid_slide)
    window.analyze()
    state.opacity, state.class_name = 0.3, "benign"
    window.wait(lambda: one.shown_id and one.store.view().class_name == "benign")
    window.open(single_level_slide)
    window.wait(lambda: state.class_name == "")  # nothing was chosen for this one
    state.opacity = 0.9
    one.shown_id = "another"  # as when a run ends that is out of sight
    window.wait(lambda: one.store.view().result == "another")
    assert (one.store.view().opacity, one.store.view().class_name) == (0.3, "benign")
