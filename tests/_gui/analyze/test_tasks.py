"""What the window asks of the core in the background."""

from pathlib import Path

import numpy as np

from napari_xmag._gui.analyze.tasks import foremost
from napari_xmag.analyze import analyze_slide
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import TILE_UM, orange_model

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
