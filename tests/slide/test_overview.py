"""The picture of the whole slide: what was scanned, and what was not."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import whole_slide
from tests.slides import draw_section, write_pyramid


@pytest.mark.parametrize("compression", ["jpeg", None])
def test_opaque_black_was_not_scanned(tmp_path: Path, compression: str | None) -> None:
    """Scanners fill what they left out with black; dark nuclei and dark glass are no such gap."""
    picture = draw_section(1600, 1200).copy()
    picture[:, :400] = 0
    picture[0:200, 800:1600] = 12  # nearly black, as JPEG leaves it
    picture[1000:1200, 800:1600] = (96, 62, 140)  # as dark as a nucleus
    path = write_pyramid(tmp_path / "black.tiff", picture, compression=compression)
    with_gaps = whole_slide(open_slide(path))
    assert with_gaps.fraction(Box(16, 16, 368, 1168)) == 0
    assert with_gaps.fraction(Box(816, 16, 768, 168)) == 0
    assert with_gaps.fraction(Box(816, 1016, 784, 184)) == 1
    assert with_gaps.fraction(Box(416, 216, 1184, 984)) == 1
    measured = np.count_nonzero(with_gaps.pixels) / with_gaps.pixels.size
    assert measured == pytest.approx(1 - (400 * 1200 + 800 * 200) / (1600 * 1200), abs=0.01)
