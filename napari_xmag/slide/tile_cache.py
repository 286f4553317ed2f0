"""A cache of arrays that never grows beyond its size in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray


class _Made:
    """What one thread makes, for those that wait for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.array: NDArray[np.uint8] | None = None


class ArrayCache:
    """Least recently used arrays go first; safe for many threads.

    Parameters
    ----------
    limit
        Bytes that all arrays together may take. An array larger than that is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._arrays: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()
        self._making: dict[Hashable, _Made] = {}
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that are held now."""
        return self._bytes

    def get(self, key: Hashable) -> NDArray[np.uint8] | None:
        """Return the array kept under ``key``, or None."""
        with self._lock:
            return self._found(key)

    def made(
        self, key: Hashable, make: Callable[[], NDArray[np.uint8] | None]
    ) -> NDArray[np.uint8] | None:
        """Return the array kept under ``key``, or make and keep it: one thread for all that ask.

        They have it even where it is too large to keep. What ``make`` raises reaches the thread
        that called it; the others try for themselves.
        """
        while True:
            with self._lock:
                array = self._found(key)
                if array is not None:
                    return array
                other = self._making.get(key)
                if other is None:
                    mine = self._making[key] = _Made()
                    break
            other.done.wait()
            if other.array is not None:
                return other.array
        try:
            array = mine.array = make()
            if array is not None:
                self.put(key, array)
            return array
        finally:
            with self._lock:
                del self._making[key]
            mine.done.set()

    def _found(self, key: Hashable) -> NDArray[np.uint8] | None:
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
        return array

    def put(self, key: Hashable, array: NDArray[np.uint8]) -> None:
        """Keep an array, dropping the longest unused ones where room is needed."""
        if array.nbytes > self._limit:
            return
        with self._lock:
            old = self._arrays.pop(key, None)
            self._bytes += array.nbytes - (old.nbytes if old is not None else 0)
            self._arrays[key] = array
            while self._bytes > self._limit:
                _, dropped = self._arrays.popitem(last=False)
                self._bytes -= dropped.nbytes

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._arrays.clear()
            self._bytes = 0
