"""Slides read with OpenSlide: SVS, NDPI, MRXS, SCN, BIF, VMS, DICOM, tiled TIFF."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box, Level, Mpp
from napari_xmag.slide.base import MppSource, Slide, SlideImage
from napari_xmag.slide.dicom import hides_ycbcr
from napari_xmag.slide.handles import HandlePool
from napari_xmag.slide.images import choose_image, image_notes
from napari_xmag.slide.mpp import (
    StatedMpp,
    find_conflict,
    mpp_from_description,
    mpp_from_text,
    resolution_statement,
)
from napari_xmag.slide.segments import SegmentReader, over_background, segment_level
from napari_xmag.slide.tiff import DECODE_ERRORS, place_on_level, tile_error

_log = logging.getLogger(__name__)

CACHE_BYTES = 128 * 2**20
# Formats whose levels are plain TIFF pages, so that their JPEG tiles can be read directly.
_DIRECT_VENDORS = {"aperio", "generic-tiff"}
_JPEG = 7

_Error = openslide.OpenSlideError


class OpenSlideSlide(Slide):
    """A slide that OpenSlide understands.

    Plain JPEG tiles (Aperio, generic TIFF) are decoded without OpenSlide, several times faster
    and with the same pixels; whatever cannot be read so goes through OpenSlide.

    Parameters
    ----------
    path
        File, or one file of a DICOM series.
    image
        Number or name of the picture; the first without it.

    Raises
    ------
    openslide.OpenSlideError
        When OpenSlide refuses the file.
    SlideOpenError
        When there is no such picture.
    """

    def __init__(self, path: Path, image: int | str | None = None) -> None:
        self.path = path
        # ``path`` may become the folder that a DICOM slide was opened by.
        self._file = path
        self._cache = openslide.OpenSlideCache(CACHE_BYTES)
        self._pool = HandlePool(self._open, lambda handle: handle.close())
        first = self._open()
        self._describe(first)
        self._pool.add(first)
        try:
            self._direct = _direct_reader(self)
            level = self.levels[0]
            self.images = (SlideImage(1, "", level.width, level.height, self.mpp),)
            self.image = choose_image(path, self.images, image)
        except (openslide.OpenSlideError, SlideOpenError):
            self._pool.close()
            raise
        self.notes = image_notes(self.images, self.image, image)

    def _open(self) -> openslide.OpenSlide:
        handle = openslide.OpenSlide(self._file)
        handle.set_cache(self._cache)
        return handle

    def _describe(self, handle: openslide.OpenSlide) -> None:
        properties = dict(handle.properties)
        self.properties: Mapping[str, str] = MappingProxyType(properties)
        self.vendor = properties.get("openslide.vendor", "unknown")
        self.levels = tuple(
            Level(index, width, height, downsample)
            for index, ((width, height), downsample) in enumerate(
                zip(handle.level_dimensions, handle.level_downsamples, strict=True)
            )
        )
        self.tile_size = (
            int(properties.get("openslide.level[0].tile-width", 0)),
            int(properties.get("openslide.level[0].tile-height", 0)),
        )
        self.bounds = _bounds(properties, self.levels[0])
        self.background = _background(properties)
        self.objective_power = _positive(properties.get("openslide.objective-power"))
        statements = _statements(properties)
        self.mpp: Mpp | None = statements[0].mpp if statements else None
        self.mpp_source = statements[0].source if statements else MppSource.NONE
        self.mpp_conflict = find_conflict(statements, self.objective_power)
        photometric = properties.get("dicom.PhotometricInterpretation", "")
        self._ycbcr = hides_ycbcr(self._file, photometric)
        profile = handle.color_profile
        self.icc_profile: bytes | None = None if profile is None else profile.tobytes()

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        """Read a level-0 box from one level; see :class:`napari_xmag.slide.base.Slide`."""
        if self._direct is not None and not self._pool.closed:
            try:
                return self._direct.read(level, *place_on_level(box, self.levels[level]))
            except DECODE_ERRORS as error:
                # OpenSlide has its own ways with odd tiles; it has the last word.
                _log.debug("A tile of %s is left to OpenSlide: %s", self.path, error)
        image = self._read_region(box, level)
        if self._ycbcr:
            image = _from_ycbcr(image)
        if image.getchannel("A").getextrema() == (255, 255):
            return np.asarray(image.convert("RGB"))
        return over_background(np.asarray(image), self.background)

    def scanned(self, box: Box, level: int) -> NDArray[np.bool_]:
        """Return where the box has pixels that are not transparent, as bool (H, W)."""
        if self._direct is not None and not self._pool.closed:
            try:
                return self._direct.scanned(level, *place_on_level(box, self.levels[level]))
            except DECODE_ERRORS as error:
                _log.debug("A tile of %s is left to OpenSlide: %s", self.path, error)
        return np.asarray(self._read_region(box, level).getchannel("A")) > 0

    def _read_region(self, box: Box, level: int) -> Image.Image:
        info = self.levels[level]
        x, y, width, height = place_on_level(box, info)
        # OpenSlide divides by its own float downsample, so this lands on the level's own pixel.
        location = round(x * info.downsample), round(y * info.downsample)
        try:
            with self._pool.borrow() as handle:
                image: Image.Image = handle.read_region(location, level, (width, height))
                return image
        except (_Error, ValueError) as error:
            raise tile_error(self.path, box, level, error) from error

    def close(self) -> None:
        """Close every handle."""
        self._pool.close()
        if self._direct is not None:
            self._direct.close()


def _from_ycbcr(image: Image.Image) -> Image.Image:
    *colours, alpha = image.split()
    rgb = Image.merge("YCbCr", colours).convert("RGB")
    rgb.putalpha(alpha)
    return rgb


def _direct_reader(slide: OpenSlideSlide) -> SegmentReader | None:
    """Return a reader of the JPEG tiles themselves where all levels are such pages.

    Raises
    ------
    openslide.OpenSlideUnsupportedFormatError
        When OpenSlide would show a part of the picture only: one channel or plane of many, or
        the upper bits of deeper pixels. tifffile knows what to do with it, or why not.
    """
    if slide.vendor not in _DIRECT_VENDORS:
        return None
    try:
        with tifffile.TiffFile(slide.path) as file:
            many = file.is_ome or file.is_imagej or file.pages[0].dtype != np.uint8
            if many and slide.vendor == "generic-tiff":
                raise openslide.OpenSlideUnsupportedFormatError(
                    "OpenSlide reads only the first plane of this TIFF"
                )
            return _jpeg_reader(slide, [page.aspage() for page in file.pages])
    except DECODE_ERRORS as error:
        _log.debug("The tiles of %s are left to OpenSlide: %s", slide.path, error)
        return None


def _jpeg_reader(slide: OpenSlideSlide, pages: Sequence[Any]) -> SegmentReader | None:
    """Return a reader of the pages that are the slide's levels; None where one is not plain."""
    plain = {
        (page.imagewidth, page.imagelength): page
        for page in reversed(pages)
        if page.is_tiled and page.compression == _JPEG and page.samplesperpixel == 3
        if page.planarconfig == 1 and page.dtype == np.uint8
    }
    chosen = [plain.get((level.width, level.height)) for level in slide.levels]
    if None in chosen:
        return None
    levels = [segment_level([page], slide.path) for page in chosen]
    return SegmentReader(slide.path, levels, slide.background)


