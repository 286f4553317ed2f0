"""The two sample slides of File > Open Sample."""

import hashlib
from pathlib import Path

import numpy as np
import pooch
import pytest
from npe2 import PluginManager

from napari_xmag._gui import sample_data
from napari_xmag._gui.sample_data import CMU_NAME, CMU_SHA256, cmu_sample, colon_sample
from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.sample import samples_folder


def test_the_built_in_sample_opens_without_network(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_data, "sample_slide", lambda: sample)
    ((levels, arguments, kind),) = colon_sample()
    assert kind == "image"
    assert levels[0].shape == (8192, 12288, 3)
    assert arguments["scale"] == pytest.approx((0.5, 0.5))
    picture = np.asarray(levels[-1])
    assert picture[0, 0] == pytest.approx(243, abs=3)
    assert picture[picture.shape[0] // 2].std() > 10


def test_both_samples_are_offered_by_napari() -> None:
    manager = PluginManager()
    manager.discover()
    samples = dict(manager.iter_sample_data())["napari-xmag"]
    assert {sample.key for sample in samples} == {"colon", "cmu-1-small-region"}


def test_without_network_the_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(SlideOpenError, match=r"fetched.*built-in sample") as caught:
        cmu_sample()
    assert isinstance(caught.value.causes[0], ConnectionError)


def test_an_altered_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pooch fetches from a file as it does from the web.
    altered = tmp_path / "altered.svs"
    altered.write_bytes(b"not what was published")

    def copy(url: str, output_file: str, _: object) -> None:
        Path(output_file).write_bytes(altered.read_bytes())

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: copy)
    with pytest.raises(SlideOpenError, match="could not be fetched"):
        cmu_sample()
    assert not (samples_folder() / CMU_NAME).exists()


@pytest.mark.real_data
def test_the_download_is_the_published_slide(
    real_slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = (real_slides / CMU_NAME).read_bytes()
    assert hashlib.sha256(original).hexdigest() == CMU_SHA256

    def copy(url: str, output_file: object, _: object) -> None:
        Path(str(output_file)).write_bytes(original)

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: copy)
    ((levels, arguments, _),) = cmu_sample()
    assert levels[0].shape == (2967, 2220, 3)
    assert arguments["scale"] == pytest.approx((0.499, 0.499))
