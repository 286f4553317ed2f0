"""Train and Analyze in one napari window: results are looked at, models used, slides handed on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from napari import Viewer
from napari._qt._qplugins._qnpe2 import _toggle_or_get_widget
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_xmag._gui.shared.dock import dock_of
from napari_xmag._gui.shared.neighbour import ANALYZE, TRAIN, find, open_beside
from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.nets.encoder import load_encoder
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.run import train
from napari_xmag.zoo import list_models
from tests._gui.desk import QUICK, Desk
from tests._gui.window import PATIENCE, Window

pytestmark = [pytest.mark.window, pytest.mark.usefixtures("blank_plots")]


@pytest.fixture(scope="session")
def run_folder(
    cohort_table: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of a training that has ended; made once for all tests."""
    out = tmp_path_factory.mktemp("training") / "run"
    config = TrainConfig.model_validate(QUICK)
    finish(train(read_cohort(cohort_table), load_encoder(tiny_folder), out, config))
    return out


@pytest.fixture
def trained(window: Window, run_folder: Path) -> Iterator[Desk]:
    """The Train widget beside Analyze in a napari window, showing the finished training."""
    main = window.widget.main_window()
    widget = open_beside(window.viewer, main, TRAIN)
    desk = Desk(widget, window.bot)
    widget.controller.open_run(run_folder)
    desk.wait(lambda: widget.state.record is not None)
    yield desk
    widget.shut_down()


def test_a_result_is_looked_at_and_its_model_used(
    window: Window, trained: Desk, run_folder: Path, cohort_table: Path
) -> None:
    result = trained.widget.result
    record = trained.widget.state.record

    # The matrix counts the slides of the chosen split; a cell lists its own.
    split = result.splits.currentData()
    assert split == "test"
    counts = {key: int(cell.text()) for key, cell in result.matrix.cells.items()}
    assert sum(counts.values()) == sum(item.split == split for item in record.predictions)
    truth, predicted = next(key for key, count in counts.items() if count)
    result.matrix.cells[truth, predicted].click()
    assert result.slides.rowCount() == counts[truth, predicted]
    assert {result.slides.item(i, 1).text() for i in range(result.slides.rowCount())} == {truth}

    # A click on a slide opens it with the map of this very model.
    item = record.slides(split, truth, predicted)[0]
    place = next(
        i
        for i in range(result.slides.rowCount())
        if result.slides.item(i, 0).text() == item.slide.name
    )
    result.slides.cellClicked.emit(place, 0)
    window.wait(lambda: window.widget.state.current and window.session.cards)
    assert window.session.path == item.slide
    assert window.session.map_layer in window.viewer.layers
    assert window.session.result.model["name"] == "learned"
    shown = window.session.result.probabilities
    assert shown == pytest.approx(item.probabilities, abs=1e-3)

    # Use in Analyze: the model is the user's own from now on, and chosen.
    result.use.click()
    window.wait(lambda: window.widget.state.model == "learned")
    assert "learned" in {entry.name for entry in list_models()}
    chooser = window.widget.chooser.models
    assert chooser.currentData() == "learned"
    assert window.widget.run.button.isEnabled()


def test_a_reviewed_slide_becomes_a_row(window: Window, trained: Desk, no_mpp_slide: Path) -> None:
    session = window.open(no_mpp_slide)
    window.widget.controller.set_pixel_size(0.5)
    window.wait(lambda: session.slide.mpp is not None)
    window.analyze()
    window.widget.strip.patches[0].right.click()
    panel = window.widget.label
    assert "1 right and 0 wrong" in panel.words.text()
    assert session.result.abstained
    assert panel.label.currentText() == ""  # no label comes from a prediction that means nothing
    assert not panel.button.isEnabled()
    panel.label.setEditText("malignant")
    panel.button.click()
    (row,) = trained.widget.state.rows
    assert (row.slide, row.label, row.mpp) == (no_mpp_slide, "malignant", 0.5)

    panel.label.setEditText("something else")
    panel.button.click()
    (row,) = trained.widget.state.rows
    assert row.label == "something else"
    # The same from the other side: only an answer is offered there.
    trained.widget.cohort.label.setEditText("")
    trained.widget.show_slides()
    assert trained.widget.cohort.label.currentText() == ""


