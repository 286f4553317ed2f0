"""What the tests of the window share: opening slides in it and waiting for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari import Viewer
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.analyze.widget import AnalyzeWidget
from napari_xmag.analyze.events import AnalyzeEvent, TilesDone, Waiting
from napari_xmag.analyze.result import PatchTable

Analyze = Callable[..., Iterator[AnalyzeEvent]]

PATIENCE = 300_000
"""Milliseconds after which a test gives up: none is judged by how long a slow machine takes."""


@dataclass
class Window:
    """A real viewer with the widget in its dock, driven as a user would."""

    viewer: Viewer
    widget: AnalyzeWidget
    bot: QtBot
    go_on: threading.Event

    @property
    def session(self) -> SlideSession:
        """The slide that is shown."""
        assert self.widget.state.current is not None
        return self.widget.state.current

    def wait(self, reached: Callable[[], object], timeout: int = PATIENCE) -> None:
        """Serve events until something is true."""
        self.bot.waitUntil(lambda: bool(reached()), timeout=timeout)

    def open(self, path: Path) -> SlideSession:
        """Open a slide as dropping it on the window does, and wait until it is known."""
        self.viewer.open(path, plugin="napari-xmag")
        self.wait(lambda: self.session.slide is not None or self.session.problem)
        return self.session

    def type(self, *keys: str) -> None:
        """Press keys, as ``N`` or ``Ctrl+Z``, while the canvas has the focus."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        for key in keys:
            QTest.keySequence(canvas, QKeySequence(key))

    def press(self) -> None:
        """Press *Analyze slide*, or *Cancel* while it runs."""
        assert self.widget.run.button.isEnabled()
        self.widget.run.button.click()

    def analyze(self) -> SlideSession:
        """Analyze the slide that is shown, to the end and with its strip."""
        session = self.session
        self.press()
        self.wait(lambda: session.progress is None)
        self.wait(lambda: session.cards is not None)
        return session

    def start(self) -> SlideSession:
        """Analyze the slide that is shown until some tiles are done; ``go_on`` lets it go on."""
        session = self.session
        self.go_on.clear()
        self.press()
        self.wait(lambda: session.scores is not None and not session.scores.final)
        return session


def map_pixels(session: SlideSession) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the rows and columns of a slide's map have their middles, in level-0 pixels."""
    layer = session.map_layer
    assert layer is not None
    places = []
    for axis, count in enumerate(layer.data.shape):
        world = np.arange(count) * layer.scale[axis] + layer.translate[axis]
        places.append((world - session.layer.translate[axis]) / session.layer.scale[axis] + 0.5)
    return places[0], places[1]


def colours_of(session: SlideSession, patches: PatchTable) -> NDArray[np.float32]:
    """Return which value the map shows of each patch, NaN for none; all its pixels agree."""
    assert session.map_layer is not None
    y, x = map_pixels(session)
    values = np.full(len(patches), np.nan, np.float32)
    for patch in range(len(patches)):
        box = patches.box(patch)
        rows, columns = (y >= box.y) & (y < box.bottom), (x >= box.x) & (x < box.right)
        seen = session.map_layer.data[np.ix_(rows, columns)]
        shown = np.unique(seen[np.isfinite(seen)])
        assert len(shown) <= 1
        values[patch] = shown[0] if len(shown) else np.nan
    return values


def paused(analyze: Analyze, go_on: threading.Event) -> Analyze:
    """Return an analysis that waits after its first tiles, as if reading took long."""

    def slow(*given: object, **settings: object) -> Iterator[AnalyzeEvent]:
        with closing(analyze(*given, **settings)) as events:
            for event in events:
                yield event
                if isinstance(event, TilesDone):
                    while not go_on.wait(0.01):
                        yield Waiting("reading", event.done, event.total)

    return slow
