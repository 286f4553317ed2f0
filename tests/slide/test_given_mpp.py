"""A pixel size that the user gives: where none is stated, or in place of what is."""

from pathlib import Path

import pytest

from napari_xmag.errors import GeometryError
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.given_mpp import fill_mpp, override_mpp
from napari_xmag.slide.mpp import typed_mpp
from napari_xmag.slide.mpp_store import remember_mpp, remembered_mpp
from napari_xmag.slide.open import open_slide


@pytest.mark.parametrize(
    ("text", "value"), [("0.25", 0.25), ("0,25", 0.25), (" 2 ", 2.0), ("2,0", 2.0), ("1e-1", 0.1)]
)
def test_a_comma_is_a_point(text: str, value: float) -> None:
    assert typed_mpp(text) == value


@pytest.mark.parametrize("text", ["", "x", "40", "0", "-1", "nan", "inf", "1.234,5", "0.25 0.25"])
def test_what_is_no_pixel_size_is_refused(text: str) -> None:
    with pytest.raises(GeometryError, match="A 40x scan has about"):
        typed_mpp(text)


def test_a_gap_is_filled_and_remembered(no_mpp_slide: Path) -> None:
    slide = open_slide(no_mpp_slide)
    assert fill_mpp(slide, Mpp(0.5, 0.5)) == ""
    assert (slide.mpp, slide.mpp_source) == (Mpp(0.5, 0.5), MppSource.USER)
    assert remembered_mpp(no_mpp_slide) == Mpp(0.5, 0.5)


def test_what_the_file_states_is_kept(pyramid_slide: Path) -> None:
    slide = open_slide(pyramid_slide)
    stated = slide.mpp
    said = fill_mpp(slide, Mpp(0.25, 0.25))
    assert said == "The file states 0.5 µm per pixel, which is used instead of 0.25 µm per pixel."
    assert (slide.mpp, slide.mpp_source) == (stated, MppSource.RESOLUTION_TAG)
    assert fill_mpp(slide, Mpp(0.502, 0.502)) == ""
    assert slide.mpp == stated
    assert remembered_mpp(pyramid_slide) is None


def test_a_new_word_wins_over_a_remembered_one(no_mpp_slide: Path) -> None:
    remember_mpp(no_mpp_slide, Mpp(1.0, 1.0))
    slide = open_slide(no_mpp_slide)
    assert fill_mpp(slide, Mpp(0.5, 0.5)) == ""
    assert (slide.mpp, slide.mpp_conflict) == (Mpp(0.5, 0.5), "")
    assert open_slide(no_mpp_slide).mpp == Mpp(0.5, 0.5)


def test_overriding_says_so_and_is_not_remembered(pyramid_slide: Path) -> None:
    slide = open_slide(pyramid_slide)
    assert override_mpp(slide, Mpp(0.25, 0.25)) == ""
    assert (slide.mpp, slide.mpp_source) == (Mpp(0.25, 0.25), MppSource.OVERRIDE)
    assert "resolution tag says 0.5" in slide.mpp_conflict
    assert remembered_mpp(pyramid_slide) is None


def test_overriding_nothing_fills_the_gap(no_mpp_slide: Path) -> None:
    slide = open_slide(no_mpp_slide)
    assert override_mpp(slide, Mpp(0.5, 0.5)) == ""
    assert (slide.mpp, slide.mpp_source) == (Mpp(0.5, 0.5), MppSource.USER)
    assert remembered_mpp(no_mpp_slide) == Mpp(0.5, 0.5)


def test_what_cannot_be_remembered_is_used_and_told(
    no_mpp_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "file"))
    slide = open_slide(no_mpp_slide)
    assert "could not be remembered for next time" in fill_mpp(slide, Mpp(0.5, 0.5))
    assert slide.mpp == Mpp(0.5, 0.5)
