"""The clock: every stage, both ways, and what was only measured in part says so."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.evaluate.config import SpeedConfig
from napari_xmag.evaluate.encoders import load
from napari_xmag.evaluate.speed import evaluate_speed, reading_order
from napari_xmag.evaluate.times import StageTime, Way, ratios, short
from napari_xmag.zoo import save_model
from tests.nets.students import tiny_model

STAGES = {"tissue", "plan", "read", "encode", "head"}


def config(slide: Path, coarse: dict[str, Any], **more: Any) -> SpeedConfig:
    return SpeedConfig.model_validate(
        {
            "slides": [slide],
            "coarse": {"name": "5x", **coarse},
            "machine": {"device": "cpu"},
            **more,
        }
    )


def run(settings: SpeedConfig, out: Path) -> dict[str, Any]:
    list(evaluate_speed(settings, out))
    (found,) = json.loads((out / "results.json").read_text(encoding="utf-8"))["slides"]
    return found


def test_both_ways_on_one_slide(pyramid_slide: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    fine = {"name": "20x", "student": tiny_encoder, "mpp": 0.5, "tile_px": 64}
    settings = config(pyramid_slide, {"student": tiny_encoder}, fine=fine)
    found = run(settings, tmp_path)
    coarse, fine_way = found["ways"]
    assert (coarse["mpp"], fine_way["mpp"]) == (2.0, 0.5)
    # sixteen for tissue without edges; the tiles at the edge make it less
    assert 8 < found["ratio"]["tiles"] <= 16
    for way in found["ways"]:
        assert set(way["stages"]) == STAGES
        assert all(stage["seconds"] > 0 for stage in way["stages"].values())
        assert not any(stage["extrapolated"] for stage in way["stages"].values())
        assert way["seconds"] == pytest.approx(
            sum(stage["seconds"] for stage in way["stages"].values())
        )
    assert found["ratio"]["seconds"] == pytest.approx(fine_way["seconds"] / coarse["seconds"])
    words = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "slides per minute" in words
    assert "about" not in words
    assert (tmp_path / "times.png").exists()


def test_a_small_budget_is_extrapolated_and_says_so(
    pyramid_slide: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    fine = {"student": tiny_encoder, "mpp": 0.25, "tile_px": 64}
    found = run(config(pyramid_slide, fine, budget_seconds=0.05), tmp_path)
    (way,) = found["ways"]
    for name in ("read", "encode"):
        stage = way["stages"][name]
        assert stage["extrapolated"]
        assert 0 < stage["measured_tiles"] < way["tiles"]
        # far fewer tiles fit the budget than there are, so all of them take far longer
        assert stage["seconds"] > 0.05
    assert "about" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_the_whole_analysis_is_timed_for_a_slide_model(pyramid_slide: Path, tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "tiny")
    found = run(config(pyramid_slide, {"model": str(tmp_path / "tiny")}), tmp_path / "out")
    analysis = found["analysis"]
    assert 0 < analysis["first_map_pixels"] < analysis["opening_and_all"]
    assert analysis["tiles"] == found["ways"][0]["tiles"]
    assert analysis["peak_memory_gb"] > 0.1


def test_an_architecture_with_random_weights_is_built_for_its_tile() -> None:
    shape = {"name": "s", "shape": "vit_tiny_patch16_224", "mpp": 2.0, "tile_px": 64}
    encoder = load(config(Path("x"), shape).coarse)
    assert (encoder.dim, encoder.spec.tile_px) == (192, 64)


def test_sums_and_ratios_by_hand() -> None:
    def way(read: float, encode: float, tiles: int) -> Way:
        stages = {
            "tissue": StageTime(1.0, tiles, tiles),
            "read": StageTime(read, tiles, tiles),
            "encode": StageTime(encode, tiles // 2, tiles),
        }
        return Way("w", 2.0, 224, 10, "cpu", "float32", tiles, stages)

    coarse, fine = way(2.0, 3.0, 10), way(20.0, 159.0, 113)
    assert coarse.seconds == 6.0
    assert coarse.overlapped == 4.0
    assert coarse.extrapolated
    found = ratios(coarse, fine)
    assert found == {"tiles": 11.3, "seconds": 30.0, "seconds_overlapped": 40.0}


def test_reading_order_is_all_tiles_in_runs_of_neighbours() -> None:
    order = reading_order(1000)
    np.testing.assert_array_equal(np.sort(order), range(1000))
    assert (np.diff(order) == 1).mean() > 0.95


def test_numbers_are_short_but_whole() -> None:
    assert [short(value) for value in (0.001234, 2.5, 999.4, 2646.7)] == [
        "0.00123",
        "2.5",
        "999",
        "2647",
    ]
