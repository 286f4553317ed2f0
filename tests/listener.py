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


class Gate:
    """Holds up work until it is opened: what goes on meanwhile does not wait for that work.

    Attributes
    ----------
    reached
        Set when something is held up.
    passed
        How many have come through.
    overdue
        Whether anything was held up until nobody could expect the gate to open any more: whoever
        was to open it waited for the work instead.
    """

    def __init__(self, let_through: int = 0) -> None:
        self.reached = threading.Event()
        self.passed = 0
        self.overdue = False
        self._free = let_through
        self._open = False
        self._news = threading.Condition()

    def hold(self, *_: object) -> None:
        """Come through, or wait."""
        with self._news:
            if not (self._open or self._free):
                self.reached.set()
            if not self._news.wait_for(lambda: self._open or self._free, _PATIENCE):
                self.overdue = True
            self._free = max(self._free - 1, 0)
            self.passed += 1

    def close(self) -> None:
        """Let nothing through any more."""
        with self._news:
            self._open, self._free = False, 0

    def open(self) -> None:
        """Let everything through."""
        with self._news:
            self._open = True
            self._news.notify_all()


class Clock:
    """Time that goes on only when told to; stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return what the clock says."""
        return self.now


def threads_end(prefix: str = "xmag") -> bool:
    """Wait until no thread of that name is left; False when one does not end."""
    for thread in threading.enumerate():
        if thread.name.startswith(prefix):
            thread.join(_PATIENCE)
    return not any(thread.name.startswith(prefix) for thread in threading.enumerate())
