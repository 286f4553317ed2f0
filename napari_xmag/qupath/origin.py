"""Where the (0, 0) of a picture in QuPath lies on the slide."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide


class Origin(StrEnum):
    """From which corner QuPath counts pixels.

    ``BOUNDS``: the corner of the scanned part. QuPath's OpenSlide reader crops to it by default,
    and its Bio-Formats reader shows each series in a frame of its own.
    ``SLIDE``: the corner of the whole slide, as OpenSlide counts and as QuPath shows a slide that
    was opened with ``--no-crop``. Where a slide names no bounds, both are the same.
    """

    SLIDE = "slide"
    BOUNDS = "bounds"

    @property
    def words(self) -> str:
        """The corner in words."""
        return "the slide" if self is Origin.SLIDE else "the slide's scanned bounds"


def slide_frame(slide: Slide, origin: Origin) -> Box:
    """Return the level-0 box that QuPath shows of a slide."""
    if origin is Origin.BOUNDS:
        return slide.bounds
    return Box(0, 0, slide.levels[0].width, slide.levels[0].height)


def result_frame(slide: Mapping[str, Any], origin: Origin) -> Box:
    """Return the same for the slide metadata of a result."""
    if origin is Origin.BOUNDS:
        bounds = slide["bounds"]
        return Box(bounds["x"], bounds["y"], bounds["width"], bounds["height"])
    return Box(0, 0, slide["width"], slide["height"])
