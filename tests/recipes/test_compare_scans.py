"""Patches of two scans are matched by their place in µm."""

from types import SimpleNamespace

import numpy as np
import pytest
from compare_scans import agreement, matched, median


class Patches(SimpleNamespace):
    """Columns of a table of patches."""

    def __len__(self) -> int:
        return len(self.x)


def result(places: np.ndarray, mpp: float, values: np.ndarray) -> SimpleNamespace:
    """Patches of 128 µm whose corners lie at ``places`` (P, 2) in µm."""
    side = 128 / mpp
    patches = Patches(
        x=places[:, 0] / mpp,
        y=places[:, 1] / mpp,
        width=np.full(len(places), side),
        height=np.full(len(places), side),
        attention_logit=values,
        evidence=np.stack([-values, values], axis=1),
    )
    slide = {"mpp_x": mpp, "mpp_y": mpp}
    chances = {"answer": "b", "probabilities": (0.2, 0.8), "classes": ("a", "b")}
    return SimpleNamespace(patches=patches, slide=slide, stride_x=side, **chances)


def test_places_are_matched_across_resolutions() -> None:
    places = 128.0 * np.stack(np.meshgrid(range(4), range(3)), -1).reshape(-1, 2)
    values = np.random.default_rng(0).normal(size=len(places))
    order = np.random.default_rng(1).permutation(len(places))[:9]
    one = result(places, 0.5, values)
    other = result(places[order] + 10, 2.0, 3 * values[order])
    first, second = matched(one, other)
    assert sorted(first) == sorted(order)
    np.testing.assert_array_equal(order[second], first)
    far = result(places + np.array([5072, 0]), 2.0, values)
    assert len(matched(one, far)[0]) == 0
    cells = agreement(one, other)
    assert cells[2:4] == ["1.000", "1.000"]
    assert cells[4:] == ["b / b", "0.800 / 0.800 b"]
    rows = [["a", "2 / 2", "2", low, "0.250", "", ""] for low in ("0.100", "0.600", "0.300")]
    assert median(rows)[3:5] == ["0.300 (0.100 to 0.600)", "0.250 (0.250 to 0.250)"]
    other.patches.evidence[:, 1] *= -1
    assert float(agreement(one, other)[3]) == pytest.approx(-1)
