"""The range of a few slides."""

import weakref

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_xmag.nets.info import TrainingRange
from napari_xmag.nets.slides_range import compact_parts, slides_range


def grid(columns: int = 32, rows: int = 16) -> NDArray[np.float64]:
    """Return places (P, 2) in pixels."""
    across, down = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.stack([across.ravel(), down.ravel()], 1) * 256.0


def slide(seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    """Return features (512, 24) of a slide whose left half is another tissue than its right."""
    draw = np.random.default_rng(seed)
    tissue = np.where(grid()[:, :1] < 16 * 256, 1.0, -1.0)
    stain = draw.normal(0, 0.1, 24) + shift
    return (tissue + stain + draw.normal(0, 1, (512, 24))).astype(np.float32)


@pytest.mark.parametrize(("slides", "parts"), [(1, 8), (2, 4), (3, 3), (4, 2), (7, 2), (8, 1)])
def test_eight_parts_or_slides_make_the_range(slides: int, parts: int) -> None:
    features = [slide(seed) for seed in range(slides)]
    found = slides_range(features, [grid()] * slides)
    assert found is not None
    assert found.slides == slides
    expected = TrainingRange.fit(
        [f[rows] for f in features for rows in compact_parts(grid(), parts)]
    )
    assert found.limit == pytest.approx(expected.limit)
    np.testing.assert_allclose(found.mean, expected.mean)


@pytest.mark.parametrize("slides", [1, 2, 3, 6])
def test_slides_alike_lie_within_and_others_beyond(slides: int) -> None:
    found = slides_range([slide(seed) for seed in range(slides)], [grid()] * slides)
    assert found is not None
    within = [found.distance(slide(seed)) <= found.limit for seed in range(100, 120)]
    assert all(within)
    assert found.distance(slide(200, shift=3.0)) > found.limit


def test_too_little_has_no_range() -> None:
    assert slides_range([], []) is None
    assert slides_range([slide(0)[:0]] * 3, [grid()[:0]] * 3) is None
    assert slides_range([slide(0)[:15]], [grid()[:15]]) is None
    assert slides_range([slide(0)[:16]], [grid()[:16]]) is not None
    assert slides_range([slide(0)[:7], slide(1)], [grid()[:7], grid()]) is None
    assert slides_range([np.ones((512, 24))], [grid()]) is None


def test_a_slide_of_few_patches_is_few_parts() -> None:
    features = [slide(0), slide(1), slide(2)[:3]]
    found = slides_range(features, [grid(), grid(), grid()[:3]])
    divided = compact_parts(grid(), 3)
    parts = [one[rows] for one in features[:2] for rows in divided]
    expected = TrainingRange.fit([*parts, features[2]])
    assert found is not None
    assert found.limit == pytest.approx(expected.limit)


def test_one_slide_at_a_time_is_read() -> None:
    alive: list[weakref.ref[NDArray[np.float32]]] = []

    class Mapped:
        def __array__(self, dtype: object = None, copy: object = None) -> NDArray[np.float32]:
            assert not any(one() is not None for one in alive)
            read = slide(len(alive))
            alive.append(weakref.ref(read))
            return read

    assert slides_range([Mapped() for _ in range(12)], [grid()] * 12) is not None
    assert len(alive) >= 12


@pytest.mark.parametrize(("places", "count"), [(6, 3), (7, 3), (12, 6), (16, 8), (33, 16)])
def test_no_part_is_smaller_than_its_share(places: int, count: int) -> None:
    sizes = [len(part) for part in compact_parts(grid()[:places], count)]
    assert sum(sizes) == places
    assert min(sizes) == places // count


@pytest.mark.parametrize("count", [1, 3, 8, 16])
def test_parts_are_compact_and_of_one_size(count: int) -> None:
    columns, rows = np.meshgrid(np.arange(32), np.arange(16))
    places = np.stack([columns.ravel(), rows.ravel()], 1) * 256.0
    parts = compact_parts(places, count)
    assert len(parts) == count
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(512))
    assert {len(part) for part in parts} <= {512 // count, 512 // count + 1}
    for part in parts:
        width, height = np.ptp(places[part], axis=0) / 256 + 1
        assert max(width, height) <= 2 * min(width, height)
        # a part may end and begin within a column
        assert len(part) <= width * height <= len(part) + 2 * max(width, height)


def test_places_may_lie_together() -> None:
    parts = compact_parts(np.zeros((3, 2)), 3)
    assert sorted(part.tolist() for part in parts) == [[0], [1], [2]]
