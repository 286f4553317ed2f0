"""The places that are shown carry most of what speaks for the class, and lie apart."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xmag.analyze import SlideResult
from napari_xmag.errors import ConfigError
from napari_xmag.review.evidence import foremost
from tests.analyze.test_result import make_result


def with_evidence(malignant: list[float], *, columns: int = 10, step: float = 1.0) -> SlideResult:
    """Return a result whose patches add so much to the class; ``step`` in parts of a tile."""
    result, tiles = make_result(len(malignant)), len(malignant)
    table, place = result.patches, np.arange(tiles)
    side = result.model["tile_px"] * result.model["mpp"] / result.mpp.x * step
    evidence = np.stack([np.full(tiles, -1.0), np.array(malignant)], 1).astype(np.float32)
    moved = replace(table, x=place % columns * side, y=place // columns * side, evidence=evidence)
    return replace(result, patches=moved)


def test_as_many_as_carry_four_fifths() -> None:
    found = foremost(with_evidence([1, 5, 2, -9, 4, 3, 0.5]), "malignant")
    assert found.patches.tolist() == [1, 4, 5, 2]  # 14 of 15.5; without the last 12
    assert found.carried == pytest.approx(14 / 15.5)
    np.testing.assert_allclose(found.shares, np.array([5, 4, 3, 2]) / 15.5)
    np.testing.assert_array_equal(found.values, np.array([5, 4, 3, 2], np.float32))
    assert found.words == "32 % of the evidence for malignant comes from a single patch."


def test_at_most_twenty() -> None:
    found = foremost(with_evidence([1.0] * 100), "malignant")
    assert len(found) == 20
    assert found.carried == pytest.approx(0.2)
    assert found.words == ""


def test_neighbours_are_shown_once_and_counted() -> None:
    # cells, a quarter of a tile wide: a gland over three of them, and another one far away
    found = foremost(with_evidence([2, 4, 3, 0, 0, 0, 0, 3], step=0.25), "malignant")
    assert found.patches.tolist() == [1, 7]
    assert found.carried == pytest.approx(1)
    assert found.shares.tolist() == pytest.approx([4 / 12, 3 / 12])


def test_half_a_tile_is_apart() -> None:
    found = foremost(with_evidence([4, 3, 3], step=0.5), "malignant")
    assert found.patches.tolist() == [0, 1, 2]


def test_nothing_speaks_for_a_class() -> None:
    found = foremost(with_evidence([1, 2]), "benign")
    assert (len(found), found.carried, found.words) == (0, 0, "")
    assert len(foremost(make_result(0))) == 0


def test_attention() -> None:
    result = with_evidence([0.0] * 4)
    attention = np.array([0.1, 0.37, 0.33, 0.2], np.float32)
    shown = foremost(replace(result, patches=replace(result.patches, attention=attention)))
    assert shown.patches.tolist() == [1, 2, 3]
    assert shown.words == "37 % of all attention comes from a single patch."


def test_an_unknown_class() -> None:
    with pytest.raises(ConfigError):
        foremost(make_result(), "other")
