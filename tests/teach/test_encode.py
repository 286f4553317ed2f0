"""A slide made ready for teaching once is ready in the next session."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze import engine
from napari_xmag.analyze.engine import encode_slide
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import ConfigError
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.progress.heartbeat import finish
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import find_tissue, whole_slide
from napari_xmag.teach.encode import ReadySlide, encoded_slide, kept_slide
from tests.slides import draw_section, write_pyramid

FAST = AnalyzeSettings(engine="torch", precision="float32", batch_size=16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_pyramid(tmp_path / "a.tiff", draw_section(1024, 768))


def test_the_next_session_looks_for_no_tissue_and_opens_no_engine(
    path: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    with closing(open_slide(path)) as slide:
        assert kept_slide(slide, model, store, FAST, finer=True) is None
        first = finish(encoded_slide(slide, model, store, FAST, finer=True))
        expected = find_tissue(slide)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was kept")

    for name in ("find_tissue", "EncoderLanes", "plan_bag"):
        monkeypatch.setattr(engine, name, never)
    with closing(open_slide(path)) as slide:
        found = kept_slide(slide, StoredModel.open(Path(tiny)), store, FAST, finer=True)
        require_same(found, first)
        assert kept_slide(slide, model, store, FAST) is not None
        assert kept_slide(slide, model, store, replace(FAST, min_tissue=0.5)) is None
    assert found is not None
    np.testing.assert_array_equal(found.mask.pixels, expected.pixels)
    assert found.mask.findings == expected.findings
    for mask in (first.mask, first.found, found.mask, found.found):
        held = [value for value in vars(mask).values() if isinstance(value, np.ndarray)]
        assert all(array.dtype == np.bool_ for array in held)  # no sums, which are larger


def test_patches_of_another_tissue_are_planned_again_once(
    path: Path, tiny: str, tmp_path: Path
) -> None:
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    with closing(open_slide(path)) as slide:
        first = finish(encoded_slide(slide, model, store, FAST))
        whole = finish(encode_slide(slide, model, store, FAST, whole_slide(slide)))
        assert len(whole) > len(first.prepared.features)
        assert kept_slide(slide, model, store, FAST) is None
        again = finish(encoded_slide(slide, model, store, FAST))
        np.testing.assert_array_equal(again.mask.pixels, first.mask.pixels)
        assert len(again.prepared.features) == len(first.prepared.features)
        # the store holds the whole slide still, and which of it is tissue
        kept = kept_slide(slide, model, store, FAST)
        assert kept is not None
        assert kept.prepared.features.mark == again.prepared.features.mark != whole.mark
        np.testing.assert_array_equal(kept.prepared.centers, first.prepared.centers)
        np.testing.assert_array_equal(kept.mask.pixels, first.mask.pixels)
        assert store.find(whole.key).mark == whole.mark


def test_what_cannot_be_encoded_leaves_nothing(path: Path, tiny: str, tmp_path: Path) -> None:
    store, model = FeatureStore(tmp_path / "store"), StoredModel.open(Path(tiny))
    with closing(open_slide(path)) as slide:
        with pytest.raises(ConfigError):
            finish(encoded_slide(slide, model, store, replace(FAST, device="cuda:9")))
        assert kept_slide(slide, model, store, FAST) is None


def require_same(found: ReadySlide | None, first: ReadySlide) -> None:
    assert found is not None
    one, two = first.prepared, found.prepared
    assert one.id == two.id
    assert one.features.mark == two.features.mark != ""
    np.testing.assert_array_equal(one.tissue, two.tissue)
    assert one.finer is not None
    assert two.finer is not None
    np.testing.assert_array_equal(one.finer.first, two.finer.first)
    np.testing.assert_array_equal(one.finer.tissue, two.finer.tissue)
