"""A damaged slide is analyzed as far as it can be read, and the result says what is missing."""

from pathlib import Path

import pytest

from napari_xmag.analyze import analyze_slide
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import orange_model
from tests.slides import draw_section, write_pyramid


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A slide of which the file ends in the middle."""
    path = write_pyramid(
        tmp_path / "half.tif", draw_section(3000, 2600), factors=(1,), compression=None
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def test_what_can_be_read_is_analyzed_and_what_cannot_is_counted(half: Path) -> None:
    with open_slide(half) as slide:
        result = analyze_slide(slide, orange_model())
    codes = {flag.code for flag in result.flags}
    assert {"damaged", "unreadable_tiles"} <= codes
    assert result.tiles_read > 0
    assert result.unreadable
    assert max(result.patches.y) < 1300
    words = next(flag.words for flag in result.flags if flag.code == "damaged")
    assert "51 % of the slide" in words
