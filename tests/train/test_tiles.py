"""Pixels for training: the same from the store and from the slide, read ahead of their use."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import read_tile
from napari_xmag.train.tiles import Prefetcher, SlideTiles, TileReader, TileStore
from tests.train.tile_bags import DrawnTiles, drawn_slide


@pytest.fixture
def tiles(pyramid_slide: Path) -> SlideTiles:
    boxes = np.array([[256.0 * x, 256.0 * y, 256.0, 256.0] for y in range(2) for x in range(3)])
    return SlideTiles(pyramid_slide, None, 64, boxes, np.ones((6, 1), bool))


def test_store_and_slide_give_the_same(tiles: SlideTiles, tmp_path: Path) -> None:
    store = TileStore(tmp_path / "tiles", tiles.bytes)
    with closing(TileReader(store)) as reader:
        wanted = np.array([5, 0, 3])
        from_slide = reader.read(tiles, wanted)
        with closing(open_slide(tiles.path)) as slide:
            one = read_tile(slide, Box(*tiles.boxes[5]), 64)
        assert np.array_equal(from_slide[0], one)
        assert not store.holds(tiles)
        finish(store.keep(tiles))
        assert store.holds(tiles)
        assert np.array_equal(reader.read(tiles, wanted), from_slide)
    file = next((tmp_path / "tiles").iterdir())
    assert tiles.bytes == 6 * 64 * 64 * 3
    assert file.stat().st_size == tiles.bytes + 6 * 4  # a checksum each


@pytest.mark.parametrize("damage", ["zeroed", "cut", "another slide's"])
def test_tiles_that_were_altered_are_told_and_read_from_the_slide(
    tiles: SlideTiles, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = TileStore(tmp_path / "tiles", 3 * tiles.bytes)
    finish(store.keep(tiles))
    (file,) = (tmp_path / "tiles").iterdir()
    if damage == "zeroed":
        file.write_bytes(bytes(file.stat().st_size))
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        other = replace(tiles, boxes=tiles.boxes + 7)
        finish(store.keep(other))
        (kept,) = set((tmp_path / "tiles").iterdir()) - {file}
        kept.replace(file)
    wanted = np.arange(6)
    with closing(TileReader(store)) as reader, closing(TileReader()) as plain:
        np.testing.assert_array_equal(reader.read(tiles, wanted), plain.read(tiles, wanted))
    assert not store.holds(tiles)
    assert ("are damaged" in caplog.text) == (damage != "cut")


def test_a_store_keeps_within_its_limit(tiles: SlideTiles, tmp_path: Path) -> None:
    store = TileStore(tmp_path / "tiles", 2 * tiles.bytes - 1)
    assert store.has_room(tiles)
    finish(store.keep(tiles))
    assert not store.has_room(tiles)
    assert not TileStore(tmp_path / "tiles", 0).has_room(tiles)


def test_a_tile_that_is_gone_is_named(
    tiles: SlideTiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TileReadError(expected="a tile", found="a torn file", hint="")

    monkeypatch.setattr("napari_xmag.slide.tiles.read_tile", broken)
    store = TileStore(tmp_path / "tiles", tiles.bytes)
    with pytest.raises(TileReadError, match=rf"tile 0 of {tiles.path.name}.*a torn file"):
        finish(store.keep(tiles))
    assert not store.holds(tiles)
    assert list((tmp_path / "tiles").iterdir()) == []


def test_chunks_are_read_ahead_there_and_back() -> None:
    slide, reader = drawn_slide("a", 6), DrawnTiles()
    chunks = [(slide, np.array([2 * number, 2 * number + 1])) for number in range(3)]
    with ThreadPoolExecutor(1) as thread:
        ahead = Prefetcher(reader, thread, chunks)
        first = ahead.take(0, back=False)
        assert np.array_equal(first, DrawnTiles().read(*chunks[0]))
        thread.submit(int).result()  # what was begun has been read
        assert reader.reads == [[0, 1], [2, 3]]
        ahead.take(1, back=False)
        ahead.take(2, back=False)
        for number in (2, 1, 0):
            found = ahead.take(number, back=True)
            assert np.array_equal(found, DrawnTiles().read(*chunks[number]))
    there = [[0, 1], [2, 3], [4, 5]]
    assert reader.reads == there + there[::-1]
