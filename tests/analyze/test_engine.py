"""A run from the first event to the last, and what can go wrong in between."""

import threading
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.analyze import (
    AnalyzeSettings,
    FlagCode,
    SlidePlanned,
    TilesDone,
    Waiting,
    analyze,
    analyze_slide,
    encode_tiles,
)
from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished
from napari_xmag.errors import ConfigError, ModelError, MppMissingError
from napari_xmag.geometry import Box
from napari_xmag.nets.engines.base import EngineChoice
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.model import SlideModel
from napari_xmag.slide.base import MppSource, Slide
from napari_xmag.zoo import load_model, save_model
from tests.analyze.conftest import Found
from tests.analyze.orange_model import orange_model
from tests.analyze.slides import Disturbed, PlainSlide, damaged, everything
from tests.listener import Gate, threads_end
from tests.nets.students import tiny_model

EXACT = AnalyzeSettings(precision="float32")
TORCH = AnalyzeSettings(precision="float32", engine="torch")
GRAPH = AnalyzeSettings(engine="graph")


@pytest.fixture
def plain(tmp_path: Path) -> PlainSlide:
    """A slide of 600 tiles."""
    path = tmp_path / "plain.svs"
    path.write_bytes(b"plain")
    return PlainSlide(path, tiles=600)


def codes(result: object) -> set[str]:
    return {flag.code for flag in result.flags}  # type: ignore[attr-defined]


def test_results_of_one_second_have_an_order(plain: PlainSlide) -> None:
    made = [analyze_slide(plain, orange_model(), EXACT).created for _ in range(3)]
    assert made == sorted(set(made))


def test_events_come_in_order_and_agree_with_the_result(section: Slide) -> None:
    events = [e for e in analyze(section, orange_model(), EXACT) if not isinstance(e, Waiting)]
    planned, *done, finished = events
    assert isinstance(planned, SlidePlanned)
    assert isinstance(finished, SlideFinished)
    assert all(isinstance(event, TilesDone) for event in done)
    result = finished.result
    assert done[-1].done == done[-1].total == planned.tiles == len(result.patches)
    assert [event.done for event in done] == sorted(event.done for event in done)
    indices = np.concatenate([event.indices for event in done])
    order = np.argsort(indices)
    live = np.concatenate([event.attention_logit for event in done])[order]
    np.testing.assert_array_equal(live, result.patches.attention_logit)
    np.testing.assert_array_equal(planned.grid.columns[indices[order]], result.columns)
    assert done[-1].seconds_left == 0
    assert done[-1].tiles_per_second > 0


def test_map_and_number_come_from_one_pass(found: Found) -> None:
    result = found.result
    np.testing.assert_allclose(result.patches.evidence.sum(axis=0), result.logits, rtol=1e-4)
    assert result.patches.attention.sum() == pytest.approx(1, abs=1e-5)
    logits = np.array(result.logits)
    raw = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(result.probabilities_raw, raw, rtol=1e-5)
    calibrated = np.exp(logits / 2) / np.exp(logits / 2).sum()
    np.testing.assert_allclose(result.probabilities, calibrated, rtol=1e-5)


def test_an_analysis_leaves_the_callers_model_as_it_was(section: Slide) -> None:
    model = dropping_model()
    modes = {name: module.training for name, module in model.named_modules()}
    before = {name: (value.clone(), value.stride()) for name, value in model.state_dict().items()}
    first, second = (analyze_slide(section, model, EXACT) for _ in range(2))
    # a head that drops features at random would give other numbers each time
    np.testing.assert_array_equal(first.patches.attention_logit, second.patches.attention_logit)
    assert modes == {name: module.training for name, module in model.named_modules()}
    assert any(modes.values())
    for name, value in model.state_dict().items():
        assert value.device == before[name][0].device
        assert value.stride() == before[name][1]
        assert torch.equal(value, before[name][0])


def dropping_model() -> SlideModel:
    """Return a model as it is in training: the head drops half of the features."""
    model = tiny_model()
    model.head.dropout.p = 0.5
    model.head.train()
    return model


