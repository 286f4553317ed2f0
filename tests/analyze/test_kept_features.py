"""Features are kept as they are encoded, and what is kept is never encoded again."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.analyze import AnalyzeSettings, SlideResult, analyze, analyze_slide
from napari_xmag.analyze import engine as analysis
from napari_xmag.analyze.engine import encode_slide
from napari_xmag.analyze.events import AnalyzeEvent, TilesDone
from napari_xmag.errors import ExportError, TissueError
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.writer import FeatureWriter
from napari_xmag.geometry import Box
from napari_xmag.nets.engines import open as engine_opening
from napari_xmag.nets.model import SlideModel
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueMask, find_tissue
from tests.analyze.orange_model import orange_model
from tests.analyze.slides import Disturbed, damaged

TORCH = AnalyzeSettings(precision="float32", engine="torch")


@pytest.fixture(scope="module")
def slide(pyramid_slide: Path) -> Iterator[Slide]:
    with closing(open_slide(pyramid_slide)) as opened:
        yield opened


@pytest.fixture(scope="module")
def mask(slide: Slide) -> TissueMask:
    return find_tissue(slide)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def unreadable(slide: Slide) -> Slide:
    """A slide that fails whoever reads a tile."""

    def fail(box: Box) -> None:
        raise AssertionError(f"read {box}")

    return Disturbed(slide, fail)  # type: ignore[return-value]


def other_head() -> SlideModel:
    model = orange_model()
    with torch.no_grad():
        model.head.score.bias.copy_(torch.tensor([3.0, -2.0]))
        model.head.attend.weight.mul_(0.5)
    model.info = replace(model.info, name="other")
    return model


def finished(steps: "Iterator[AnalyzeEvent]") -> PatchFeatures:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def require_alike(found: SlideResult, expected: SlideResult) -> None:
    np.testing.assert_allclose(found.logits, expected.logits, atol=5e-3)
    place = [np.lexsort((r.patches.column, r.patches.row)) for r in (found, expected)]
    for name in ("column", "row", "x", "y", "attention"):
        one, two = getattr(found.patches, name), getattr(expected.patches, name)
        np.testing.assert_allclose(one[place[0]], two[place[1]], atol=5e-3)
    assert found.tissue == expected.tissue


@pytest.mark.parametrize("granularity", ["tiles", "cells"])
def test_a_second_model_with_this_encoder_reads_no_tile(
    slide: Slide, mask: TissueMask, store: FeatureStore, granularity: str
) -> None:
    first, second = (replace_granularity(m, granularity) for m in (orange_model(), other_head()))
    analyze_slide(slide, first, TORCH, mask, store=store)
    events: list[AnalyzeEvent] = []
    found = analyze_slide(unreadable(slide), second, TORCH, mask, events.append, store)
    require_alike(found, analyze_slide(slide, second, TORCH, mask))
    done = [event for event in events if isinstance(event, TilesDone)]
    assert done[-1].done == done[-1].total == found.tiles_read
    assert found.settings["engine"] == "kept features"
    assert found.settings["precision"] == "float32"


def replace_granularity(model: SlideModel, granularity: str) -> SlideModel:
    model.info = replace(model.info, granularity=granularity)  # type: ignore[arg-type]
    return model


def test_another_encoder_encodes_anew(slide: Slide, mask: TissueMask, store: FeatureStore) -> None:
    analyze_slide(slide, orange_model(), TORCH, mask, store=store)
    other = orange_model()
    with torch.no_grad():
        other.student.backbone.gain.fill_(1.5)
    found = analyze_slide(slide, other, TORCH, mask, store=store)
    require_alike(found, analyze_slide(slide, other, TORCH, mask))
    assert len(list(store.entries())) == 2


def test_less_tissue_is_taken_from_what_is_kept_and_more_is_encoded(
    slide: Slide, mask: TissueMask, store: FeatureStore
) -> None:
    half = replace(mask, pixels=mask.pixels.copy())
    half.pixels[:, : half.pixels.shape[1] // 2] = False
    model = orange_model()
    small = analyze_slide(slide, model, TORCH, half, store=store)
    whole = analyze_slide(slide, model, TORCH, mask, store=store)
    assert len(whole.patches) > len(small.patches)
    assert whole.settings["engine"] == "torch"
    require_alike(analyze_slide(unreadable(slide), model, TORCH, half, store=store), small)
    steps = encode_slide(unreadable(slide), model, store, TORCH, half)
    assert len(finished(steps)) == len(small.patches)


def test_kept_features_need_no_network(
    slide: Slide, mask: TissueMask, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyze_slide(slide, orange_model(), TORCH, mask, store=store)

    def fail(*args: object) -> None:
        raise AssertionError("opened an engine")

    monkeypatch.setattr(engine_opening, "_open", fail)
    assert analyze_slide(unreadable(slide), other_head(), TORCH, mask, store=store).logits


def test_who_wants_kept_features_asks_no_head(
    slide: Slide, mask: TissueMask, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished(encode_slide(slide, orange_model(), store, TORCH, mask))

    def fail(*args: object) -> None:
        raise AssertionError("opened a head")

    monkeypatch.setattr(analysis, "open_head", fail)
    kept = finished(encode_slide(unreadable(slide), orange_model(), store, TORCH, mask))
    np.testing.assert_array_equal(kept.features, made.features)


def test_unreadable_tiles_are_remembered_with_their_reason(
    slide: Slide, mask: TissueMask, store: FeatureStore
) -> None:
    lost = Disturbed(slide, damaged(Box(1400, 900, 300, 300)))
    first = analyze_slide(lost, orange_model(), TORCH, mask, store=store)  # type: ignore[arg-type]
    again = analyze_slide(unreadable(slide), orange_model(), TORCH, mask, store=store)
    assert first.unreadable
    assert again.unreadable == first.unreadable
    assert {flag.code for flag in again.flags} == {flag.code for flag in first.flags}
    require_alike(again, first)


def test_a_cancelled_run_leaves_nothing(
    slide: Slide, mask: TissueMask, store: FeatureStore
) -> None:
    settings = replace(TORCH, batch_size=4)
    with closing(analyze(slide, orange_model(), settings, mask, store)) as events:
        next(event for event in events if isinstance(event, TilesDone))
    assert list(store.folder.iterdir()) == []


def test_a_full_disk_costs_the_features_not_the_answer(
    slide: Slide,
    mask: TissueMask,
    store: FeatureStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(self: FeatureWriter, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FeatureWriter, "_open", full)
    with caplog.at_level(logging.WARNING):
        found = analyze_slide(slide, orange_model(), TORCH, mask, store=store)
    require_alike(found, analyze_slide(slide, orange_model(), TORCH, mask))
    assert "No space left on device" in caplog.text
    assert list(store.folder.iterdir()) == []
    with pytest.raises(ExportError, match="No space left on device"):
        finished(encode_slide(slide, orange_model(), store, TORCH, mask))


def test_encoding_gives_what_the_student_gives(
    slide: Slide, mask: TissueMask, store: FeatureStore
) -> None:
    model = orange_model()
    kept = finished(encode_slide(slide, model, store, TORCH, mask))
    expected = analyze_slide(slide, model, TORCH, mask)
    assert len(kept) == len(expected.patches)
    pixels = np.stack(
        [
            slide.read(Box(*box[:2], box[2] - box[0], box[3] - box[1]), 0)
            for box in kept.corners()[:3]
        ]
    )
    means = pixels.reshape(3, -1, 3).mean(1) / 255
    np.testing.assert_allclose(kept.features[:3], means, atol=0.02)
    assert kept.names == (slide.path.name, "orange")


def test_a_slide_without_tissue_has_nothing_to_encode(
    slide: Slide, mask: TissueMask, store: FeatureStore
) -> None:
    nothing = replace(mask, pixels=np.zeros_like(mask.pixels))
    with pytest.raises(TissueError, match="no tissue"):
        finished(encode_slide(slide, orange_model(), store, TORCH, nothing))
    assert analyze_slide(slide, orange_model(), TORCH, nothing, store=store).predicted is None
