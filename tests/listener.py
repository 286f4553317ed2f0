"""Somebody who listens to a long run, and steps that are slow until they were heard."""

import importlib
import threading
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

R = TypeVar("R")
_ENOUGH = 2
_PATIENCE = 60.0


class Listener:
    """Counts events; what `slow_down` slows ends when two more have come, whatever the clock says.

    Attributes
    ----------
    events
        What was heard.
    called
        Which of the slow steps ran.
    silent
        Those during which nothing was heard: they held up the listener.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.called: set[str] = set()
        self.silent: set[str] = set()
        self._news = threading.Condition()

    def listen(self, events: Generator[Any, None, R]) -> R:
        """Walk a generator to its end and return what it returns."""
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                result: R = stop.value
                return result
            with self._news:
                self.events.append(event)
                self._news.notify_all()

    def slow_down(self, monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
        """Make functions slow the first time, by their names as modules know them."""
        for name in steps:
            place, _, attribute = name.rpartition(".")
            home = _resolve(place)
            monkeypatch.setattr(home, attribute, self._slow(name, getattr(home, attribute)))

    def _slow(self, name: str, work: Any) -> Any:
        def slowed(*given: Any, **named: Any) -> Any:
            if name not in self.called:
                self.called.add(name)
                self._wait(name)
            return work(*given, **named)

        return slowed

    def _wait(self, name: str) -> None:
        # In the listener's own thread nobody could hear anything.
        own = threading.current_thread() is threading.main_thread()
        with self._news:
            enough = len(self.events) + _ENOUGH
            heard = not own and self._news.wait_for(lambda: len(self.events) >= enough, _PATIENCE)
        if not heard:
            self.silent.add(name)


def _resolve(place: str) -> Any:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError:
        module, _, attribute = place.rpartition(".")
        return getattr(_resolve(module), attribute)
