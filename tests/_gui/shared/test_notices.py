"""Notices show all of their text, however long, and stay until it is read."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from napari import Viewer
from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QApplication, QPushButton

from napari_xmag._gui.shared.notices import tell, tell_error, tell_warning, tell_written
from napari_xmag.errors import SlideOpenError

pytestmark = pytest.mark.window

_FOLDER = Path("/home/a_user/a_very_long_name_of_a_folder_for_the_results_of_2026/case-17.svs")
_SHORT = "Select a slide first."
_ERROR = SlideOpenError(
    expected="a whole slide that one of the readers can decode, in one of the formats known",
    found="a text file named case_number_17_second_block_stained_again.svs, which none reads",
    hint="Copy the file again from its source, or export it from the scanner's program. " * 3,
)


def notice_of(say: Callable[[], None], viewer: Viewer) -> NapariQtNotification:
    say()
    QApplication.processEvents()
    (notice,) = viewer.window._qt_viewer.canvas.native.findChildren(NapariQtNotification)
    return notice


@pytest.mark.parametrize(
    "say",
    [
        lambda: tell(_SHORT),
        lambda: tell_error(_ERROR),
        lambda: tell_warning("w" * 300),
        lambda: tell_written(f"7 files were saved in {_FOLDER}", {"result.json": _FOLDER / "r"}),
    ],
    ids=["short", "error", "one word", "written"],
)
def test_all_of_a_text_is_shown(
    make_napari_viewer: Callable[..., Viewer], say: Callable[[], None]
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 720)
    notice = notice_of(say, viewer)
    label, canvas = notice.message, notice.parentWidget()
    # What the label draws, which is what it was given only where nothing is left out of it.
    drawn = super(type(label), label).text()
    assert drawn == label.text()
    assert "…" not in drawn
    room = QRect(0, 0, label.width(), 10_000)
    flags = int(Qt.TextFlag.TextWordWrap)
    needed = QFontMetrics(label.font()).boundingRect(room, flags, drawn)
    assert needed.width() <= label.width()
    assert needed.height() <= label.height()
    inside = QRect(label.mapTo(notice, label.rect().topLeft()), label.size())
    assert notice.rect().contains(inside)
    assert canvas.rect().contains(notice.geometry())
    for button in notice.row2_widget.findChildren(QPushButton):
        assert notice.row2_widget.geometry().bottom() <= notice.rect().bottom()
        assert not inside.intersects(QRect(button.mapTo(notice, QPoint(0, 0)), button.size()))
    # whoever takes long to read has that long
    assert notice.timer.interval() >= 50 * len(re.sub("\u200b", "", drawn))
    notice.close()


def test_a_fault_of_ours_is_shown_whole_with_its_traceback(
    make_napari_viewer: Callable[..., Viewer],
) -> None:
    viewer = make_napari_viewer(show=True)
    words = "something that nobody foresaw, and that says much of itself; " * 5
    notice = notice_of(lambda: tell_error(KeyError(words)), viewer)
    assert "View Traceback" in [button.text() for button in notice.findChildren(QPushButton)]
    assert notice.message.height() > 4 * QFontMetrics(notice.message.font()).height()
    notice.close()
