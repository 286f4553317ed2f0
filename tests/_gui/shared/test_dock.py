"""Docks behind one another as tabs: the one in front shows its maps."""

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow

from napari_xmag._gui.shared import maps
from napari_xmag._gui.shared.dock import Docked
from napari_xmag._gui.shared.shown_slide import ShownSlide
from napari_xmag.layer_data import MAP_ROLE, SLIDE_ROLE, TAUGHT_MAP_ROLE, layer_metadata


class Heat(Docked):
    """Shows heat maps."""

    MAP_ROLE = MAP_ROLE


class Taught(Docked):
    """Shows taught maps."""

    MAP_ROLE = TAUGHT_MAP_ROLE


def layer_of(role: str) -> Image:
    return Image(np.zeros((20, 20)), name=role, metadata=layer_metadata(Path("a.svs"), role))


def test_the_tab_in_front_shows_its_map(qtbot: QtBot) -> None:
    viewer: Any = ViewerModel()
    shown = ShownSlide(viewer)
    window = QMainWindow()
    qtbot.addWidget(window)
    docks = [QDockWidget(), QDockWidget()]
    for dock, kind in zip(docks, (Heat, Taught), strict=True):
        dock.setWidget(kind(viewer))
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.tabifyDockWidget(*docks)
    window.show()
    qtbot.waitExposed(window)
    heat, taught = layer_of(MAP_ROLE), layer_of(TAUGHT_MAP_ROLE)
    viewer.add_layer(layer_of(SLIDE_ROLE))
    for layer in (heat, taught):
        maps.add_map(viewer, layer)
    docks[0].raise_()
    qtbot.waitUntil(lambda: heat.visible and not taught.visible)
    docks[1].raise_()
    qtbot.waitUntil(lambda: taught.visible and not heat.visible)
    shown.disconnect()
