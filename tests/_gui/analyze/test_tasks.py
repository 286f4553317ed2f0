"""What the window asks of the core in the background."""

from pathlib import Path

import tifffile

from napari_xmag._gui.shared.opening import Opened, open_for_window
from napari_xmag.geometry import Mpp
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section


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
