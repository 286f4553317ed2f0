"""The sliders of the heat map, and the line on what lies under the mouse."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QRect, Qt

from napari_xmag._gui.analyze.map_panel import HoverLine, MapPanel, hover_words
from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag._gui.analyze.state import SlideSession
from tests.analyze.test_result import make_result

pytestmark = pytest.mark.window


@pytest.mark.parametrize("name", ["opacity", "threshold"])
def test_a_dragged_slider_is_told_at_its_own_pace_and_to_the_end(name: str, qtbot: QtBot) -> None:
    panel = MapPanel()
    qtbot.addWidget(panel)
    slider, told = getattr(panel, name), []
    getattr(panel, f"{name}_set").connect(told.append)
    for percent in (90, *range(91)):
        slider.setValue(percent)
    slider.setValue(37)
    assert told == [0.9]  # at once
    qtbot.waitUntil(lambda: len(told) > 1)
    assert told == [0.9, 0.37]


@pytest.mark.parametrize("count", [2, 40])
def test_what_lies_under_the_mouse_is_never_cut(count: int, qtbot: QtBot) -> None:
    names = tuple(f"class number {n} of a very long name" for n in range(count))
    scores = PatchScores.of(make_result(50, names))
    session = SlideSession(Path("a.svs"), None, scores=scores)
    box = make_result(50, names).patches.box(7)
    short, whole = hover_words(session, *box.center)
    line = HoverLine()
    qtbot.addWidget(line)
    line.resize(304, 200)
    line.show()
    line.say(short, whole)
    room = line.fontMetrics().boundingRect(
        QRect(0, 0, 304, 1000), int(Qt.TextFlag.TextWordWrap), line.text()
    )
    assert room.width() <= 304
    assert room.height() <= line.minimumHeight() + line.fontMetrics().lineSpacing()
    assert line.heightForWidth(304) >= room.height()  # the panel gives it what it needs
    assert line.minimumSizeHint().width() < 304
    assert all(name in line.toolTip() for name in names)
    strongest = int(np.abs(scores.evidence[7]).argmax())
    assert "class n…" in short
    assert f"{scores.evidence[7, strongest]:+.2g}".lstrip("+-") in short
    assert (f"{count - 2} more" in short) is (count > 2)
    assert hover_words(session, -5.0, -5.0) == ("", "")
