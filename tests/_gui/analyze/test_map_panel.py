"""The sliders of the heat map."""

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.analyze.map_panel import MapPanel

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
