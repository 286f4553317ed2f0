"""Flags say what is the matter, and are silent otherwise."""

import numpy as np
import pytest

from napari_xmag.analyze.flags import (
    FlagCode,
    degenerate_flags,
    mpp_flags,
    range_flags,
    tissue_flags,
    unreadable_flags,
)


def test_enough_tissue_is_no_flag() -> None:
    assert tissue_flags(200, 200, 52.0) == []


def test_little_tissue_says_how_much() -> None:
    (flag,) = tissue_flags(3, 3, 0.789)
    assert flag.code == FlagCode.LITTLE_TISSUE
    assert "3 tiles (0.79 mm²)" in flag.words
    assert "1 tile (" in tissue_flags(1, 1, 0.1)[0].words


def test_no_tissue_says_what_to_do() -> None:
    (flag,) = tissue_flags(0, 0, 0)
    assert flag.code == FlagCode.NO_TISSUE
    assert "repaint" in flag.words


@pytest.mark.parametrize(
    ("unreadable", "said"), [(1, "1 of 40 tiles (2.5 %)"), (40, "None of the")]
)
def test_unreadable_tiles_are_counted(unreadable: int, said: str) -> None:
    assert unreadable_flags(40, 0) == []
    assert said in unreadable_flags(40, unreadable)[0].words


def test_attention_that_differs_is_no_flag() -> None:
    assert degenerate_flags(np.array([0.5, 0.3, 0.2])) == []
    assert degenerate_flags(np.array([1.0, 0.0])) == []
    assert degenerate_flags(np.array([1.0])) == []
    assert degenerate_flags(np.empty(0)) == []


def test_attention_that_hardly_differs() -> None:
    (flag,) = degenerate_flags(np.array([0.251, 0.25, 0.25, 0.249]))
    assert flag.code == FlagCode.DEGENERATE_MAP


def test_mpp_of_the_scanner_is_no_flag() -> None:
    assert mpp_flags("vendor property", 0.25, "") == []


def test_mpp_by_hand_says_the_value() -> None:
    assert "0.2528 µm) was given by hand" in mpp_flags("user", 0.25281, "")[0].words
    assert "remembered" in mpp_flags("remembered from the user", 0.25, "")[0].words


def test_conflict_quotes_the_sources() -> None:
    (flag,) = mpp_flags("vendor property", 0.25, "the tags say 0.5 µm")
    assert flag.words == "Sources disagree about the pixel size. The tags say 0.5 µm."


def test_range() -> None:
    assert range_flags(1.0, 1.5) == []
    assert range_flags(2.0, 1.5)[0].code == FlagCode.OUT_OF_RANGE
