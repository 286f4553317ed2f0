"""OME-TIFF and plain TIFF, read with tifffile."""

import logging
import re
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_xmag.errors import SlideOpenError, TileReadError
from napari_xmag.geometry import Box, Level, Mpp
from napari_xmag.slide.base import MppSource, Slide, SlideImage
from napari_xmag.slide.images import choose_image, image_notes
from napari_xmag.slide.mpp import (
    StatedMpp,
    find_conflict,
    mpp_from_description,
    mpp_from_ome,
    mpp_from_resolution,
)
from napari_xmag.slide.segments import SegmentLevel, SegmentReader, segment_level

_log = logging.getLogger(__name__)

WHITE = (255, 255, 255)
# Whatever a damaged file can make the decoders raise.
DECODE_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
)
# What lies beside the slide: pictures of the glass, its label, its overview.
_ASIDE = re.compile(r"\b(macro|label|thumbnail|overview|slide ?image)", re.IGNORECASE)
# A picture of less than this share of the largest one is no section but an overview.
_SMALL_SHARE = 0.05
_UNITS = {2: "inch", 3: "centimeter"}
# min-is-white, min-is-black, RGB, YCbCr
_PHOTOMETRICS = {0, 1, 2, 6}


class TiffSlide(Slide):
    """A TIFF whose largest picture is RGB(A) or grey with 8 bits a colour.

    Parameters
    ----------
    path
        File to open; tiled or striped, with or without a pyramid.
    image
        Number or name of the picture; the first without it.

    Raises
    ------
    SlideOpenError
        When the file holds no brightfield picture that can be shown as a slide.
    tifffile.TiffFileError, OSError
        When it is no TIFF.
    """

    def __init__(self, path: Path, image: int | str | None = None) -> None:
        self.path = path
        with tifffile.TiffFile(path) as file:
            pictures = _pictures(file, path)
            self.images = tuple(
                _slide_image(number, series) for number, series in enumerate(pictures, 1)
            )
            self.image = choose_image(path, self.images, image)
            self.notes = image_notes(self.images, self.image, image)
            series = pictures[self.image.index - 1]
            levels = _segment_levels(series, path)
            page = series.pages[0].keyframe
            pixels = _ome_pixels(file, series)
            self._describe(file, page)
            statements = _statements(page, pixels)
            self._reader = SegmentReader(path, levels, WHITE)
        self.mpp: Mpp | None = statements[0].mpp if statements else None
        self.mpp_source = statements[0].source if statements else MppSource.NONE
        self.mpp_conflict = find_conflict(statements, None)
        self.levels = tuple(_level(index, info, levels[0]) for index, info in enumerate(levels))
        self.tile_size = (page.tilewidth, page.tilelength) if page.is_tiled else (0, 0)
        self.bounds = Box(0, 0, levels[0].width, levels[0].height)
        self._try_decoding()

    def _describe(self, file: tifffile.TiffFile, page: Any) -> None:
        self.vendor = "OME-TIFF" if file.is_ome else "TIFF"
        self.background = WHITE
        self.objective_power: float | None = None
        self.icc_profile: bytes | None = _tag(page, "InterColorProfile")
        names = ("ImageDescription", "Software", "Make", "Model", "DateTime")
        texts = {f"tiff.{name}": _tag(page, name) for name in names}
        self.properties: Mapping[str, str] = {
            key: str(text) for key, text in texts.items() if text is not None
        }

    def _try_decoding(self) -> None:
        """Read one pixel of the smallest level: a missing codec must be known at once."""
        last = self.levels[-1]
        try:
            self._reader.read(last.index, 0, 0, 1, 1)
        except DECODE_ERRORS as error:
            self.close()
            raise SlideOpenError(
                expected="a picture that can be decoded",
                found=f"a compression in {self.path.name} that cannot ({error})",
                hint="Convert the file, for instance with QuPath or vips.",
                causes=[error],
            ) from error

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        """Read a level-0 box from one level; see :class:`napari_xmag.slide.base.Slide`."""
        place = place_on_level(box, self.levels[level])
        try:
            return self._reader.read(level, *place)
        except DECODE_ERRORS as error:
            raise tile_error(self.path, box, level, error) from error

    def scanned(self, box: Box, level: int) -> NDArray[np.bool_]:
        """Return where the box has pixels that are not transparent, as bool (H, W)."""
        place = place_on_level(box, self.levels[level])
        try:
            return self._reader.scanned(level, *place)
        except DECODE_ERRORS as error:
            raise tile_error(self.path, box, level, error) from error

    def close(self) -> None:
        """Close every handle."""
        self._reader.close()


