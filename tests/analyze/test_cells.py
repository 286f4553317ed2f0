"""A head that attends over cells: a finer map from the same tiles."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze import SlidePlanned, SlideResult, TilesDone, analyze, analyze_slide
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import find_tissue
from tests.analyze.conftest import Found
from tests.analyze.orange_model import TILE_UM, orange_model
from tests.analyze.slides import Disturbed, damaged

EXACT = AnalyzeSettings(precision="float32")


def covered(result: SlideResult, square: Box) -> np.ndarray:
    """Return which part of each row of the table lies on the square, 0 to 1."""
    parts = [result.patches.box(index).intersection(square) for index in range(len(result.patches))]
    area = result.stride_x * result.stride_y
    return np.array([part.width * part.height / area if part else 0.0 for part in parts])


def test_cells_draw_the_square_four_times_finer(found: Found) -> None:
    result = analyze_slide(found.slide, orange_model(granularity="cells"), EXACT)
    mpp = result.mpp
    assert result.stride_x * mpp.x == pytest.approx(TILE_UM / 4)
    assert result.stride_y * mpp.y == pytest.approx(TILE_UM / 4)
    on_square = covered(result, found.square)
    hot = result.patches.attention > 0.5 * result.patches.attention.max()
    assert hot.any()
    assert on_square[hot].min() > 0.8
    inside = on_square > 0.99
    cold = on_square == 0
    assert result.patches.attention_logit[inside].min() > result.patches.attention_logit[cold].max()


def test_map_and_number_still_agree(found: Found) -> None:
    result = analyze_slide(found.slide, orange_model(granularity="cells"), EXACT)
    np.testing.assert_allclose(result.patches.evidence.sum(axis=0), result.logits, rtol=1e-4)
    assert result.predicted == "orange"


def test_progress_counts_tiles_while_the_map_counts_cells(section: Slide) -> None:
    events = list(analyze(section, orange_model(granularity="cells"), EXACT))
    planned = next(event for event in events if isinstance(event, SlidePlanned))
    done = [event for event in events if isinstance(event, TilesDone)]
    result = events[-1].result
    assert done[-1].done == done[-1].total == planned.tiles == result.tiles_read
    assert len(result.patches) == len(planned.grid.boxes) > 4 * planned.tiles
    indices = np.concatenate([event.indices for event in done])
    assert sorted(indices) == list(range(len(planned.grid.boxes)))


def test_an_unreadable_tile_takes_its_cells_along(section: Slide) -> None:
    model = orange_model(granularity="cells")
    whole = analyze_slide(section, model, EXACT)
    x, y = whole.patches.box(len(whole.patches) // 2).center
    slide = Disturbed(section, damaged(Box(x, y, 1, 1)))
    mask = find_tissue(section)  # the damage is met by the tiles alone
    result = analyze_slide(slide, model, EXACT, mask)
    assert len(result.unreadable) == 1
    lost = result.unreadable[0].box
    assert lost.width == pytest.approx(4 * result.stride_x)
    inside = covered(whole, lost) > 0.5
    assert len(result.patches) == len(whole.patches) - inside.sum()
    assert not (covered(result, lost) > 1e-6).any()


def test_what_is_saved_says_that_rows_are_cells(section: Slide, tmp_path: Path) -> None:
    result = analyze_slide(section, orange_model(granularity="cells"), EXACT)
    result.save(tmp_path / "case")
    again = SlideResult.load(tmp_path / "case")
    assert again.model["granularity"] == "cells"
    assert again.tiles_read == result.tiles_read
