"""What the user paints or draws is tissue, but never what was not scanned."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import TissueError
from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import painted, tissue_in_polygons


def _ellipse() -> float:
    """Part of the picture that draw_section covers with tissue."""
    return float(np.pi * 0.32 * 0.36)


def test_painting_wins_but_not_over_unscanned(alpha_slide: Path) -> None:
    slide = open_slide(alpha_slide)
    pixels = np.zeros((200, 300), bool)
    pixels[20:40, 50:250] = True
    mask = painted(slide, pixels)
    assert mask.method == "painted"
    assert mask.fraction(Box(1100, 200, 1400, 200)) == 1
    assert mask.fraction(Box(0, 0, 990, 2000)) == 0
    with pytest.raises(TissueError, match="200×200"):
        painted(slide, np.zeros((200, 200), bool))


def test_polygons_narrow_the_tissue(pyramid_slide: Path) -> None:
    slide = open_slide(pyramid_slide)
    left = np.array([(0, 0), (1500, 0), (1500, 2000), (0, 2000)], float)
    mask = tissue_in_polygons(slide, [left])
    assert mask.method == "regions"
    assert mask.fraction(Box(1520, 0, 1480, 2000)) == 0
    assert mask.pixels.mean() == pytest.approx(_ellipse() / 2, abs=0.02)
    everything = tissue_in_polygons(slide, [left], only_tissue=False)
    assert everything.fraction(Box(0, 0, 1490, 2000)) == pytest.approx(1, abs=0.01)
    with pytest.raises(TissueError, match="1 region beside the slide"):
        tissue_in_polygons(slide, [left + 9000])
    with pytest.raises(TissueError, match="2 regions, none of them on the slide"):
        tissue_in_polygons(slide, [left + 9000, left - 9000])
    with pytest.raises(TissueError, match="1 region too small to be seen"):
        tissue_in_polygons(slide, [1500 + left / 1500])
