"""A slide with one orange square at an odd place, and what an analysis makes of it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from napari_xmag.analyze import SlideResult, analyze_slide
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import TILE_UM, orange_model, orange_tissue
from tests.slides import Pixels, draw_section, write_leica, write_pyramid


@dataclass(frozen=True)
class Found:
    """An analyzed slide and where its orange square lies, in level-0 pixels of the file."""

    slide: Slide
    result: SlideResult
    square: Box


def with_square(width: int, height: int, mpp: float, x: int, y: int) -> tuple[Pixels, Box]:
    """Draw a section with an orange square as large as a tile, with the texture of tissue."""
    pixels = draw_section(width, height)
    side = round(TILE_UM / mpp)
    pixels[y : y + side, x : x + side] = orange_tissue(side, side)
    return pixels, Box(x, y, side, side)


@pytest.fixture(
    scope="session",
    params=[(0.5, False), (0.37, False), (0.5, True), (0.37, True)],
    ids=["0.50", "0.37", "0.50-bounds", "0.37-bounds"],
)
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Found]:
    """The slide at two mpp, with and without bounds."""
    mpp, bounds = request.param
    folder = tmp_path_factory.mktemp("square")
    pixels, square = with_square(3000, 2200, mpp, 1733, 811)
    if bounds:
        path = write_leica(folder / "square.scn", pixels, mpp=mpp, offset=(1501, 2003))
    else:
        path = write_pyramid(folder / "square.tiff", pixels, mpp=mpp)
    with closing(open_slide(path)) as slide:
        corner = slide.bounds
        assert (corner.x > 0) == bounds
        result = analyze_slide(slide, orange_model())
        yield Found(slide, result, square.shifted(corner.x, corner.y))


@pytest.fixture
def section(pyramid_slide: Path) -> Iterator[Slide]:
    """A small open slide without anything orange."""
    with closing(open_slide(pyramid_slide)) as slide:
        yield slide
