"""Hotspots follow their rule."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_xmag.analyze import SlideResult
from napari_xmag.qupath.hotspots import MOST, hotspots
from tests.analyze.test_result import make_result


def with_evidence(malignant: NDArray[np.float32], stride: float = 2048.0) -> SlideResult:
    """Return a result whose 10 columns of patches have this evidence for malignant."""
    plain = make_result(len(malignant))
    evidence = np.stack([-malignant, malignant], axis=1).astype(np.float32)
    return replace(
        plain,
        patches=replace(plain.patches, evidence=evidence),
        grid_shape=(-(-len(malignant) // 10), 10),
        stride_x=stride,
        stride_y=stride,
    )


def test_joined_by_their_sides_and_sorted() -> None:
    evidence = np.full(100, -0.1, np.float32)
    evidence[[12, 13, 23]] = 1  # an L
    evidence[[34]] = 0.5  # touches it only at a corner
    evidence[[77, 78]] = 2
    found = hotspots(with_evidence(evidence))
    assert [spot.patches.tolist() for spot in found] == [[77, 78], [12, 13, 23], [34]]
    assert [spot.evidence for spot in found] == [4, 3, 0.5]
    area = 2048.0**2
    assert [spot.shape.area for spot in found] == pytest.approx([2 * area, 3 * area, area])
    left = 1501 + 7 * 2048
    assert found[0].shape.bounds == pytest.approx((left, 2003 + 7 * 2048, left + 4096, 18387))


def test_only_the_strongest_tenth() -> None:
    found = hotspots(with_evidence(np.arange(1, 101, dtype=np.float32)))
    assert sorted(index for spot in found for index in spot.patches) == list(range(90, 100))


def test_nothing_that_speaks_against_the_class() -> None:
    assert hotspots(with_evidence(np.full(100, -1, np.float32))) == []


def test_least_area() -> None:
    evidence = np.full(100, -1, np.float32)
    evidence[[3, 55, 56]] = 1
    # cells of 112 µm: 0.0125 mm² each, so that one alone is too small
    found = hotspots(with_evidence(evidence, stride=448.0))
    assert [spot.patches.tolist() for spot in found] == [[55, 56]]


def test_at_most_so_many() -> None:
    evidence = np.full(1000, -1, np.float32)
    evidence[::11] = np.linspace(1, 2, len(evidence[::11]))
    assert len(hotspots(with_evidence(evidence))) == MOST == 20


def test_none_without_a_prediction() -> None:
    assert hotspots(make_result(0)) == []
