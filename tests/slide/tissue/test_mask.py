"""How much of a box is tissue, exactly."""

import numpy as np
import pytest

from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.tissue import TissueMask


def test_fraction_is_exact_within_mask_pixels() -> None:
    mask = TissueMask(np.array([[True, False], [False, True]]), 10.0, 20.0, "painted")
    assert mask.fraction(Box(0, 0, 20, 40)) == pytest.approx(0.5)
    assert mask.fraction(Box(5, 0, 10, 20)) == pytest.approx(0.5)
    assert mask.fraction(Box(2.5, 5, 10, 10)) == pytest.approx(0.75)
    assert mask.fraction(Box(-10, 0, 20, 20)) == pytest.approx(0.5)
    assert mask.fraction(Box(100, 100, 20, 20)) == 0
    assert mask.fractions([]).shape == (0,)
    assert mask.area_um2(Mpp(0.5, 0.25)) == pytest.approx(2 * 5 * 5)


def test_grid_fractions_are_those_of_its_boxes() -> None:
    rng = np.random.default_rng(4)
    pixels, unreadable = rng.random((2, 37, 53)) < 0.4
    mask = TissueMask(pixels, 7.3, 8.1, "painted", unreadable=unreadable)
    x, y = -20.5 + 31.7 * np.arange(16), 3.25 + 29.9 * np.arange(12)
    boxes = [Box(left, top, 31.7, 29.9) for top in y[:-1] for left in x[:-1]]
    found = mask.grid_fractions(x, y)
    assert found.shape == (11, 15)
    np.testing.assert_allclose(found.ravel(), mask.fractions(boxes), atol=1e-8)
    assert found.min() == 0
    assert 0.2 < found.mean() < 0.6
    damaged = TissueMask(unreadable, 7.3, 8.1, "painted")
    np.testing.assert_allclose(
        mask.unreadable_grid_fractions(x, y), damaged.grid_fractions(x, y), atol=1e-8
    )
    assert not damaged.unreadable_grid_fractions(x, y).any()
