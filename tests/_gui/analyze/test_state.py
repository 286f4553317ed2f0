"""What belongs to one slide of the viewer."""

from pathlib import Path

import numpy as np
from napari.layers import Image

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.teach.state import TeachSlide


def test_slides_are_named_in_a_word_however_large_their_arrays_are() -> None:
    """Connecting to a slide's events formats it: its arrays would cost 20 ms each time."""
    layer = Image(np.zeros((4, 4, 3), np.uint8), rgb=True)
    assert repr(SlideSession(Path("cases/a.svs"), layer)) == "<SlideSession a.svs>"
    assert repr(TeachSlide(Path("cases/a.svs"), layer)) == "<TeachSlide a.svs>"
