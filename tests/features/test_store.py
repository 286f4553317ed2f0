"""Kept features: found by what decides them, whole or not at all, capped, never trusted."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import ExportError, ResultError
from napari_xmag.features import writer as writer_module
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import FEATURES, PLACES, PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.writer import FeatureWriter
from napari_xmag.filenames import ABOUT
from napari_xmag.geometry import Box
from napari_xmag.slide.tiles import TileGrid

COLUMNS, ROWS = np.array([1, 4, 2, 3]), np.array([0, 0, 1, 2])
VALUES = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def key(slide: str = "a" * 32) -> FeatureKey:
    return FeatureKey(slide, 1, "e" * 64, "cells", 2.0, 256, 10.5, 11.25, 100.0, 7.0)


def grid() -> TileGrid:
    corners = zip(100 + COLUMNS * 10.5, 7 + ROWS * 11.25, strict=True)
    boxes = tuple(Box(x, y, 10.5, 11.25) for x, y in corners)
    return TileGrid(boxes, COLUMNS, ROWS, 2.0, 64, 10.5, 11.25, 100.0, 7.0, (3, 6))


def begun(store: FeatureStore, of: FeatureKey, precision: str = "float32") -> FeatureWriter:
    names = ("biopsy.svs", "encoder")
    return store.writer(of, grid(), precision=precision, names=names, mpp=(0.25, 0.26))


def keep(store: FeatureStore, of: FeatureKey, precision: str = "float32") -> PatchFeatures:
    into = begun(store, of, precision)
    into.add(np.array([2, 0]), VALUES[[2, 0]])
    into.add(np.array([1, 3]), VALUES[[1, 3]])
    return into.finish()


def test_features_come_back_with_their_places(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    returned = keep(store, key())
    found = store.find(key())
    assert found is not None
    for kept in (returned, found):
        rows = kept.where(COLUMNS, ROWS)
        assert rows is not None
        np.testing.assert_array_equal(kept.features[rows], VALUES.astype(np.float16))
        expected = [(box.x, box.y, box.right, box.bottom) for box in grid().boxes]
        np.testing.assert_allclose(kept.corners()[rows], expected)
        assert (kept.key, kept.shape, kept.mpp) == (key(), (3, 6), (0.25, 0.26))
    assert isinstance(found.features, np.memmap)


def test_the_layout_is_what_the_docs_say(tmp_path: Path) -> None:
    keep(FeatureStore(tmp_path), key())
    (folder,) = tmp_path.iterdir()
    assert {file.name for file in folder.iterdir()} == {FEATURES, PLACES, ABOUT}
    about = json.loads((folder / ABOUT).read_text())
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    inner = {name for part in about.values() if isinstance(part, dict) for name in part}
    stated = (about.keys() | inner) - {"sha256"}
    assert [name for name in stated if f"`{name}`" not in page] == []
    assert (about["patches"], about["dimensions"]) == np.load(folder / FEATURES).shape
    np.testing.assert_array_equal(
        np.load(folder / PLACES), np.stack([COLUMNS, ROWS], 1)[[2, 0, 1, 3]]
    )


def test_a_patch_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    kept = keep(FeatureStore(tmp_path), key())
    assert kept.where(np.array([1, 0]), np.array([0, 0])) is None
    assert kept.where(np.array([99]), np.array([0])) is None
    assert kept.where(np.array([4]), np.array([0])) is not None


@pytest.mark.parametrize("field", list(FeatureKey.__dataclass_fields__))
def test_another_slide_encoder_or_grid_is_another_entry(tmp_path: Path, field: str) -> None:
    store = FeatureStore(tmp_path)
    keep(store, key())
    value = getattr(key(), field)
    other = {"granularity": "tiles"}.get(field, value + value if value else 1)
    assert store.find(replace(key(), **{field: other})) is None


def cut(folder: Path) -> None:
    file = folder / FEATURES
    file.write_bytes(file.read_bytes()[:-3])


def alter(folder: Path) -> None:
    content = bytearray((folder / FEATURES).read_bytes())
    content[-1] ^= 1
    (folder / FEATURES).write_bytes(content)


def swap_places(folder: Path) -> None:
    np.save(folder / PLACES, np.load(folder / PLACES)[::-1])


def no_json(folder: Path) -> None:
    (folder / ABOUT).write_text("{")


def wrong_type(folder: Path) -> None:
    (folder / ABOUT).write_text('["features"]')


def newer(folder: Path) -> None:
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps(about | {"format_version": 99}))


def missing(folder: Path) -> None:
    (folder / PLACES).unlink()


@pytest.mark.parametrize(
    "harm", [cut, alter, swap_places, no_json, wrong_type, newer, missing], ids=lambda f: f.__name__
)
def test_harmed_features_are_told_and_made_anew(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore(tmp_path)
    keep(store, key())
    harm(store.place(key()))
    assert store.find(key()) is None
    assert "will be made anew" in caplog.text
    with pytest.raises(ResultError, match="whole and unaltered"):
        PatchFeatures.load(store.place(key()))
    keep(store, key())
    assert store.find(key()) is not None


def test_features_of_another_slide_in_this_place_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore(tmp_path)
    keep(store, key("b" * 32))
    store.place(key("b" * 32)).rename(store.place(key()))
    assert store.find(key()) is None
    assert "will be made anew" in caplog.text


def test_nothing_appears_before_all_patches_are_in(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    into = begun(store, key())
    into.add(np.array([0, 1]), VALUES[:2])
    assert store.find(key()) is None
    with pytest.raises(ExportError, match="4 patches"):
        into.finish()
    assert list(tmp_path.iterdir()) == []
    gone = begun(store, key())
    gone.add(np.array([0]), VALUES[:1])
    gone.discard()
    assert list(tmp_path.iterdir()) == []


def test_unreadable_patches_have_a_reason_and_no_row(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    into = begun(store, key())
    into.add(np.array([0, 1, 3]), VALUES[[0, 1, 3]])
    into.add_unreadable(np.array([2]), "a broken JPEG")
    into.finish()
    found = store.find(key())
    assert found is not None
    assert found.features.shape == (3, 5)
    assert dict(found.unreadable) == {(2, 1): "a broken JPEG"}


def test_half_precision_features_do_not_serve_who_wants_full_ones(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    keep(store, key(), precision="bfloat16")
    assert store.find(key(), exact=True) is None
    assert store.find(key()) is not None


@pytest.mark.parametrize("value", [1e6, np.nan, np.inf])
def test_what_float16_cannot_hold_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(ExportError, match="65504"):
        begun(FeatureStore(tmp_path), key()).add(np.array([0]), np.full((1, 3), value))


def test_a_full_disk_is_said_plainly_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    into = begun(FeatureStore(tmp_path), key())
    into.add(np.array([0, 1, 2, 3]), VALUES)
    monkeypatch.setattr(writer_module, "write_json", full)
    with pytest.raises(ExportError, match="No space left on device"):
        into.finish()
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_goes_when_all_take_too_much(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    keys = [key(letter * 32) for letter in "abc"]
    for age, of in enumerate(reversed(keys)):
        keep(store, of)
        os.utime(store.place(of), (1e9 + age, 1e9 + age))
    size = sum(file.stat().st_size for file in store.place(keys[0]).iterdir())
    FeatureStore(tmp_path, 2 * size + 50).make_room()
    assert [store.find(of) is not None for of in keys] == [True, True, False]
    # use counts, not when it was made
    os.utime(store.place(keys[0]), (1e9, 1e9))
    store.find(keys[1])
    FeatureStore(tmp_path, size + 50).make_room()
    assert [store.place(of).exists() for of in keys] == [False, True, False]
    FeatureStore(tmp_path, 0).make_room(keep=keys[1])
    assert store.place(keys[1]).exists()


def test_not_all_is_counted_for_each_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *more = (key(f"{number:032}") for number in range(30))
    keep(FeatureStore(tmp_path), first)
    size = sum(file.stat().st_size for file in FeatureStore(tmp_path).place(first).iterdir())
    store, counts = FeatureStore(tmp_path, 25 * size + size // 2), []
    folders = FeatureStore._folders

    def counted(self: FeatureStore) -> list[Path]:
        counts.append(len(folders(self)))
        return folders(self)

    monkeypatch.setattr(FeatureStore, "_folders", counted)
    store.make_room(keep=first)
    for number, of in enumerate(more, 2):
        keep(store, of)
        os.utime(store.place(of), (1e9 + number, 1e9 + number))
        store.make_room(keep=of)
        assert len(folders(store)) == min(number, 25)
        assert store.place(of).exists()
    # one slide is a 25th of the room: two are a count
    assert 12 <= len(counts) <= 22


def test_all_entries_are_listed(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    assert list(store.entries()) == []
    for letter in "ab":
        keep(store, key(letter * 32))
    unfinished = begun(store, key("c" * 32))
    unfinished.add(np.array([0]), VALUES[:1])
    assert {kept.key.slide[0] for kept in store.entries()} == {"a", "b"}
    unfinished.discard()
