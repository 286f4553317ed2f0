"""Pen of any colour is no tissue, on glass and beside a section."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from tests.slide.tissue.sections import HEIGHT, WIDTH, Mask, ellipse, find, share
from tests.slides import Color, draw_section

PENS: dict[str, Color] = {
    "pale blue": (150, 195, 238),
    "maroon": (120, 25, 45),
    "purple": (100, 40, 150),
    "orange": (240, 130, 40),
    "green": (20, 140, 90),
    "black": (35, 33, 38),
    "red": (215, 20, 40),
}


def _strokes() -> Mask:
    """A line of 100 µm along the top, and an angle of it at the right."""
    picture = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(picture)
    draw.line([(40, 45), (430, 35), (720, 50)], fill=255, width=50, joint="curve")
    draw.line([(730, 150), (750, 400), (700, 540)], fill=255, width=50, joint="curve")
    return np.asarray(picture) > 0


@pytest.mark.parametrize("pen", PENS)
def test_pen_is_no_tissue(tmp_path: Path, pen: str) -> None:
    strokes = _strokes()
    ink = gaussian_filter(strokes.astype(np.float32), 2)[..., None]
    section = draw_section(WIDTH, HEIGHT, seed=7)
    drawn = section * np.exp(np.log(np.array(PENS[pen]) / 255) * ink)
    mask = find(tmp_path, drawn.astype(np.uint8))
    assert share(mask, strokes) < 0.02
    assert share(mask, ellipse()) > 0.97
    assert mask.findings is not None
    assert mask.findings.pen > 0.05
    assert mask.findings.kept == 0
