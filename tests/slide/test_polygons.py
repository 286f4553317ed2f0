"""Pixels in polygons: those whose centres lie inside, however many corners there are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_xmag.errors import TissueError
from napari_xmag.slide import polygons
from napari_xmag.slide.polygons import pixels_in_polygon


def _reference(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Fill by skimage, which puts pixel centres on whole numbers."""
    mask = np.zeros((height, width), bool)
    mask[polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, mask.shape)] = True
    return mask


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("at_once", [2**22, 7])
def test_any_polygon_is_filled_by_the_even_odd_rule(
    seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polygons, "_AT_ONCE", at_once)
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, 90, (rng.integers(3, 30), 2))
    np.testing.assert_array_equal(pixels_in_polygon(corners, 60, 70), _reference(corners, 60, 70))


def test_edges_on_whole_pixels_take_whole_pixels() -> None:
    corners = np.array([(2, 1), (6, 1), (6, 4), (2, 4)], np.float64)
    mask = pixels_in_polygon(corners, 8, 8)
    assert mask[1:4, 2:6].all()
    assert mask.sum() == 12


def test_a_million_corners_cost_no_more_memory_than_the_picture() -> None:
    turn = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    corners = np.stack([500 + 400 * np.cos(turn), 500 + 400 * np.sin(turn)], axis=1)
    assert pixels_in_polygon(corners, 1000, 1000).sum() == pytest.approx(np.pi * 400**2, rel=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_corners_that_are_no_places_are_refused(bad: float) -> None:
    with pytest.raises(TissueError, match="not finite"):
        pixels_in_polygon(np.array([(0, 0), (bad, 1), (2, 2)], np.float64), 8, 8)


def test_an_outline_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygons, "_MOST", 100)
    corners = np.array([(x, 1000 * (x % 2)) for x in range(20)], np.float64)
    with pytest.raises(TissueError, match="20 corners that go to and fro"):
        pixels_in_polygon(corners, 1000, 100)