def place_on_level(box: Box, level: Level) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of a level-0 box in whole pixels of a level."""
    scale = level.downsample
    return (
        round(box.x / scale),
        round(box.y / scale),
        round(box.width / scale),
        round(box.height / scale),
    )


def tile_error(path: Path, box: Box, level: int, error: BaseException) -> TileReadError:
    """Return the error that says which part of which slide could not be read."""
    return TileReadError(
        expected=f"the pixels at x={box.x:.0f}, y={box.y:.0f} on level {level}",
        found=f"a part of {path.name} that cannot be decoded ({error})",
        hint="The file may be damaged there; the rest of the slide can still be read.",
        causes=[error],
    )


def _level(index: int, info: SegmentLevel, base: SegmentLevel) -> Level:
    downsample = (base.width / info.width + base.height / info.height) / 2
    return Level(index, info.width, info.height, 1.0 if index == 0 else downsample)


def _refuse(path: Path, found: str) -> SlideOpenError:
    return SlideOpenError(
        expected="a brightfield picture: RGB, RGB with transparency, or grey, with 8 bits a colour",
        found=f"{found} in {path.name}",
        hint="Fluorescence and other multi-channel pictures cannot be analysed; "
        "export the stained slide as RGB.",
    )


def _problem(series: Any) -> str:
    """Return why a series is no slide, or an empty text."""
    page = series.pages[0]
    if page is None:
        return "pictures that lie in other files"
    key = page.keyframe
    if series.dtype != np.uint8:
        return f"pixels of type {series.dtype}"
    if int(key.photometric) not in _PHOTOMETRICS:
        return f"a picture of another kind of colour ({key.photometric!s})"
    sizes = dict(zip(series.axes, series.shape, strict=True))
    others = {axis: size for axis, size in sizes.items() if axis not in "YXS" and size > 1}
    samples = sizes.get("S", 1)
    if set(others) == {"C"} and others["C"] == 3 and samples == 1:
        return _channel_problem(series)
    if others:
        names = {"C": "channels", "Z": "focus planes", "T": "time points"}
        return ", ".join(f"{size} {names.get(axis, 'pictures')}" for axis, size in others.items())
    return "" if samples in (1, 3, 4) else f"{samples} samples per pixel"


def _channel_problem(series: Any) -> str:
    """Three grey planes are RGB unless their names or dyes say that they are not."""
    pixels = _ome_pixels(series.pages[0].parent, series)
    channels = [] if pixels is None else [item for item in pixels if item.tag.endswith("Channel")]
    if any(item.get("Fluor") or item.get("EmissionWavelength") for item in channels):
        return "3 fluorescence channels"
    names = [(item.get("Name") or "").strip() for item in channels]
    initials = [name[:1].lower() for name in names if name]
    if initials not in ([], ["r", "g", "b"]):
        return f"3 channels named {', '.join(names)}"
    return ""


def _pictures(file: tifffile.TiffFile, path: Path) -> list[Any]:
    """Return the series that are slides, in the order of the file."""
    usable = [series for series in file.series if not _problem(series)]
    if not usable:
        found = _problem(file.series[0]) if file.series else "no picture"
        raise _refuse(path, found)
    largest = max(_area(series) for series in usable)
    return [
        series
        for series in usable
        if _area(series) == largest
        or not (_ASIDE.search(series.name) or _area(series) < _SMALL_SHARE * largest)
    ]


def _area(series: Any) -> int:
    key = series.pages[0].keyframe
    return int(key.imagewidth) * int(key.imagelength)


def _slide_image(number: int, series: Any) -> SlideImage:
    key = series.pages[0].keyframe
    statements = _statements(key, _ome_pixels(key.parent, series))
    mpp = statements[0].mpp if statements else None
    return SlideImage(number, series.name, key.imagewidth, key.imagelength, mpp)


def _segment_levels(series: Any, path: Path) -> list[SegmentLevel]:
    """Return levels finest first; a "level" that is no smaller than the one before is left out."""
    levels: list[SegmentLevel] = []
    for level in series.levels:
        info = segment_level(list(level.pages), path)
        if not levels or info.width < levels[-1].width:
            levels.append(info)
    return levels


def _tag(page: Any, name: str) -> Any:
    tag = page.tags.get(name)
    return None if tag is None else tag.value


def _ome_pixels(file: tifffile.TiffFile, series: Any) -> ElementTree.Element | None:
    """Return the OME ``Pixels`` element that describes a series."""
    if not file.is_ome or not file.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(file.ome_metadata)
    except ElementTree.ParseError as error:
        _log.warning("The OME-XML of %s cannot be read: %s", file.filename, error)
        return None
    key = series.pages[0].keyframe
    for pixels in root.iter():
        size = pixels.get("SizeX"), pixels.get("SizeY")
        if pixels.tag.endswith("Pixels") and size == (str(key.imagewidth), str(key.imagelength)):
            return pixels
    return None


def _statements(page: Any, pixels: ElementTree.Element | None) -> list[StatedMpp]:
    """Return every pixel size that the file states, the most trustworthy first."""
    found: list[tuple[Mpp | None, MppSource, str]] = []
    if pixels is not None:
        found.append((mpp_from_ome(pixels), MppSource.OME_XML, "OME-XML"))
    else:
        text = str(_tag(page, "ImageDescription") or "")
        found.append((mpp_from_description(text), MppSource.VENDOR, "image description"))
    resolution = _resolution(page)
    found.append((resolution, MppSource.RESOLUTION_TAG, "resolution tag"))
    return [StatedMpp(mpp, source, where) for mpp, source, where in found if mpp is not None]


def _resolution(page: Any) -> Mpp | None:
    x, y = _tag(page, "XResolution"), _tag(page, "YResolution")
    if not x or not y or not x[1] or not y[1]:
        return None
    unit = _UNITS.get(int(_tag(page, "ResolutionUnit") or 0), "")
    return mpp_from_resolution(x[0] / x[1], y[0] / y[1], unit)
