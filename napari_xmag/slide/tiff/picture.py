"""A picture in a TIFF, and the pages that are its levels."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xmag.slide.colors.light import page_light
from napari_xmag.slide.mpp import StatedMpp
from napari_xmag.slide.scale import StoredLevel
from napari_xmag.slide.segments import SegmentLevel
from napari_xmag.slide.tiff.segments import color_problem, segment_level
from napari_xmag.slide.tiff.statements import page_spacing


@dataclass
class TiffLevel:
    """One level of a picture.

    Attributes
    ----------
    pages
        One, or one for each colour.
    spacing
        The size of its pixels where something else than its resolution tags states it.
    """

    pages: list[Any]
    spacing: tuple[float, float] | None = None
    _segments: SegmentLevel | None = field(default=None, init=False, repr=False)

    @property
    def page(self) -> Any:
        """The page that describes it."""
        return self.pages[0].keyframe

    def stored(self) -> StoredLevel:
        """Return how it is stored."""
        page = self.page
        spacing = self.spacing or page_spacing(page)
        return StoredLevel(page.imagewidth, page.imagelength, *tile_size(page), spacing)

    def segments(self, path: Path) -> SegmentLevel:
        """Return how it is read, padding included.

        Raises
        ------
        SlideOpenError
            When it is one compressed block too large to decode, or its blocks have a wrong length.
        """
        if self._segments is None:
            self._segments = segment_level(self.pages, path)
        return self._segments


@dataclass
class TiffPicture:
    """A picture and its levels.

    Attributes
    ----------
    name
        As the file calls it; may be empty.
    levels
        The finest first.
    statements
        The pixel sizes that the file states for it, the most trustworthy first.
    focal_planes
        How many were scanned; the middle one is taken.
    stack
        The levels of each of them, the middle one included, where all are there; else empty.
    objective
        Magnification of the objective, or None.
    problem
        Why it is no slide; empty when it is one.
    aside
        Whether its size and the way it is stored are those of a label or thumbnail.
    remark
        What must be said where it is shown; empty where nothing must.
    """

    name: str
    levels: list[TiffLevel]
    statements: list[StatedMpp] = field(default_factory=list)
    focal_planes: int = 1
    objective: float | None = None
    problem: str = ""
    aside: bool = False
    remark: str = ""
    stack: list[list[TiffLevel]] = field(default_factory=list)

    @property
    def page(self) -> Any:
        """The page that describes its finest level."""
        return self.levels[0].page

    @property
    def area(self) -> int:
        """Pixels of its finest level."""
        return int(self.page.imagewidth) * int(self.page.imagelength)


def page_problem(page: Any) -> str:
    """Return why a page is no slide, or an empty text."""
    if page.samplesperpixel not in (1, 3, 4):
        return f"{page.samplesperpixel} samples per pixel"
    if int(page.imagedepth) > 1:
        return f"{page.imagedepth} planes in one"
    return color_problem(page) or page_light(page)


def tile_size(page: Any) -> tuple[int, int]:
    """Return width and height of a page's tiles; 0 where it has none."""
    return (page.tilewidth, page.tilelength) if page.is_tiled else (0, 0)
