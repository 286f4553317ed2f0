"""The parts of all panels."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_xmag._gui.shared.section import Section, Words

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


@pytest.fixture
def page(qtbot: QtBot) -> QWidget:
    """A shown page to put sections on."""
    made = QWidget()
    QVBoxLayout(made)
    qtbot.addWidget(made)
    made.show()
    return made


def test_a_section_folds_and_unfolds_by_its_title(page: QWidget, qtbot: QtBot) -> None:
    content, section = QLabel("content"), Section("Tissue")
    section.add(content)
    page.layout().addWidget(section)
    qtbot.waitUntil(content.isVisible)
    assert "Tissue" in section.text()
    section.toggleButton().click()
    assert not content.isVisible()
    section.toggleButton().click()
    assert content.isVisible()


def test_what_is_folded_cannot_be_reached_by_the_keyboard(page: QWidget, qtbot: QtBot) -> None:
    before, inside, after = QLineEdit(), QLineEdit(), QLineEdit()
    section = Section("Advanced", folded=True)
    section.add(inside)
    for widget in (before, section, after):
        page.layout().addWidget(widget)
    page.activateWindow()
    before.setFocus()
    qtbot.waitUntil(before.hasFocus)
    qtbot.keyClick(before, Qt.Key.Key_Tab)
    assert section.toggleButton().hasFocus()
    qtbot.keyClick(section.toggleButton(), Qt.Key.Key_Tab)
    assert after.hasFocus()


def test_a_section_grows_with_what_it_holds(page: QWidget, qtbot: QtBot) -> None:
    section, late = Section("Prediction"), QLabel("late")
    late.hide()
    late.setMinimumHeight(300)
    section.add(QLabel("early"))
    section.add(late)
    page.layout().addWidget(section)
    late.show()
    qtbot.waitUntil(lambda: section.height() > 300)
    assert late.height() >= 300
