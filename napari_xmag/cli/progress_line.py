"""One line that tells how far the work is."""

import sys
import time
from typing import Any, TextIO

from tqdm import tqdm

from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, SlidePlanned, TilesDone, Waiting
from napari_xmag.progress.words import duration

_SECONDS_IN_LOG = 10.0
_SECONDS_ON_SCREEN = 0.1


class ProgressLine:
    """On a terminal a bar that renews itself, elsewhere a line now and then.

    Parameters
    ----------
    title
        Begins each line.
    stream
        Standard error when None.
    pause
        Seconds between lines where the stream is no terminal.
    """

    def __init__(
        self, title: str = "", stream: TextIO | None = None, pause: float = _SECONDS_IN_LOG
    ) -> None:
        self._title = f"{title}: " if title else ""
        self._stream = stream or sys.stderr
        self._bar: Any = tqdm(
            total=1,
            file=self._stream,
            bar_format="{desc} {bar}",
            leave=False,
            position=0,
            dynamic_ncols=True,
            disable=not self._stream.isatty(),
            delay=1e-9,  # draw nothing before there is something to say
        )
        self._pause = pause if self._bar.disable else _SECONDS_ON_SCREEN
        self._last = time.monotonic() if self._bar.disable else 0.0
        self._words = ""

    def say(self, words: str, share: float | None = None) -> None:
        """Show words, unless others were shown a moment ago.

        Parameters
        ----------
        share
            How much is done, 0 to 1; None while nobody knows.
        """
        if time.monotonic() - self._last < self._pause:
            return
        self._last = time.monotonic()
        if self._bar.disable:
            print(f"{self._title}{words}", file=self._stream, flush=True)
            return
        self._bar.n = share or 0
        self._bar.set_description_str(f"{self._title}{words}")

    def show(self, event: AnalyzeEvent) -> None:
        """Take in one event of an analysis."""
        if isinstance(event, SlideFinished):
            self.clear()
            return
        self._words = _words(event) or self._words
        self.say(self._words, event.done / event.total if isinstance(event, TilesDone) else None)

    def clear(self) -> None:
        """Take the line off the terminal."""
        if not self._bar.disable:
            self._bar.clear()


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
