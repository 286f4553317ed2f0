"""Areas shrink and grow as SciPy's filters say."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from napari_xmag.slide.tissue.areas import grown, shrunk, within_reach


@pytest.mark.parametrize("shape", [(61, 47), (3, 40), (5, 1), (1, 1)])
@pytest.mark.parametrize("radius", [0, 1, 2, 6])
def test_areas_shrink_and_grow_by_a_square(shape: tuple[int, int], radius: int) -> None:
    chosen = np.random.default_rng(0).random(shape)
    size = 2 * radius + 1
    for share in (0.02, 0.5, 0.98):
        pixels = chosen < share
        np.testing.assert_array_equal(
            shrunk(pixels, radius), minimum_filter(pixels, size, mode="nearest")
        )
        np.testing.assert_array_equal(
            grown(pixels, radius), maximum_filter(pixels, size, mode="nearest")
        )


def test_numbers_are_picked_within_reach_and_stay() -> None:
    values = np.random.default_rng(0).integers(0, 9999, (40, 50)).astype(np.uint16)
    before = values.copy()
    largest = within_reach(values, 2, np.maximum)
    np.testing.assert_array_equal(largest, maximum_filter(values, 5, mode="nearest"))
    np.testing.assert_array_equal(values, before)
