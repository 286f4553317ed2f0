"""Slides whose pixels are read straight from the tiles, strips or frames of their files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide
from napari_xmag.slide.segments import DECODE_ERRORS, SegmentReader


class SegmentSlide(Slide):
    """A slide that a `SegmentReader` reads; what it says of itself is its subclass's."""

    _reader: SegmentReader

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        """Read a level-0 box from one level; see :class:`napari_xmag.slide.base.Slide`."""
        try:
            return self._reader.read(level, *self.levels[level].place(box))
        except DECODE_ERRORS as error:
            raise tile_error(self.path, box, level, error) from error

    def scanned(self, box: Box, level: int) -> NDArray[np.bool_]:
        """Return where the box has pixels that were scanned, as bool (H, W)."""
        try:
            return self._reader.scanned(level, *self.levels[level].place(box))
        except DECODE_ERRORS as error:
            raise tile_error(self.path, box, level, error) from error

    def is_empty(self, box: Box, level: int) -> bool:
        """Return whether the file holds no tile in a level-0 box."""
        return self._reader.levels[level].is_empty(*self.levels[level].place(box))

    def held_pixels(self, level: int) -> int:
        """Return how many pixels of a level the file holds."""
        return self._reader.levels[level].held_pixels()

    def close(self) -> None:
        """Close every handle."""
        self._reader.close()


def tile_error(path: Path, box: Box, level: int, error: BaseException) -> TileReadError:
    """Return the error that says which part of which slide could not be read."""
    return TileReadError(
        expected=f"the pixels at x={box.x:.0f}, y={box.y:.0f} on level {level}",
        found=f"a part of {path.name} that cannot be decoded ({error})",
        hint="The file may be damaged there; the rest of the slide can still be read.",
        causes=[error],
    )
