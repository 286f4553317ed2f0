"""The pixel size, as people write it."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QLocale

from napari_xmag._gui.analyze.chooser_panel import PixelSizePanel


@pytest.fixture(params=["de_DE", "en_US", "fr_CH"])
def _country(request: pytest.FixtureRequest) -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield
    QLocale.setDefault(before)


@pytest.mark.usefixtures("_country")
@pytest.mark.parametrize(("typed", "value"), [("0,25", 0.25), ("0.25", 0.25), ("1,0", 1.0)])
def test_a_comma_is_a_point_in_every_country(qtbot: QtBot, typed: str, value: float) -> None:
    panel = PixelSizePanel()
    qtbot.addWidget(panel)
    panel.field.selectAll()
    qtbot.keyClicks(panel.field, typed)
    assert panel.field.value() == value
    assert panel.button.isEnabled()


def test_the_power_of_an_objective_is_no_pixel_size(qtbot: QtBot) -> None:
    panel = PixelSizePanel()
    qtbot.addWidget(panel)
    panel.field.selectAll()
    qtbot.keyClicks(panel.field, "40")
    assert panel.field.value() < 40
