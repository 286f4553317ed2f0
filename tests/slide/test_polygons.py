"""Pixels in polygons: those whose centres lie inside, however many corners there are."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_xmag.errors import TissueError
from napari_xmag.slide import polygons
from napari_xmag.slide.polygons import fill_polygon


def pixels_in_polygon(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    pixels = np.zeros((height, width), bool)
    fill_polygon(pixels, corners)
    return pixels


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


def test_what_was_filled_before_stays() -> None:
    pixels = np.ones((5, 5), bool)
    fill_polygon(pixels, np.array([(0, 0), (9, 0), (9, 9), (0, 9), (1, 1)], np.float64))
    assert pixels.all()


def test_a_small_polygon_costs_no_more_than_its_surroundings() -> None:
    pixels = np.zeros((2000, 2000), bool)
    corners = np.array([(1002, 1001), (1006, 1001), (1006, 1004)], np.float64)
    tracemalloc.start()
    fill_polygon(pixels, corners)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pixels.any()
    assert peak < pixels.size / 10


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_corners_that_are_no_places_are_refused(bad: float) -> None:
    with pytest.raises(TissueError, match="not finite"):
        pixels_in_polygon(np.array([(0, 0), (bad, 1), (2, 2)], np.float64), 8, 8)


def test_an_outline_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygons, "_MOST", 100)
    corners = np.array([(x, 1000 * (x % 2)) for x in range(20)], np.float64)
    with pytest.raises(TissueError, match="20 corners that go to and fro"):
        pixels_in_polygon(corners, 1000, 100)
