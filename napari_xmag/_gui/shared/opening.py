"""Opens the file of a slide that came into the viewer, in a thread."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_xmag._gui.shared.jobs import awaited
from napari_xmag.analyze.events import Waiting
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import Slide
from napari_xmag.slide.given_mpp import fill_mpp
from napari_xmag.slide.metadata import slide_metadata
from napari_xmag.slide.open import open_slide


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A slide is open; ``slide_metadata`` says what it is, ``note`` what the user must know."""

    slide: Slide
    slide_metadata: Mapping[str, Any]
    note: str = ""


def open_for_window(
    path: Path, image: int = 1, mpp: float | None = None
) -> Generator[Waiting | Opened, None, None]:
    """Open a picture of a slide file; with ``mpp``, give it that size and remember it."""

    def opened() -> Opened:
        slide = open_slide(path, image=image)
        note = "" if mpp is None else fill_mpp(slide, Mpp(mpp, mpp))
        return Opened(slide, slide_metadata(slide), note)

    yield (yield from awaited(opened, "Opening the slide"))
