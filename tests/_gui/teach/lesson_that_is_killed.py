"""A lesson in a window of its own, which says each click that is done until it is killed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from napari import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_xmag._gui.shared.torch_import import prepare_torch
from tests._gui.teach.conftest import BORDER, open_classroom

TURN_MS = 10


class Waiter:
    """Serves the window where there is no test to do so."""

    def waitUntil(self, reached: Callable[[], bool], *, timeout: int) -> None:  # noqa: N802
        """Serve events until something is true."""
        for _ in range(timeout // TURN_MS):
            if reached():
                return
            QTest.qWait(TURN_MS)
        raise TimeoutError("the window did not get that far")


def main(slide: Path) -> None:
    """Click on tissue after tissue, as fast as the window takes it."""
    prepare_torch()
    room = open_classroom(Viewer(), cast(QtBot, Waiter()))
    prepared = room.open(slide).prepared
    assert prepared is not None
    x = prepared.centers[:, 0]
    halves = prepared.centers[x < BORDER], prepared.centers[x > BORDER]
    for places in zip(*halves, strict=False):
        for key, place in zip((Qt.Key.Key_1, Qt.Key.Key_2), places, strict=True):
            room.key(key)
            room.click(*place)
            sys.stdout.write(f"{place[0]} {place[1]}\n")
            sys.stdout.flush()
            QTest.qWait(1)  # so that it learns as well


if __name__ == "__main__":
    main(Path(sys.argv[1]))
