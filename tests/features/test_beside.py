"""What was found out about patches: kept with their features, and of these very features only."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.features import beside
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.files import said_plainly
from tests.features.test_store import begun, keep, key

NAME, ARRAYS = "found.npz", {"values": np.arange(24.0).reshape(4, 6), "name": np.array("auto")}


@pytest.fixture
def kept(tmp_path: Path) -> PatchFeatures:
    kept = keep(FeatureStore(tmp_path), key())
    FeatureStore(tmp_path).keep_beside(kept, NAME, "a rule", ARRAYS)
    return kept


def test_arrays_come_back_in_another_session(tmp_path: Path, kept: PatchFeatures) -> None:
    again = FeatureStore(tmp_path).find(key())
    assert again is not None
    found = FeatureStore(tmp_path).find_beside(again, NAME, "a rule")
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    np.testing.assert_array_equal(found["values"], ARRAYS["values"])
    assert str(found["name"]) == "auto"


def test_what_was_made_of_something_else_is_not_found(tmp_path: Path, kept: PatchFeatures) -> None:
    store = FeatureStore(tmp_path)
    assert store.find_beside(kept, NAME, "another rule") is None
    assert store.find_beside(kept.part(np.array([0, 1])), NAME, "a rule") is None
    saved = (store.place(key()) / NAME).read_bytes()
    other = begun(store, key())  # the same slide and encoder, other patches
    other.add(np.arange(4), np.full((4, 5), 3.0))
    replaced = other.finish()
    assert store.find_beside(replaced, NAME, "a rule") is None
    (store.place(key()) / NAME).write_bytes(saved)
    assert store.find_beside(replaced, NAME, "a rule") is None
    assert store.find_beside(kept, NAME, "a rule") is not None


@pytest.mark.parametrize("place", [0, 200, -30, -200])
def test_damage_is_told_and_it_is_made_anew(
    tmp_path: Path, kept: PatchFeatures, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    store = FeatureStore(tmp_path)
    path = store.place(key()) / NAME
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    assert store.find_beside(kept, NAME, "a rule") is None
    path.write_bytes(content[: len(content) // 2])
    assert store.find_beside(kept, NAME, "a rule") is None
    assert "will be made anew" in caplog.text
    store.keep_beside(kept, NAME, "a rule", ARRAYS)
    assert store.find_beside(kept, NAME, "a rule") is not None


def test_a_full_disk_or_a_removed_folder_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore(tmp_path)
    kept = keep(store, key())

    def full(*_: object, **__: object) -> None:
        with said_plainly(tmp_path / NAME):
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(beside.np, "savez", full)
        store.keep_beside(kept, NAME, "a rule", ARRAYS)
    assert "No space left on device" in caplog.text
    assert store.find_beside(kept, NAME, "a rule") is None
    assert not [file for file in store.place(key()).iterdir() if "found" in file.name]
    FeatureStore(tmp_path, 0).make_room()
    store.keep_beside(kept, NAME, "a rule", ARRAYS)
    assert not store.place(key()).exists()


def test_it_counts_for_the_limit_and_goes_with_the_features(tmp_path: Path) -> None:
    old, new = (keep(FeatureStore(tmp_path), key(letter * 32)) for letter in "ab")
    size = sum(f.stat().st_size for f in FeatureStore(tmp_path).place(new.key).iterdir())
    store = FeatureStore(tmp_path, 2 * size + 4000)
    store.keep_beside(new, NAME, "", {"much": np.zeros(4000)})
    assert store.find(old.key) is None
    assert store.find_beside(new, NAME, "") is not None
