"""Keys that act on the canvas, and napari's own that still do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.key_bindings import KeymapHandler, coerce_keybinding
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

from napari_xmag._gui.shared.canvas_keys import CanvasKey, CanvasKeys
from napari_xmag.layer_data import SLIDE_ROLE, layer_metadata

pytestmark = pytest.mark.window


class Keyboard:
    """A viewer with a slide, and the keys that were answered."""

    def __init__(self, dock: QWidget) -> None:
        self.viewer = ViewerModel()
        self.slide = Image(
            np.zeros((20, 20, 3), np.uint8),
            rgb=True,
            metadata=layer_metadata(Path("a.svs"), SLIDE_ROLE),
        )
        self.heard: list[str] = []
        self.busy, self.active = True, True
        self.dock = dock

    def keys(self, name: str, *bindings: str) -> CanvasKeys:
        def act(binding: str) -> Callable[[], bool]:
            def acts() -> bool:
                self.heard.append(f"{name} {binding}")
                return self.busy

            return acts

        keys = [CanvasKey((binding,), binding, act(binding)) for binding in bindings]
        return CanvasKeys(self.viewer, keys, self.dock, lambda: self.active)

    def press(self, key: str) -> None:
        handler = KeymapHandler()
        active = self.viewer.layers.selection.active
        handler.keymap_providers = [self.viewer] if active is None else [active, self.viewer]
        handler.press_key(key)


@pytest.fixture
def board(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Keyboard:
    """A keyboard before an empty viewer; keys of napari's own are noted with their owner."""
    dock = QWidget()
    qtbot.addWidget(dock)
    board = Keyboard(dock)
    for kind, name in ((Image, "2"), (Labels, "2"), (ViewerModel, "V")):

        def own(_: object, kind: type = kind) -> None:
            board.heard.append(kind.__name__)

        monkeypatch.setitem(kind.class_keymap, coerce_keybinding(name), own)
    return board


@pytest.mark.parametrize(
    ("key", "shown"),
    [("-", "−"), ("+", "+"), ("Control-Shift-Z", "Ctrl+Shift+Z"), ("Shift-W", "Shift+W")],
)
def test_keys_are_written_as_they_are_pressed(key: str, shown: str) -> None:
    assert CanvasKey((key,), "", lambda: True).shown == shown


def test_a_key_acts_before_those_of_a_slides_layer(board: Keyboard) -> None:
    keys = board.keys("desk", "2", "N")
    board.press("N")
    board.viewer.add_layer(board.slide)
    board.press("2")
    board.press("N")
    assert board.heard == ["desk N", "desk 2", "desk N"]
    keys.disconnect()


@pytest.mark.parametrize("why", ["nothing to do", "behind another tab"])
def test_where_there_is_nothing_to_do_naparis_own_key_acts(board: Keyboard, why: str) -> None:
    keys = board.keys("desk", "2", "V")
    board.viewer.add_layer(board.slide)
    board.busy, board.active = why != "nothing to do", why == "nothing to do"
    board.press("2")
    board.press("V")
    assert [name for name in board.heard if "desk" not in name] == ["Image", "ViewerModel"]
    keys.disconnect()


def test_a_layer_that_is_painted_on_keeps_naparis_keys(board: Keyboard) -> None:
    keys = board.keys("desk", "2", "N")
    labels = Labels(np.zeros((20, 20), np.uint8), metadata=layer_metadata(Path("a.svs"), "tissue"))
    board.viewer.add_layer(labels)
    board.press("2")
    board.press("N")
    assert board.heard == ["Labels", "desk N"]
    keys.disconnect()


def test_two_docks_share_a_key_and_each_gives_it_back(board: Keyboard) -> None:
    board.viewer.add_layer(board.slide)
    first, second = board.keys("first", "N"), board.keys("second", "N")
    board.press("N")
    board.busy = False
    board.press("N")
    assert board.heard == ["second N", "second N", "first N"]
    board.busy = True
    first.disconnect()
    board.press("N")
    second.disconnect()
    board.press("N")
    assert board.heard[3:] == ["second N"]
    assert "N" not in {str(key) for key in board.viewer.keymap}
