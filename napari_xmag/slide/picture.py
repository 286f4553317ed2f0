"""Ordinary pictures of tissue: read, and treated as small slides of one level."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box, Level, Mpp
from napari_xmag.slide.base import MppSource, Slide, SlideImage, SlideNote

_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_image_file(path: Path) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, 3), transparency laid on white.

    Raises
    ------
    TileReadError
        When it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            if "A" not in image.getbands() and "transparency" not in image.info:
                return np.asarray(image.convert("RGB"))
            white = Image.new("RGBA", image.size, "white")
            laid = Image.alpha_composite(white, image.convert("RGBA"))
            return np.asarray(laid.convert("RGB"))
    except _UNREADABLE as error:
        raise _no_picture(path, error) from error


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of a picture without decoding it.

    Raises
    ------
    TileReadError
        When it is no picture.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except _UNREADABLE as error:
        raise _no_picture(path, error) from error


def _no_picture(path: Path, error: Exception) -> TileReadError:
    return TileReadError(
        expected=f"an image in {path.name}",
        found=str(error),
        hint="Replace it or leave it out.",
        causes=[error],
    )


class PictureSlide(Slide):
    """A picture as a `Slide`, with the pixel size that its owner gave.

    Beyond its edges a picture goes on as its outermost pixels: what is resampled at the edge keeps
    the colour of the tissue, where a background would shine in.

    Raises
    ------
    TileReadError
        When it cannot be decoded.
    """

    vendor = "picture"
    mpp_source = MppSource.USER
    mpp_conflict = ""
    notes: tuple[SlideNote, ...] = ()
    tile_size = (0, 0)
    objective_power: float | None = None
    background = (255, 255, 255)
    properties: Mapping[str, str] = MappingProxyType({})
    icc_profile: bytes | None = None

    def __init__(self, path: Path, mpp: float) -> None:
        self.path = path
        self.mpp: Mpp | None = Mpp(mpp, mpp)
        self._pixels = read_image_file(path)
        height, width = self._pixels.shape[:2]
        self.levels: tuple[Level, ...] = (Level(0, width, height, 1.0, 1.0),)
        self.bounds = Box(0, 0, width, height)
        self.image = SlideImage(1, path.stem, width, height, self.mpp)
        self.images: tuple[SlideImage, ...] = (self.image,)

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3) of a level-0 box."""
        height, width = self._pixels.shape[:2]
        columns = round(box.x) + np.arange(round(box.width))
        rows = round(box.y) + np.arange(round(box.height))
        inside = np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))
        return np.asarray(self._pixels[inside])

    def close(self) -> None:
        """Nothing is open."""
