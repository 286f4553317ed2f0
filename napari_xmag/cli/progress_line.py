"""One line that tells how far an analysis is."""

import sys
import time
from typing import TextIO

from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, SlidePlanned, TilesDone, Waiting

_SECONDS_IN_LOG = 10.0
_SECONDS_ON_SCREEN = 0.1


class ProgressLine:
    """Shows events: on a terminal a line that renews itself, elsewhere a line now and then.

    Parameters
    ----------
    title
        Begins each line.
    stream
        Standard error when None.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._last = 0.0 if self._terminal else time.monotonic()
        self._words = ""

    def show(self, event: AnalyzeEvent) -> None:
        """Take in one event."""
        if isinstance(event, SlideFinished):
            self.clear()
            return
        self._words = _words(event) or self._words
        pause = _SECONDS_ON_SCREEN if self._terminal else _SECONDS_IN_LOG
        if time.monotonic() - self._last < pause:
            return
        self._last = time.monotonic()
        begin, end = ("\r\x1b[K", "") if self._terminal else ("", "\n")
        print(f"{begin}{self._title}: {self._words}", end=end, file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the line off the terminal."""
        if self._terminal:
            print("\r\x1b[K", end="", file=self._stream, flush=True)


def _words(event: AnalyzeEvent) -> str:
    if isinstance(event, SlidePlanned):
        return f"{event.tiles} tiles planned"
    if isinstance(event, Waiting):
        return event.stage if event.total == 0 else ""
    if isinstance(event, TilesDone):
        bad = f", {event.unreadable} unreadable" if event.unreadable else ""
        return (
            f"{event.done}/{event.total} tiles{bad}, {event.tiles_per_second:.0f} tiles/s, "
            f"{duration(event.seconds_left)} left"
        )
    return ""


def duration(seconds: float) -> str:
    """Return a time in words: ``8 s``, ``2 min 5 s``, ``1 h 4 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
