"""BLAS with one thread, for work so small that several threads mostly wait for one another."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class _Hold:
    """Keeps BLAS to one thread as long as anybody wants it: the limit is one of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._held = ExitStack()

    def begin(self) -> None:
        with self._lock:
            self._wanted += 1
            if self._wanted == 1:
                limit: AbstractContextManager[object] = _blas().limit(limits=1, user_api="blas")
                self._held.enter_context(limit)

    def end(self) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                self._held.close()


_hold = _Hold()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS to one thread meanwhile, in all threads; they may enter and leave in any order."""
    _hold.begin()
    try:
        yield
    finally:
        _hold.end()


@cache
def _blas() -> "ThreadpoolController":
    import sklearn.linear_model  # noqa: F401 - only libraries that are loaded are found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