@pytest.mark.parametrize("granularity", ["tiles", "cells"])
def test_engines_give_one_map_and_one_answer(section: Slide, granularity: Granularity) -> None:
    model = orange_model(granularity=granularity)
    in_torch, as_graph = (analyze_slide(section, model, how) for how in (TORCH, GRAPH))
    assert [result.settings["engine"] for result in (in_torch, as_graph)] == ["torch", "graph"]
    assert as_graph.settings["precision"] == "float32"
    for column in ("x", "y"):
        np.testing.assert_array_equal(
            getattr(as_graph.patches, column), getattr(in_torch.patches, column)
        )
    for column in ("attention_logit", "attention", "evidence"):
        np.testing.assert_allclose(
            getattr(as_graph.patches, column), getattr(in_torch.patches, column), atol=1e-3
        )
    np.testing.assert_allclose(as_graph.probabilities, in_torch.probabilities, atol=1e-3)
    assert codes(as_graph) == codes(in_torch)


def test_model_in_its_folder_gives_what_it_gives_in_memory(section: Slide, tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "tiny")
    model = load_model(tmp_path / "tiny")
    stored = StoredModel.open(tmp_path / "tiny")
    results = [
        analyze_slide(section, one, how) for one in (model, stored) for how in (TORCH, GRAPH)
    ]
    assert len({result.model["sha256"] for result in results}) == 1
    for result in results[1:]:
        np.testing.assert_allclose(
            result.patches.attention, results[0].patches.attention, atol=1e-3
        )
        np.testing.assert_allclose(result.probabilities, results[0].probabilities, atol=1e-3)


@pytest.mark.parametrize("engine", ["torch", "graph"])
def test_batch_size_changes_nothing(section: Slide, engine: EngineChoice) -> None:
    results = [
        analyze_slide(section, orange_model(), AnalyzeSettings(engine=engine, batch_size=size))
        for size in (1, 7)
    ]
    np.testing.assert_allclose(
        results[0].patches.attention_logit, results[1].patches.attention_logit, atol=1e-4
    )
    assert [result.settings["batch_size"] for result in results] == [1, 7]


