"""Fields by their row, from many threads, and made ahead."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import ConfigError
from napari_xmag.fields.store import FieldStore, prefetch
from tests.fields.colors import field, records


def test_any_field_in_any_order_from_many_threads(tmp_path: Path) -> None:
    store = FieldStore(tmp_path, records(tmp_path, 6))
    order = [5, 0, 3, 3, 1, 4, 2] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(store.read, order))
    for row, pixels in zip(order, found, strict=True):
        np.testing.assert_allclose(pixels[16::32, 16::32], field(row)[16::32, 16::32], atol=4)


def test_a_missing_or_altered_field_is_named(tmp_path: Path) -> None:
    first, second, third = records(tmp_path)
    altered, unknown = replace(first, sha256="0"), replace(second, key="none")
    elsewhere = replace(third, shard="gone.tar")
    store = FieldStore(tmp_path, [altered, unknown, elsewhere])
    message = f"{first.key} in s.tar, but found a content that differs"
    with pytest.raises(ConfigError, match=message):
        store.read(0)
    with pytest.raises(ConfigError, match=r"none in s\.tar"):
        store.read(1)
    with pytest.raises(ConfigError, match=r"in gone\.tar.*FileNotFoundError"):
        store.read(2)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_items_are_made_in_order(threads: int) -> None:
    assert list(prefetch(range(20), lambda item: item**2, threads)) == [n**2 for n in range(20)]


def test_errors_come_in_their_turn() -> None:
    made = prefetch([1, 2, 0, 3], lambda item: 6 // item, 2)
    assert [next(made), next(made)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_little_is_made_ahead_and_nothing_after_the_end() -> None:
    made, may_go_on = list[int](), threading.Event()

    def make(item: int) -> int:
        made.append(item)
        assert may_go_on.wait(5) or item
        return item

    coming = prefetch(range(1000), make, 2)
    may_go_on.set()
    assert next(coming) == 0
    coming.close()
    assert len(made) <= 5