def _statements(properties: Mapping[str, str]) -> list[StatedMpp]:
    """Return every pixel size that the file states, the most trustworthy first."""
    statements: list[StatedMpp] = []
    resolution = resolution_statement(properties)
    if properties.get("openslide.vendor") == "generic-tiff":
        # OpenSlide's mpp is nothing but the resolution tag here.
        mpp = mpp_from_description(properties.get("tiff.ImageDescription", ""))
        where = "image description"
    else:
        mpp = mpp_from_text(properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"))
        where = f"{properties.get('openslide.vendor')} header"
    if mpp is not None:
        statements.append(StatedMpp(mpp, MppSource.VENDOR, where))
    if resolution is not None:
        statements.append(resolution)
    return statements


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def _bounds(properties: Mapping[str, str], level: Level) -> Box:
    try:
        x, y, width, height = (
            float(properties[f"openslide.bounds-{name}"]) for name in ("x", "y", "width", "height")
        )
    except (KeyError, ValueError):
        return Box(0, 0, level.width, level.height)
    return Box(x, y, width, height)


def _background(properties: Mapping[str, str]) -> tuple[int, int, int]:
    text = properties.get("openslide.background-color", "FFFFFF")
    try:
        red, green, blue = bytes.fromhex(text)
    except ValueError:
        return 255, 255, 255
    return red, green, blue
