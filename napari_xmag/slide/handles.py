"""A pool of file handles, each lent to one thread at a time."""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

HandleT = TypeVar("HandleT")


class HandlePool(Generic[HandleT]):
    """Opens handles when they are needed and keeps the idle ones.

    A handle on which an error was raised is closed and not lent again: with OpenSlide errors
    stick to the handle, so the next reader must get a fresh one.

    Parameters
    ----------
    opener, closer
        Open one handle; close it.
    idle
        How many unused handles are kept open.
    """

    def __init__(
        self, opener: Callable[[], HandleT], closer: Callable[[HandleT], None], idle: int = 16
    ) -> None:
        self._opener = opener
        self._closer = closer
        self._limit = idle
        self._idle: list[HandleT] = []
        self._closed = False
        self._lock = threading.Lock()
        # A slide that is dropped without close() must not leave its files open.
        weakref.finalize(self, _close_all, self._idle, closer)

    @property
    def closed(self) -> bool:
        """Whether the pool lends no more handles."""
        return self._closed

    @contextmanager
    def borrow(self) -> Iterator[HandleT]:
        """Lend a handle.

        Raises
        ------
        ValueError
            When the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the slide is closed")
            handle = self._idle.pop() if self._idle else None
        if handle is None:
            handle = self._opener()
        try:
            yield handle
        except BaseException:
            self._closer(handle)
            raise
        self._give_back(handle)

    def add(self, handle: HandleT) -> None:
        """Give a handle that was opened elsewhere to the pool."""
        self._give_back(handle)

    def close(self) -> None:
        """Close all idle handles; lent ones are closed when they come back."""
        with self._lock:
            self._closed = True
            _close_all(self._idle, self._closer)

    def _give_back(self, handle: HandleT) -> None:
        with self._lock:
            keep = not self._closed and len(self._idle) < self._limit
            if keep:
                self._idle.append(handle)
        if not keep:
            self._closer(handle)


def _close_all(handles: list[HandleT], closer: Callable[[HandleT], None]) -> None:
    while handles:
        closer(handles.pop())
