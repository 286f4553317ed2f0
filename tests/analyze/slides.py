"""Slides that misbehave on purpose."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box, Level, Mpp
from napari_xmag.slide.base import MppSource, Slide, SlideImage, SlideNote
from tests.listener import Gate


class Disturbed:
    """A slide whose reading is disturbed; all else is as it was.

    Parameters
    ----------
    disturb
        Called with the box before each tile is read; may sleep or raise.
    """

    def __init__(self, slide: Slide, disturb: Callable[[Box], None]) -> None:
        self._slide, self._disturb = slide, disturb

    def __getattr__(self, name: str) -> Any:
        return getattr(self._slide, name)

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        self._disturb(box)
        return self._slide.read(box, level)


def damaged(area: Box) -> Callable[[Box], None]:
    """Make everything that touches an area unreadable."""

    def disturb(box: Box) -> None:
        if box.intersection(area):
            raise TileReadError(expected="pixels", found="a broken JPEG", hint="Copy it again.")

    return disturb


class PlainSlide:
    """A pink slide of any size that takes no memory, and counts how often it is read."""

    def __init__(self, path: Any, tiles: int, gate: Gate | None = None) -> None:
        side = 256
        self.path = path
        self.vendor = "test"
        self.mpp: Mpp | None = Mpp(0.5, 0.5)
        self.mpp_source = MppSource.VENDOR
        self.mpp_conflict = ""
        self.notes: tuple[SlideNote, ...] = ()
        self.image = SlideImage(1, "", side * tiles, side, self.mpp)
        self.images = (self.image,)
        self.levels = (Level(0, side * tiles, side, 1.0, 1.0),)
        self.tile_size = (256, 256)
        self.bounds = Box(0, 0, side * tiles, side)
        self.objective_power = None
        self.background = (255, 255, 255)
        self.properties: dict[str, str] = {}
        self.icc_profile = None
        self.gate = gate or Gate(let_through=1_000_000)
        self.reads = 0
        self._lock = threading.Lock()

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        with self._lock:
            self.reads += 1
        self.gate.hold()
        return np.full((round(box.height), round(box.width), 3), (222, 160, 194), np.uint8)

    def close(self) -> None:
        """Nothing is open."""


def everything(slide: Any) -> Any:
    """Return a mask that takes the whole of a slide without reading it."""
    from napari_xmag.slide.tissue import TissueMask

    base = slide.levels[0]
    return TissueMask(np.ones((1, 1), bool), base.width, base.height, "painted")
