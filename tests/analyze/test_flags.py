"""Flags say what is the matter, and are silent otherwise."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze.flags import (
    TEACH_AGAIN,
    FlagCode,
    coarse_flags,
    degenerate_flags,
    finder_flags,
    mpp_flags,
    not_taught_flags,
    range_flags,
    tissue_flags,
    unreadable_flags,
)
from tests.slide.tissue.sections import HEIGHT, WIDTH, find
from tests.slides import GLASS, draw_section


def _codes(folder: Path, picture: np.ndarray) -> list[str]:
    return [flag.code for flag in finder_flags(find(folder, picture.astype(np.uint8)))]


def test_a_section_on_clean_glass_is_no_flag(tmp_path: Path) -> None:
    assert _codes(tmp_path, draw_section(WIDTH, HEIGHT)) == []


def test_tissue_without_any_glass_is_said(tmp_path: Path) -> None:
    middle = draw_section(3 * WIDTH, 3 * HEIGHT)[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]
    assert _codes(tmp_path, middle) == [FlagCode.NEARLY_ALL_TISSUE]


def test_a_crumb_on_much_glass_is_said(tmp_path: Path) -> None:
    crumb = np.full((3000, 3000, 3), GLASS)
    crumb[1200:1300, 1200:1300] = draw_section(400, 400)[150:250, 150:250]
    assert _codes(tmp_path, crumb) == [FlagCode.NEARLY_NO_TISSUE]


def test_pen_that_was_left_out_is_said(tmp_path: Path) -> None:
    drawn = draw_section(WIDTH, HEIGHT)
    drawn[30:70, 60:700] = (20, 60, 190)
    assert _codes(tmp_path, drawn) == [FlagCode.PEN_MARKS]
    (flag,) = finder_flags(find(tmp_path, drawn))
    assert "were left out" in flag.words


def test_what_looks_like_pen_but_was_kept_is_said(tmp_path: Path) -> None:
    smooth = np.full((HEIGHT, WIDTH, 3), GLASS)
    smooth[100:500, 200:600] = (60, 90, 190)
    (flag,) = finder_flags(find(tmp_path, smooth.astype(np.uint8)))
    assert flag.code == FlagCode.PEN_MARKS
    assert "was kept" in flag.words


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
    assert "correct it" in flag.words


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
    assert "0.2528 µm) was entered by hand" in mpp_flags("user", 0.25281, "")[0].words
    assert "remembered" in mpp_flags("remembered from the user", 0.25, "")[0].words


def test_conflict_quotes_the_sources() -> None:
    (flag,) = mpp_flags("vendor property", 0.25, "the tags say 0.5 µm")
    assert flag.words == "The pixel size is doubtful. The tags say 0.5 µm."


@pytest.mark.parametrize(
    ("slide", "code"),
    [
        (0.25, ""),
        (2.0, ""),
        (2.4, ""),
        (2.6, "coarse_slide"),
        (4.0, "coarse_slide"),
        (8.0, "too_coarse"),
        (16.0, "too_coarse"),
    ],
)
def test_a_slide_coarser_than_the_model_is_said(slide: float, code: str) -> None:
    found = coarse_flags(slide, 2.0)
    assert "".join(flag.code for flag in found) == code
    assert all(f"{slide:g} µm" in flag.words for flag in found)


def test_range() -> None:
    assert range_flags(1.0, 1.5) == []
    (far,), (near,) = range_flags(2.0, 1.5), range_flags(1.52, 1.5)
    assert far.code == near.code == FlagCode.OUT_OF_RANGE
    assert "(1.3 times the usual distance)" in far.words
    assert "(just beyond the usual distance)" in near.words
    assert "(beyond the usual distance)" in range_flags(2.0, 0.0)[0].words
    (taught,) = range_flags(2.0, 1.5, is_taught=True)
    assert "those the model was taught on" in taught.words
    assert "teach the model again" in taught.words
    assert "teach" not in far.words


def test_what_to_do_is_said_once() -> None:
    (alone,) = not_taught_flags(0.6)
    (beside,) = not_taught_flags(0.6, is_advised=True)
    assert alone.code == beside.code == FlagCode.OUT_OF_RANGE
    assert alone.words == f"{beside.words} {TEACH_AGAIN}"
