"""Values on the grid, ranks, and views."""

import numpy as np
import pytest

from napari_xmag.analyze import HeatMapView, heat_map, view_values
from napari_xmag.analyze.heatmap import attention_rank, fill_between, on_tissue
from napari_xmag.errors import ConfigError
from napari_xmag.geometry import Mpp
from napari_xmag.slide.tiles import TileGrid
from napari_xmag.slide.tissue import TissueChoice, TissueMask
from tests.analyze.test_result import make_result


def test_rank_is_the_share_of_lower_tiles() -> None:
    ranks = attention_rank(np.array([0.1, 0.4, 0.2, 0.3, 0.0], np.float32))
    np.testing.assert_allclose(ranks, [0.25, 1, 0.5, 0.75, 0])


def test_ties_share_a_rank() -> None:
    ranks = attention_rank(np.array([1, 2, 2, 3], np.float32))
    np.testing.assert_allclose(ranks, [0, 0.5, 0.5, 1])
    np.testing.assert_allclose(attention_rank(np.ones(5, np.float32)), 0.5)


def test_unknown_tiles_have_no_rank() -> None:
    ranks = attention_rank(np.array([np.nan, 2, 1], np.float32))
    np.testing.assert_allclose(ranks, [np.nan, 1, 0])
    assert np.isnan(attention_rank(np.full(3, np.nan, np.float32))).all()
    assert attention_rank(np.ones(1, np.float32)).tolist() == [1]
    assert attention_rank(np.empty(0, np.float32)).shape == (0,)


def test_logits_rank_like_attention() -> None:
    logits = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    attention = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_array_equal(attention_rank(logits), attention_rank(attention))


def test_glass_is_nan() -> None:
    result = make_result(12)
    heat = heat_map(result, result.patches.attention)
    assert heat.pixels.shape == (7, 10)
    assert heat.pixels.dtype == np.float32
    assert np.isfinite(heat.pixels).sum() == 12
    assert heat.pixels[1, 1] == result.patches.attention[11]


def test_no_colour_spills_on_glass() -> None:
    result = make_result(12)
    heat = heat_map(result, result.patches.attention)
    pixels = np.zeros((100, 140), bool)  # of 200 level-0 px; two patches of 2048 px are in it
    pixels[15:18, 10:30] = True
    unreadable = np.zeros_like(pixels)
    unreadable[18, 10] = True
    mask = TissueMask(pixels, 200.0, 200.0, TissueChoice.AUTO, unreadable=unreadable)
    shown = on_tissue(heat, mask)
    y, x = np.mgrid[:100, :140] * 200.0 + 100
    expected = np.full(pixels.shape, np.nan, np.float32)
    for patch in range(12):
        box = result.patches.box(patch)
        inside = (y >= box.y) & (y < box.bottom) & (x >= box.x) & (x < box.right)
        coloured = inside & (pixels | unreadable)
        expected[coloured] = result.patches.attention[patch]
    assert np.isfinite(expected[18, 10])  # what is damaged counts as tissue, as for tiles
    np.testing.assert_array_equal(shown.pixels, expected)
    assert (shown.stride_x, shown.origin_x, shown.origin_y) == (200, 0, 0)
    assert on_tissue(heat, mask, 1000).pixels.size <= 1100


def test_placement() -> None:
    # a stride of 2048 level-0 px at 0.25 µm covers 512 µm; the first tile begins at px (1501, 2003)
    heat = heat_map(make_result(1), np.ones(1, np.float32))
    mpp = Mpp(0.25, 0.5)
    assert heat.scale_um(mpp) == pytest.approx((1024, 512))
    assert heat.translate_um(mpp) == pytest.approx(
        ((2003 + 2047 / 2) * 0.5, (1501 + 2047 / 2) * 0.25)
    )


def test_views() -> None:
    result = make_result()
    tiles = result.patches
    np.testing.assert_array_equal(view_values(result, HeatMapView.RAW), tiles.attention)
    np.testing.assert_array_equal(
        view_values(result, HeatMapView.EVIDENCE, "benign"), tiles.evidence[:, 0]
    )
    predicted = heat_map(result, HeatMapView.EVIDENCE)
    assert predicted.pixels[0, 0] == tiles.evidence[0, 1]
    assert np.nanmax(heat_map(result, HeatMapView.RANK).pixels) == 1


def test_unknown_class() -> None:
    with pytest.raises(ConfigError, match="benign, malignant"):
        view_values(make_result(), HeatMapView.EVIDENCE, "purple")


def test_patches_without_a_value_take_the_nearest_ones() -> None:
    rows, columns = np.nonzero(np.ones((9, 12), bool))
    keep = (rows != 4) | (columns > 5)  # glass inside
    grid = TileGrid((), columns[keep], rows[keep], 1.0, 1, 20.0, 30.0, 0.0, 0.0, (9, 12))
    values = np.full(keep.sum(), np.nan, np.float32)
    known = np.array([0, 17, 60, 88])
    values[known] = [1, 2, 3, 4]
    filled = fill_between(grid, values)
    points = np.stack([grid.rows * 30.0, grid.columns * 20.0], 1)
    apart = np.linalg.norm(points[:, None] - points[known], axis=2)
    for value, away in zip(filled, apart, strict=True):
        assert away[[1, 2, 3, 4].index(int(value))] == pytest.approx(away.min())
    np.testing.assert_array_equal(fill_between(grid, filled), filled)
    nothing = np.full(keep.sum(), np.nan, np.float32)
    assert np.isnan(fill_between(grid, nothing)).all()
