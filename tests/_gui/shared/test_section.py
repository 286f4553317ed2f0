"""The parts of all panels."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from napari_xmag._gui.analyze.slide_metadata_panel import SlideMetadataPanel
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


def test_nothing_is_cut_in_a_narrow_dock(qtbot: QtBot) -> None:
    scroll, inside = QScrollArea(), QWidget()
    qtbot.addWidget(scroll)
    column = QVBoxLayout(inside)
    section, panel = Section("Slide information"), SlideMetadataPanel()
    name = "2024_11_03_scan_of_the_first_section_at_level_0_final_version.svs"
    metadata = slide_facts(name)
    panel.show_slide(metadata, None)
    section.add(panel)
    column.addWidget(section)
    column.addStretch()
    scroll.setWidget(inside)
    scroll.setWidgetResizable(True)
    scroll.resize(320, 500)
    scroll.show()
    qtbot.waitUntil(lambda: inside.width() == scroll.viewport().width())
    labels = [label for label in panel.findChildren(QLabel) if label.wordWrap()]
    assert name in {label.text() for label in labels}
    qtbot.waitUntil(lambda: all(x.heightForWidth(x.width()) <= x.height() for x in labels))


def slide_facts(name: str) -> dict[str, object]:
    """Return what a slide of this name may say of itself."""
    whole = {"x": 0, "y": 0, "width": 120_000, "height": 98_000}
    return {
        **{"path": name, "vendor": "aperio", "objective_power": 40.0, "icc": True},
        **{"mpp_x": 0.25, "mpp_y": 0.2501, "mpp_source": "resolution tag", "mpp_conflict": ""},
        **{"width": 120_000, "height": 98_000, "bounds": whole, "fingerprint": "0123456789abcdef"},
        "levels": [{"downsample": float(4**level)} for level in range(5)],
    }
