"""What every slide can do: close itself after a ``with`` block, and name itself in one line."""

from pathlib import Path

import pytest
from PIL import Image

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.openslide import OpenSlideSlide
from napari_xmag.slide.picture import PictureSlide
from napari_xmag.slide.tiff.slide import TiffSlide
from tests.slides import draw_section

SOME = Box(1000, 800, 64, 64)


@pytest.mark.parametrize(
    ("backend", "name"), [(OpenSlideSlide, "bounds_slide"), (TiffSlide, "pyramid_slide")]
)
def test_a_with_block_closes_the_slide(
    backend: type, name: str, request: pytest.FixtureRequest
) -> None:
    with backend(request.getfixturevalue(name)) as slide:
        assert slide.read(SOME, 0).shape == (64, 64, 3)
    with pytest.raises(TileReadError, match="closed"):
        slide.read(SOME, 0)


def test_a_with_block_closes_the_slide_after_an_error_too(aperio_slide: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_slide(aperio_slide) as slide:
        1 / 0
    with pytest.raises(TileReadError, match="closed"):
        slide.read(SOME, 0)


def test_a_picture_opens_in_a_with_block(tmp_path: Path) -> None:
    Image.fromarray(draw_section(200, 100)).save(tmp_path / "field.png")
    with PictureSlide(tmp_path / "field.png", 0.5) as slide:
        assert slide.read(Box(0, 0, 200, 100), 0).shape == (100, 200, 3)


def test_a_slide_says_in_one_line_what_it_is(aperio_slide: Path, no_mpp_slide: Path) -> None:
    line = repr(open_slide(aperio_slide))
    assert line.endswith("aperio.svs: 4096 × 3072 px, 0.25 µm/px, 3 levels>")
    assert "no pixel size, 1 level>" in repr(open_slide(no_mpp_slide))