@pytest.mark.parametrize("granularity", ["tiles", "cells"])
def test_order_of_encoding_changes_no_byte(
    section: Slide, granularity: Granularity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tables = orange_model(granularity=granularity), []
    orders = {
        "live": encode_tiles.live_order,
        "backwards": lambda rows, _: [np.arange(len(rows))[::-1]],
        "single": lambda rows, _: np.random.default_rng(0).permutation(len(rows))[:, None],
    }
    for name, order in orders.items():
        monkeypatch.setattr(encode_tiles, "live_order", order)
        analyze_slide(section, model, GRAPH, listen=lambda _: None).save(tmp_path / name)
        tables.append((tmp_path / name / "tiles.csv").read_bytes())
    assert tables[0].count(b"\n") > 20
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("live", [True, False])
def test_tiles_come_from_all_over_where_somebody_watches(plain: PlainSlide, *, live: bool) -> None:
    running = analyze(plain, orange_model(), EXACT, everything(plain), live=live)
    done = (event for event in running if isinstance(event, TilesDone))
    first = np.concatenate([event.indices for event in islice(done, 2)])
    running.close()
    assert len(first) > 1
    assert (np.diff(first) > 8).all() if live else (np.diff(first) == 1).all()


def test_result_says_where_it_comes_from(found: Found) -> None:
    result = found.result
    assert result.slide["path"] == found.slide.path.name
    assert result.slide["bounds"]["x"] == found.slide.bounds.x
    assert result.model["sha256"] == "0" * 64
    assert result.settings["device"] == "cpu"
    assert result.settings["tissue"] == "auto"
    assert {"tissue", "plan", "model", "read_wait", "encode", "head", "total"} <= set(
        result.seconds
    )
    stages = [seconds for name, seconds in result.seconds.items() if name not in NOT_A_STAGE]
    assert all(seconds >= 0 for seconds in stages)
    assert 0 < sum(stages) <= result.seconds["total"] + 0.001 * len(stages)
    assert {"napari-xmag", "torch", "openslide", "numpy"} <= set(result.versions)


NOT_A_STAGE = {"total", "first_tiles"}


def test_slow_reading_is_full_of_heartbeats(plain: PlainSlide) -> None:
    plain.gate = Gate()
    events = analyze(plain, orange_model(), AnalyzeSettings(workers=1), everything(plain))
    heard = (event for event in events if isinstance(event, Waiting) and event.stage == "reading")
    assert len(list(islice(heard, 3))) == 3
    plain.gate.open()
    events.close()
    assert not plain.gate.overdue


def test_cancel_while_reading_waits_for_no_reader(plain: PlainSlide) -> None:
    events = analyze(plain, orange_model(), AnalyzeSettings(workers=4), everything(plain))
    assert any(isinstance(event, TilesDone) for event in events)
    plain.gate.close()
    assert plain.gate.reached.wait(60)
    events.close()
    reads = plain.reads
    plain.gate.open()
    assert threads_end()
    assert plain.reads == reads < 600
    assert not plain.gate.overdue


def test_cancel_while_encoding_ends_with_the_batch(
    plain: PlainSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, gate = orange_model(), Gate()
    forward = model.student.backbone.forward_features

    def held(images: torch.Tensor) -> torch.Tensor:
        gate.hold()
        return forward(images)

    monkeypatch.setattr(model.student.backbone, "forward_features", held)
    settings = AnalyzeSettings(batch_size=8, precision="float32", engine="torch")
    events = analyze(plain, model, settings, everything(plain))
    assert any(isinstance(event, Waiting) and event.stage == "encoding" for event in events)
    gate.open()
    events.close()
    assert threads_end()
    assert gate.passed <= 4  # of 75 batches, those that were under way
    assert not gate.overdue


def test_cancel_while_looking_for_tissue(section: Slide) -> None:
    gate = Gate()
    events = analyze(Disturbed(section, gate.hold), orange_model(), TORCH)
    assert next(events) == Waiting("finding the tissue")
    assert gate.reached.wait(60)
    events.close()
    gate.open()
    assert threads_end()
    assert not gate.overdue


def test_cancel_gives_torch_its_threads_back(plain: PlainSlide) -> None:
    before = torch.get_num_threads()
    events = analyze(plain, orange_model(), TORCH, everything(plain))
    assert any(isinstance(event, TilesDone) for event in events)
    events.close()
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *seen] == [before, before]


def test_reading_never_runs_far_ahead(plain: PlainSlide, monkeypatch: pytest.MonkeyPatch) -> None:
    model, gate = orange_model(), Gate()
    forward = model.student.backbone.forward_features

    def held(images: torch.Tensor) -> torch.Tensor:
        gate.hold()
        return forward(images)

    monkeypatch.setattr(model.student.backbone, "forward_features", held)
    settings = AnalyzeSettings(batch_size=4, engine="torch")
    events = analyze(plain, model, settings, everything(plain))
    waiting = (event for event in events if isinstance(event, Waiting) and event.total)
    assert len(list(islice(waiting, 6))) == 6
    # 256 tiles read ahead, and some batches on their way
    assert plain.reads < 256 + 4 * 4 * 8
    gate.open()
    assert isinstance(list(events)[-1], SlideFinished)
    assert plain.reads == 600


def test_unreadable_tiles_take_no_part(section: Slide) -> None:
    whole = analyze_slide(section, orange_model(), EXACT)
    x, y = whole.patches.x[20], whole.patches.y[20]
    hole = Box(x + 100, y + 100, 20, 20)
    slide = Disturbed(section, damaged(hole))
    mask = everything(section)
    seen: list[AnalyzeEvent] = []
    result = analyze_slide(slide, orange_model(), EXACT, mask, seen.append)
    assert 1 <= len(result.unreadable) <= 4
    assert any(tile.box.intersection(hole) for tile in result.unreadable)
    assert all("broken JPEG" in tile.reason for tile in result.unreadable)
    assert FlagCode.UNREADABLE_TILES in codes(result)
    boxes = {(tile.box.x, tile.box.y) for tile in result.unreadable}
    assert not boxes & set(zip(result.patches.x, result.patches.y, strict=True))
    last = [event for event in seen if isinstance(event, TilesDone)][-1]
    assert (last.done, last.unreadable) == (last.total, len(result.unreadable))
    assert result.patches.attention.sum() == pytest.approx(1, abs=1e-5)


def test_nothing_readable(section: Slide) -> None:
    slide = Disturbed(section, damaged(Box(0, 0, 3000, 2000)))
    result = analyze_slide(slide, orange_model(), EXACT, everything(section))
    assert len(result.patches) == 0
    assert result.probabilities == ()
    assert result.predicted is None
    assert codes(result) == {FlagCode.NOTHING_READABLE}


def test_no_tissue(plain: PlainSlide) -> None:
    mask = everything(plain)
    empty = type(mask)(np.zeros((1, 1), bool), mask.scale_x, mask.scale_y, "painted")
    result = analyze_slide(plain, orange_model(), EXACT, empty)
    assert result.predicted is None
    assert codes(result) == {FlagCode.NO_TISSUE}
    assert plain.reads == 0


def test_all_tiles_alike(plain: PlainSlide) -> None:
    result = analyze_slide(plain, orange_model(), EXACT, everything(plain))
    assert codes(result) == {FlagCode.DEGENERATE_MAP, FlagCode.RANGE_UNKNOWN}


def test_mpp_given_by_hand(section: Slide) -> None:
    section.mpp_source = MppSource.USER
    section.mpp_conflict = "0.3 µm was given by hand, yet the file says 0.5 µm."
    result = analyze_slide(section, orange_model(demonstration=True), EXACT)
    by_hand = {FlagCode.MPP_BY_HAND, FlagCode.MPP_CONFLICT}
    assert codes(result) == by_hand | {FlagCode.DEMONSTRATION, FlagCode.RANGE_UNKNOWN}
    assert all("found" not in flag.words and flag.words.endswith(".") for flag in result.flags)


def test_out_of_range(section: Slide) -> None:
    from napari_xmag.nets.info import TrainingRange

    rng = np.random.default_rng(0)
    unknown = analyze_slide(section, orange_model(), EXACT)
    assert codes(unknown) & {FlagCode.OUT_OF_RANGE, FlagCode.RANGE_UNKNOWN} == {
        FlagCode.RANGE_UNKNOWN
    }
    blue = TrainingRange.fit([rng.normal((0.1, 0.1, 0.9), 0.02, (50, 3)) for _ in range(5)])
    result = analyze_slide(section, orange_model(training_range=blue), EXACT)
    assert codes(result) & {FlagCode.OUT_OF_RANGE, FlagCode.RANGE_UNKNOWN} == {
        FlagCode.OUT_OF_RANGE
    }


def test_missing_mpp_is_said_at_once(section: Slide) -> None:
    section.mpp = None
    with pytest.raises(MppMissingError, match="--mpp"):
        analyze(section, orange_model())


def test_model_without_numbers(section: Slide) -> None:
    model = orange_model()
    with torch.no_grad():
        model.head.score.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="not a number"):
        analyze_slide(section, model, EXACT)
    assert threads_end()


