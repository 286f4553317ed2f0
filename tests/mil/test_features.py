"""What features of a slide are kept by, and when they are computed anew."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.geometry import Mpp
from napari_xmag.mil.features import SlideFeatures, slide_features, slide_identity
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.encoder import Encoder
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.mpp_store import remember_mpp
from tests.slides import draw_section, write_pyramid
from tests.train.cohorts import tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def plain(path: Path, seed: int) -> Path:
    """Write an uncompressed slide: all such files of one size have one length."""
    pixels = draw_section(700, 500, seed=seed)
    return write_pyramid(path, pixels, factors=(1,), compression=None)


def features(path: Path, encoder: Encoder, cache: Path, mpp: float | None = None) -> SlideFeatures:
    tiles = TileEncoder(encoder.student)
    return finish(slide_features(path, mpp, tiles, cache=cache, encoder_id="tiny"))


def test_another_slide_under_the_same_path_is_encoded_anew(
    encoder: Encoder, tmp_path: Path
) -> None:
    """A scan that was replaced: name, size and time of the file are those of the old one."""
    path, cache = plain(tmp_path / "case.tif", 1), tmp_path / "cache"
    before, time = features(path, encoder, cache), path.stat().st_mtime_ns
    length = path.stat().st_size
    plain(path, 2)
    os.utime(path, ns=(time, time))
    assert path.stat().st_size == length
    after = features(path, encoder, cache)
    assert not np.array_equal(before.features, after.features)


def test_a_slide_that_was_moved_is_not_encoded_again(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = plain(tmp_path / "case.tif", 1), tmp_path / "cache"
    before = features(path, encoder, cache)
    moved = shutil.copy(path, tmp_path / "renamed.tif")
    monkeypatch.setattr("napari_xmag.slide.open.open_slide", None)  # nothing is opened again
    np.testing.assert_array_equal(features(moved, encoder, cache).features, before.features)


@pytest.mark.parametrize("damage", ["zeroed", "cut", "another slide's", "flipped"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_features_that_were_altered_are_told_and_made_anew(
    encoder: Encoder,
    tmp_path: Path,
    damage: str,
    suffix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, cache = plain(tmp_path / "case.tif", 1), tmp_path / "cache"
    before = np.array(features(path, encoder, cache).features)
    (file,) = cache.glob(f"*{suffix}")
    data = bytearray(file.read_bytes())
    if damage == "another slide's":
        features(plain(tmp_path / "other.tif", 2), encoder, tmp_path / "other")
        for other in (tmp_path / "other").iterdir():
            shutil.copy(other, file.with_suffix(other.suffix))
    elif damage == "cut":
        file.write_bytes(data[:-7])
    elif damage == "zeroed":
        file.write_bytes(bytes(len(data)))
    else:
        data[-40 if suffix == ".npy" else 150] ^= 4
        file.write_bytes(data)
    np.testing.assert_array_equal(features(path, encoder, cache).features, before)
    assert "are damaged and made anew" in caplog.text
    caplog.clear()
    features(path, encoder, cache)
    assert not caplog.text


def test_what_is_remembered_of_a_slide_counts(no_mpp_slide: Path) -> None:
    def name(mpp: float | None = None) -> str:
        return slide_identity(no_mpp_slide, mpp, ())

    marks = {name(), name(0.5)}
    remember_mpp(no_mpp_slide, Mpp(0.25, 0.25))
    marks.add(name())
    remember_mpp(no_mpp_slide, Mpp(1.0, 1.0))
    assert len(marks | {name()}) == 4
    assert name(0.5) in marks
