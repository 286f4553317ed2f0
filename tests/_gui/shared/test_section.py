"""The parts of all panels."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xmag._gui.shared.section import Words

pytestmark = pytest.mark.window


def test_words_open_no_window_and_show_where_they_lie(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    page.show()
    text, silent = Words("About 3 GB"), Words()
    qtbot.addWidget(text)
    assert not text.isVisible()
    layout = QVBoxLayout(page)
    layout.addWidget(text)
    layout.addWidget(silent)
    qtbot.waitUntil(text.isVisible)
    assert not silent.isVisible()
    silent.say("now")
    assert silent.isVisible()
    text.say("")
    assert not text.isVisible()
