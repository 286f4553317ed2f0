"""A reviewed slide is offered to training, where training reads what was reviewed."""

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.analyze.label_panel import LabelPanel
from tests.analyze.test_result import make_result

pytestmark = pytest.mark.window


def test_only_the_first_image_of_a_file_is_offered_to_training(qtbot: QtBot) -> None:
    panel = LabelPanel()
    qtbot.addWidget(panel)
    panel.show()
    result = make_result()
    given: list[str] = []
    panel.given.connect(given.append)
    for number in (1, 2):
        slide = {**result.slide, "image": {"index": number, "count": 2}}
        panel.show_result(replace(result, slide=slide))
        panel.label.setEditText("benign")
        panel.button.click()
    assert given == ["benign"]
    assert "this is image #2" in panel.words.text()
    assert not panel.isEnabled()
    panel.show_result(result)
    assert panel.isEnabled()