@pytest.fixture
def training(
    make_napari_viewer: object,
    qtbot: QtBot,
    models: Path,
    cohort_table: Path,
    in_this_process: None,
    tmp_path: Path,
) -> Desk:
    """The Train widget in a napari window, with a training under way that lasts."""
    viewer: Viewer = make_napari_viewer(show=True)
    widget = open_beside(viewer, viewer.window._qt_window, TRAIN)
    desk = Desk(widget, qtbot)
    desk.wait(lambda: widget.state.encoders)
    widget.state.encoder, widget.state.out = "tiny", tmp_path / "run"
    desk.load(cohort_table)
    desk.set(**QUICK)
    desk.set(fit={"epochs": 5000})
    desk.press()
    desk.wait(lambda: widget.controller.curves.stages)
    return desk


def agree_to_close(desk: Desk) -> None:
    """Answer the question that is shown with yes."""
    buttons = desk.widget.question.buttons()
    next(button for button in buttons if "close" in button.text()).click()


def test_closing_during_a_training_asks_and_ends_cleanly(
    training: Desk, qtbot: QtBot, tmp_path: Path
) -> None:
    widget = training.widget
    (job,) = widget.controller.jobs.running
    main = widget.main_window()
    # Hidden only, so that the fixture can close and delete it.
    main.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)

    main.close()
    assert main.isVisible()
    widget.question.reject()
    assert widget.controller.busy

    main.close()
    agree_to_close(training)
    qtbot.waitUntil(lambda: not main.isVisible(), timeout=PATIENCE)
    assert job.wait(PATIENCE / 1000)
    assert not widget.controller.busy
    assert list((tmp_path / "run").rglob("checkpoints/*.safetensors"))
    main.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, True)


@pytest.mark.parametrize("floating", [False, True])
def test_closing_the_dock_during_a_training_asks(
    training: Desk, tmp_path: Path, floating: bool
) -> None:
    widget = training.widget
    (job,) = widget.controller.jobs.running
    dock = dock_of(widget)
    dock.setFloating(floating)
    training.wait(lambda: dock.isFloating() == floating)
    training.wait(lambda: dock.title.close_button.isVisible())

    dock.title.close_button.click()
    widget.question.reject()
    assert widget.controller.busy
    assert dock.isVisible()

    dock.title.close_button.click()
    gone = []
    widget.destroyed.connect(lambda: gone.append(True))
    agree_to_close(training)
    training.wait(lambda: gone)
    assert job.wait(PATIENCE / 1000)
    assert list((tmp_path / "run").rglob("checkpoints/*.safetensors"))


def test_a_dock_closes_without_a_question_once_the_training_is_over(training: Desk) -> None:
    widget = training.widget
    dock = dock_of(widget)
    dock.title.close_button.click()
    widget.controller.cancel()
    training.wait(lambda: not widget.controller.busy)
    gone = []
    widget.destroyed.connect(lambda: gone.append(True))
    agree_to_close(training)  # the training ended behind the question
    training.wait(lambda: gone)


def test_a_hidden_training_goes_on_and_tells_its_end(training: Desk) -> None:
    widget = training.widget
    told = notification_manager.records
    dock = dock_of(widget)
    dock.title.hide_button.click()
    assert not dock.isVisible()
    assert "shows it again" in told[-1].message
    epochs = len(widget.controller.curves.stages)
    training.wait(lambda: len(widget.controller.curves.stages) > epochs)

    widget.controller.cancel()
    training.wait(lambda: not widget.controller.busy)
    assert told[-1].message == widget.state.outcome
    assert told[-1].message.startswith("Cancelled.")

    _toggle_or_get_widget("napari-xmag", "Train", "Train (XMAG)")  # what the menu does
    assert dock.isVisible()


def test_both_widgets_share_one_place(window: Window, trained: Desk) -> None:
    main = window.widget.main_window()
    assert find(main, ANALYZE) is window.widget
    assert find(main, TRAIN) is trained.widget
    analyze, train_dock = (widget.parent() for widget in (window.widget, trained.widget))
    assert train_dock in main.tabifiedDockWidgets(analyze)
