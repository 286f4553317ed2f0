"""Arrays are made once for all threads that want them, and never take more than they may."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_xmag.slide.tile_cache import ArrayCache

Pixels = NDArray[np.uint8]


@pytest.fixture
def cache() -> ArrayCache:
    return ArrayCache(1000)


class Maker:
    """Makes arrays, but not before it may."""

    def __init__(self, *failures: Exception) -> None:
        self.may, self.begun = threading.Event(), threading.Event()
        self.made, self._failures = 0, list(failures)

    def __call__(self) -> Pixels:
        self.made += 1
        self.begun.set()
        assert self.may.wait(60)
        if self._failures:
            raise self._failures.pop()
        return np.full(100, 7, np.uint8)


def at_once(cache: ArrayCache, maker: Maker, threads: int) -> list[Callable[[], Pixels | None]]:
    """Ask from several threads while the first of them makes it."""
    with ThreadPoolExecutor(threads) as pool:
        first = pool.submit(cache.made, "tile", maker)
        assert maker.begun.wait(60)
        others = [pool.submit(cache.made, "tile", maker) for _ in range(threads - 1)]
        maker.may.set()
        return [future.result for future in (first, *others)]


def test_what_many_want_at_once_is_made_once(cache: ArrayCache) -> None:
    maker = Maker()
    found = [answer() for answer in at_once(cache, maker, 4)]
    assert maker.made == 1
    assert all(array is found[0] for array in found)
    assert cache.get("tile") is found[0]


def test_an_error_is_told_once_and_others_try_again(cache: ArrayCache) -> None:
    maker = Maker(OSError("damaged"))
    first, *others = at_once(cache, maker, 3)
    with pytest.raises(OSError, match="damaged"):
        first()
    assert all(answer() is cache.get("tile") is not None for answer in others)
    assert maker.made == 2


def test_what_is_too_large_to_keep_is_made_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    small, maker, waiting = ArrayCache(10), Maker(), threading.Barrier(4)

    class Told(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waiting.wait(60)
            return super().wait(timeout)

    told = SimpleNamespace(Event=Told, Lock=threading.Lock)
    monkeypatch.setattr("napari_xmag.slide.tile_cache.threading", told)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(small.made, "tile", maker)
        assert maker.begun.wait(60)
        others = [pool.submit(small.made, "tile", maker) for _ in range(3)]
        waiting.wait(60)
        maker.may.set()
        assert all(future.result() is first.result() for future in others)
    assert (maker.made, small.nbytes) == (1, 0)


def test_nothing_is_kept_of_what_is_not_there(cache: ArrayCache) -> None:
    assert cache.made("gap", lambda: None) is None
    maker = Maker()
    maker.may.set()
    assert cache.made("gap", maker) is not None


def test_the_longest_unused_go_first(cache: ArrayCache) -> None:
    for name in "abcde":
        cache.made(name, lambda: np.zeros(200, np.uint8))
    assert cache.get("a") is not None
    cache.made("f", lambda: np.zeros(300, np.uint8))
    assert cache.nbytes <= 1000
    assert [name for name in "abcdef" if cache.get(name) is not None] == ["a", "d", "e", "f"]
    cache.made("giant", lambda: np.zeros(2000, np.uint8))
    assert cache.get("giant") is None
