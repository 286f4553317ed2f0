"""What the tests of the window share: opening slides in it and waiting for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari import Viewer
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.analyze.widget import AnalyzeWidget
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide

SECONDS = 1000
PATIENCE = 30 * SECONDS


@dataclass
class Window:
    """A real viewer with the widget in its dock, driven as a user would."""

    viewer: Viewer
    widget: AnalyzeWidget
    bot: QtBot

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

    def press(self) -> None:
        """Press *Analyze slide*, or *Cancel* while it runs."""
        assert self.widget.run.button.isEnabled()
        self.widget.run.button.click()

    def analyze(self) -> SlideSession:
        """Analyse the slide that is shown, to the end and with its strip."""
        session = self.session
        self.press()
        self.wait(lambda: session.progress is None)
        self.wait(lambda: session.cards)
        return session

    def start(self) -> SlideSession:
        """Start to analyse the slide that is shown, as slow to read as one on a poor network."""
        session = self.session
        assert session.slide is not None
        slow_down(session.slide)
        self.press()
        self.wait(lambda: session.scores is not None and not session.scores.final)
        return session


def slow_down(slide: Slide, seconds: float = 0.03) -> None:
    """Let every reading of a slide take longer."""
    read = type(slide).read

    def slowly(box: Box, level: int) -> NDArray[np.uint8]:
        time.sleep(seconds)
        return read(slide, box, level)

    slide.read = slowly
