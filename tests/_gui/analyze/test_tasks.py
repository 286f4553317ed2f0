"""What the window asks of the core in the background."""

from pathlib import Path

import numpy as np
import tifffile

from napari_xmag._gui.analyze.tasks import Opened, foremost, open_for_window
from napari_xmag.analyze import analyze_slide
from napari_xmag.geometry import Mpp
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import TILE_UM, orange_model
from tests.slides import draw_section

# Half a tile, but for rounding.
APART_UM = 0.49 * TILE_UM


def test_the_strip_shows_different_places(aperio_slide: Path) -> None:
    slide = open_slide(aperio_slide)
    result = analyze_slide(slide, orange_model(granularity="cells"))
    slide.close()
    attention = result.patches.attention
    chosen = foremost(result, attention, 5)
    assert chosen[0] == attention.argmax()
    assert (np.diff(attention[chosen]) <= 0).all()
    places = np.stack([result.patches.x[chosen], result.patches.y[chosen]], axis=1) * result.mpp.x
    between = np.abs(places[:, None] - places[None]).max(axis=2)
    assert len(chosen) > 1
    assert between[~np.eye(len(chosen), dtype=bool)].min() >= APART_UM
    # Nothing far from all chosen patches beats the last of them.
    rest = np.stack([result.patches.x, result.patches.y], axis=1) * result.mpp.x
    far = np.abs(rest[:, None] - places[None]).max(axis=2).min(axis=1) >= TILE_UM / 2
    assert not (attention[far] > attention[chosen[-1]]).any()


def test_the_picture_that_is_asked_for_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for width in (600, 700):
            writer.write(draw_section(width, 500), photometric="rgb", tile=(256, 256))
    *_, opened = open_for_window(path, 2, mpp=0.5)
    assert isinstance(opened, Opened)
    assert opened.slide.levels[0].width == 700
    assert opened.slide_metadata["image"] == {"index": 2, "count": 2}
    # Its pixel size is that of this picture only.
    assert open_slide(path, image=2).mpp == Mpp(0.5, 0.5)
    assert open_slide(path, image=1).mpp is None