def test_memory_that_does_not_suffice_halves_the_batch(
    section: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = orange_model()
    forward = model.student.backbone.forward_features

    def small_memory(images: torch.Tensor) -> torch.Tensor:
        if len(images) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(images)

    expected = analyze_slide(section, model, TORCH)
    monkeypatch.setattr(model.student.backbone, "forward_features", small_memory)
    result = analyze_slide(section, model, replace(TORCH, batch_size=16))
    assert result.settings["batch_size"] <= 2
    np.testing.assert_allclose(
        result.patches.attention, expected.patches.attention, rtol=1e-3, atol=1e-6
    )


def test_whole_slide_takes_more(section: Slide) -> None:
    found = analyze_slide(section, orange_model(), EXACT)
    whole = analyze_slide(section, orange_model(), AnalyzeSettings(tissue="whole"))
    assert len(whole.patches) == whole.grid_shape[0] * whole.grid_shape[1] > len(found.patches)
    assert whole.settings["tissue"] == "whole"


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"workers": 0},
        {"min_tissue": 1.5},
        {"tissue": "some"},
        {"precision": "8"},
        {"engine": "steam"},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AnalyzeSettings(**wrong)  # type: ignore[arg-type]


def test_unknown_device(section: Slide) -> None:
    with pytest.raises(ConfigError, match="abacus"):
        analyze_slide(section, orange_model(), AnalyzeSettings(device="abacus"))
