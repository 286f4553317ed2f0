"""Values of tiles, live and final, agree with the engine's result."""

from dataclasses import dataclass

import numpy as np
import pytest

from napari_xmag._gui.analyze.run_panel import in_words
from napari_xmag._gui.analyze.scores import LiveScores, PatchScores, shown_values
from napari_xmag._gui.analyze.state import SlideProgress
from napari_xmag.analyze import HeatMapView, SlideFinished, SlidePlanned, TilesDone, analyze
from napari_xmag.analyze.heatmap import hide_below
from napari_xmag.errors import ConfigError
from napari_xmag.export.palette import map_limits
from napari_xmag.formatting import percent
from napari_xmag.slide.open import open_slide
from tests.nets.students import tiny_model


@pytest.fixture(scope="module")
def run(aperio_slide):
    """All events of an analysis."""
    slide = open_slide(aperio_slide)
    yield list(analyze(slide, tiny_model()))
    slide.close()


def test_live_values_become_the_result(run) -> None:
    plan = next(event for event in run if isinstance(event, SlidePlanned))
    result = next(event for event in run if isinstance(event, SlideFinished)).result
    live = LiveScores(plan, result.classes)
    shown = [live.add(event) for event in run if isinstance(event, TilesDone)]

    assert not any(scores.final for scores in shown)
    assert shown[-1].known == len(result.patches) == len(plan.grid.boxes)
    final = PatchScores.of(result)
    for view in HeatMapView:
        np.testing.assert_allclose(
            shown[-1].values(view, "malignant"), final.values(view, "malignant"), rtol=1e-4
        )


def test_tile_under_a_point(run) -> None:
    result = next(event for event in run if isinstance(event, SlideFinished)).result
    scores, tiles = PatchScores.of(result), result.patches
    for tile in range(len(tiles)):
        inside = tiles.x[tile] + 1, tiles.y[tile] + tiles.height[tile] - 1
        assert scores.patch_at(*inside) == tile
    assert scores.patch_at(-5, 10) is None
    assert scores.patch_at(10, 1e9) is None


def test_unknown_class_is_refused(run) -> None:
    result = next(event for event in run if isinstance(event, SlideFinished)).result
    with pytest.raises(ConfigError, match="benign, malignant"):
        PatchScores.of(result).values(HeatMapView.EVIDENCE, "cat")


def test_threshold_hides_weak_evidence_of_either_sign() -> None:
    values = np.array([-2, -0.5, 0, 0.5, 1, np.nan], np.float32)
    low, high = map_limits(HeatMapView.EVIDENCE, values)
    assert (low, high) == (-2, 2)  # ±10, shared out among five patches
    assert map_limits(HeatMapView.EVIDENCE, values, is_shares=True) == (-0.2, 0.2)
    kept = np.isfinite(hide_below(values, high, 0.5))
    assert kept.tolist() == [True, False, False, False, True, False]


@dataclass
class Grid:
    """Patches of one size in a row or a square."""

    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]
    stride_x: float
    origin_x: float = 0.0
    origin_y: float = 0.0

    @property
    def stride_y(self) -> float:
        """As wide as high."""
        return self.stride_x


def test_a_difference_is_taken_where_both_have_a_patch() -> None:
    # two patches of 200 px; the other result has the first of them, as four of 100 px
    large = Grid(np.array([0, 0]), np.array([0, 1]), (1, 2), 200.0)
    small = Grid(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), (2, 2), 100.0)
    one = PatchScores(
        large, ("a",), np.array([0.75, 0.25], np.float32), np.float32([[4], [1]]), final=True
    )
    other = PatchScores(
        small, ("a",), np.full(4, 0.25, np.float32), np.float32([[1], [1], [1], [1]]), final=True
    )
    raw = shown_values(one, HeatMapView.RAW, "", other)
    np.testing.assert_allclose(raw.values, [0.75 - 4 * 0.25, np.nan])  # for the same area
    assert (raw.low, raw.high, raw.diverging) == (-0.25, 0.25, True)
    evidence = shown_values(one, HeatMapView.EVIDENCE, "a", other)
    np.testing.assert_allclose(evidence.values, [0, np.nan])
    assert (evidence.low, evidence.high) == (-5, 5)
    rank = shown_values(one, HeatMapView.RANK, "", other)
    np.testing.assert_allclose(rank.values, [1 - 0.5, np.nan])
    assert (rank.low, rank.high) == (-1, 1)
    assert not shown_values(one, HeatMapView.RANK, "").diverging


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (SlideProgress("finding the tissue"), "Finding the tissue …"),
        (
            SlideProgress("loading PyTorch and the model", 0, 40),
            "40 tiles planned · loading PyTorch and the model …",
        ),
        (
            SlideProgress("", 312, 1250, 58.2, 16.1),
            "312 of 1250 tiles · 58 tiles/s · 16 s left",
        ),
        (
            SlideProgress("", 5, 9000, 4.31, 2087),
            "5 of 9000 tiles · 4.3 tiles/s · 35 min left",
        ),
        (
            SlideProgress("", 9, 10, 3, 1, 2),
            "9 of 10 tiles · 3.0 tiles/s · 1 s left · 2 unreadable",
        ),
    ],
)
def test_progress_in_words(progress: SlideProgress, words: str) -> None:
    assert in_words(progress) == words


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0, "0 %"), (0.004, "< 1 %"), (0.436, "44 %"), (0.995, "> 99 %"), (1, "100 %")],
)
def test_percent_never_claims_certainty(probability: float, words: str) -> None:
    assert percent(probability) == words
