"""The mouse wheel scrolls panels and changes no input that is not at work."""

from collections.abc import Iterator
from typing import Any

import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QScrollArea,
    QSlider,
    QSpinBox,
    QTabBar,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledSlider

from napari_xmag._gui.analyze.dialogs.export import ExportDialog
from napari_xmag._gui.shared.wheel import guard_wheel
from napari_xmag._gui.train.widget import TrainWidget
from tests._gui.desk import Desk
from tests._gui.window import Window

pytestmark = pytest.mark.window


def turn_wheel(widget: QWidget, notches: int = -1) -> None:
    """Turn the mouse wheel over the middle of a widget that is in sight."""
    window = widget.window()
    middle = QPointF(widget.mapTo(window, widget.rect().center()))
    QTest.wheelEvent(window.windowHandle(), middle, QPoint(0, 120 * notches))


def send_wheel(widget: QWidget, notches: int) -> None:
    """Turn the mouse wheel over a widget, in sight or not."""
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        widget.mapToGlobal(middle),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def inputs(panel: QWidget) -> Iterator[tuple[QWidget, Any]]:
    """Find all inputs in a panel that a wheel could change, each with how it is read."""
    for widget in panel.findChildren(QWidget):
        if isinstance(widget, QComboBox | QTabBar):
            yield widget, widget.currentIndex
        elif isinstance(widget, QSlider | QAbstractSpinBox | QLabeledSlider):
            yield widget, widget.value


@pytest.fixture
def page(qtbot: QtBot) -> QScrollArea:
    """A scrolled panel with a combo box, a slider and a spin box."""
    inside = QWidget()
    layout = QVBoxLayout(inside)
    combo, number = QComboBox(), QSpinBox()
    combo.addItems(["a", "b", "c"])
    slider = QLabeledSlider(Qt.Orientation.Horizontal)
    for widget in (combo, number, slider):
        layout.addWidget(widget)
    layout.addStretch()
    inside.setMinimumHeight(2000)
    area = QScrollArea()
    area.setWidget(inside)
    area.setWidgetResizable(True)
    guard_wheel(area)
    qtbot.addWidget(area)
    area.resize(300, 200)
    area.show()
    qtbot.waitExposed(area)
    area.setFocus()
    return area


def test_the_panel_scrolls_and_its_inputs_stay(page: QScrollArea) -> None:
    bar = page.verticalScrollBar()
    for widget, read in inputs(page):
        bar.setValue(0)
        before = read()
        turn_wheel(widget)
        assert read() == before, widget
        assert bar.value() > 0, widget
        assert not widget.hasFocus()


def test_an_input_with_the_focus_follows_the_wheel(page: QScrollArea, qtbot: QtBot) -> None:
    number = page.findChild(QSpinBox)
    page.activateWindow()
    number.setFocus()
    qtbot.waitUntil(number.hasFocus)
    turn_wheel(number, 1)
    assert number.value() == 1


def assert_deaf(panel: QWidget, least: int) -> None:
    found = list(inputs(panel))
    assert len(found) >= least
    for widget, read in found:
        assert widget.focusPolicy() != Qt.FocusPolicy.WheelFocus
        before = read()
        for notches in (-1, 1, 1):
            send_wheel(widget, notches)
            assert read() == before, (widget, widget.accessibleName(), widget.toolTip())


def test_analyze_is_deaf_to_the_wheel(window: Window, aperio_slide: object) -> None:
    window.open(aperio_slide)
    window.analyze()
    window.viewer.window._qt_window.setFocus()
    assert_deaf(window.widget, 8)


def test_train_is_deaf_to_the_wheel(desk: Desk) -> None:
    desk.widget.settings.form.advanced.expand()
    desk.widget.setFocus()
    assert_deaf(desk.widget, 20)


def test_export_is_deaf_to_the_wheel(qtbot: QtBot, tmp_path: object) -> None:
    dialog = ExportDialog(tmp_path, has_bounds=True)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.setFocus()
    assert_deaf(dialog, 1)


def test_widgets_are_guarded_before_they_are_shown_in_a_dock(qtbot: QtBot) -> None:
    widget = TrainWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.ensurePolished()
    assert widget.cohort.slides.focusPolicy() == Qt.FocusPolicy.StrongFocus
    widget.shut_down()
