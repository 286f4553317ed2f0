"""Tiles are read few everywhere first; each of them once."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_xmag.slide.reading_order import live_order, spread_passes

Places = tuple[NDArray[np.int64], NDArray[np.int64]]


def _ring(side: int) -> Places:
    """Places of a ring on a grid, row by row."""
    rows, columns = np.mgrid[:side, :side]
    away = np.hypot(rows - side / 2, columns - side / 2) / side
    return np.nonzero((away < 0.45) & (away > 0.2))


CASES = {
    "nothing": (np.empty(0, np.int64), np.empty(0, np.int64)),
    "one": (np.array([7]), np.array([3])),
    "row": (np.zeros(300, np.int64), np.arange(300)),
    "ring": _ring(60),
    "small": _ring(9),
}


@pytest.mark.parametrize("places", CASES.values(), ids=CASES)
def test_every_tile_comes_once(places: Places) -> None:
    for order in (spread_passes, live_order):
        passes = order(*places)
        assert sorted(np.concatenate([np.empty(0, np.int64), *passes])) == list(
            range(len(places[0]))
        )


def test_each_pass_halves_what_is_left_out() -> None:
    """Half as far to the nearest tile that was read, for a fourth of the slide each time."""
    rows, columns = _ring(60)
    points = np.stack([rows, columns], 1)
    seen = np.empty(0, np.int64)
    farthest = []
    for tiles in spread_passes(rows, columns):
        assert len(tiles) <= max(2 * len(seen), 64)
        seen = np.concatenate([seen, tiles])
        farthest.append(cKDTree(points[seen]).query(points)[0].max())
    assert farthest[-1] == 0
    assert farthest == sorted(farthest, reverse=True)
    assert farthest[2] < 0.75 * farthest[0]


def test_whole_slide_is_covered_early_and_read_in_rows_then() -> None:
    rows, columns = _ring(60)
    (order,) = live_order(rows, columns)
    early = len(order) // 8
    points = np.stack([rows, columns], 1)
    assert cKDTree(points[order[:early]]).query(points)[0].max() <= 4
    assert (np.diff(order[early:]) > 0).all()
