"""Slides that OpenSlide reads: NDPI, MRXS, SCN, BIF, VMS, VMU, CZI, Philips, Sakura, Trestle."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.errors import SlideOpenError
from napari_xmag.files import real_path
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import MppSource, Slide, SlideImage
from napari_xmag.slide.colors.light import scanner_light
from napari_xmag.slide.guard.limits import size_problem
from napari_xmag.slide.handles import HandlePool
from napari_xmag.slide.images import choose_image, image_notes
from napari_xmag.slide.mpp import (
    StatedMpp,
    find_conflict,
    mpp_from_text,
    resolution_statement,
)
from napari_xmag.slide.scale import Pyramid, StoredLevel, place_levels
from napari_xmag.slide.segment_slide import tile_error
from napari_xmag.slide.segments import DECODE_ERRORS, over_background

_log = logging.getLogger(__name__)

CACHE_BYTES = 128 * 2**20
# OpenSlide reads these too, but only the first of several pictures, only 8 bits of deeper pixels,
# and it believes labels of colour spaces that are wrong; our own readers do better.
_READ_BY_OTHERS = frozenset({"aperio", "generic-tiff", "dicom"})

_HAMAMATSU = "hamamatsu"
_Error = openslide.OpenSlideError


class OpenSlideSlide(Slide):
    """A slide in a scanner's own format, read by OpenSlide.

    Where a file holds several scanned regions or scenes, each is a picture: it keeps its place on
    the slide, and all around it counts as unscanned.

    Parameters
    ----------
    path
        File to open. Companions are sought beside it, then beside what it links to.
    image
        Number or name of the region; the first without it.

    Raises
    ------
    openslide.OpenSlideError
        When OpenSlide refuses the file, or another reader does better.
    SlideOpenError
        When it was not scanned in brightfield, or there is no such region.
    """

    def __init__(self, path: Path, image: int | str | None = None) -> None:
        self.path = path
        vendor = openslide.OpenSlide.detect_format(path)
        if vendor in _READ_BY_OTHERS:
            raise openslide.OpenSlideUnsupportedFormatError(f"{vendor} is left to other readers")
        self._cache = openslide.OpenSlideCache(CACHE_BYTES)
        self._pool = HandlePool(self._open, lambda handle: handle.close())
        self._file, first = _open_beside(path)
        first.set_cache(self._cache)
        self._pool.add(first)
        self._describe(first)
        try:
            _require_brightfield(path, self.properties)
            self.image = choose_image(path, self.images, image)
        except SlideOpenError:
            self._pool.close()
            raise
        self._region = self._regions[self.image.index - 1]
        self.notes = (*image_notes(self.images, self.image, image), *self._pyramid.notes)

    def _open(self) -> openslide.OpenSlide:
        handle = openslide.OpenSlide(self._file)
        handle.set_cache(self._cache)
        return handle

    def _describe(self, handle: openslide.OpenSlide) -> None:
        properties = dict(handle.properties)
        self.properties: Mapping[str, str] = MappingProxyType(properties)
        self.vendor = properties.get("openslide.vendor", "unknown")
        self._pyramid = _pyramid(handle)
        self._downsamples = [handle.level_downsamples[i] for i in self._pyramid.stored]
        self.levels = self._pyramid.levels
        self.tile_size = (
            int(properties.get("openslide.level[0].tile-width", 0)),
            int(properties.get("openslide.level[0].tile-height", 0)),
        )
        whole = Box(0, 0, self.levels[0].width, self.levels[0].height)
        stated = _box(properties, "openslide.bounds-{}")
        self.bounds = (stated and stated.intersection(whole)) or whole
        self.background = _background(properties)
        self.objective_power = _positive(properties.get("openslide.objective-power"))
        statements = _statements(properties)
        self.mpp: Mpp | None = statements[0].mpp if statements else None
        self.mpp_source = statements[0].source if statements else MppSource.NONE
        self.mpp_conflict = find_conflict(statements, self.objective_power)
        self._regions = _regions(properties) or [whole]
        planes = _focal_planes(self._file) if self.vendor == _HAMAMATSU else 1
        self.images = tuple(
            SlideImage(index, "", round(region.width), round(region.height), self.mpp, planes)
            for index, region in enumerate(self._regions, 1)
        )
        profile = handle.color_profile
        self.icc_profile: bytes | None = None if profile is None else profile.tobytes()

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        """Read a level-0 box from one level; see :class:`napari_xmag.slide.base.Slide`."""
        image = self._read_region(box, level)
        pixels = np.asarray(image)
        inside = self._inside(box, level)
        if inside.all() and image.getchannel("A").getextrema() == (255, 255):
            return np.asarray(image.convert("RGB"))
        return over_background(np.where(inside[..., None], pixels, 0), self.background)

    def scanned(self, box: Box, level: int) -> NDArray[np.bool_]:
        """Return where the box has pixels that are not transparent, as bool (H, W)."""
        alpha = np.asarray(self._read_region(box, level).getchannel("A"))
        return np.asarray((alpha > 0) & self._inside(box, level))

    def _read_region(self, box: Box, level: int) -> Image.Image:
        x, y, width, height = self.levels[level].place(box)
        # OpenSlide divides by its own float downsample, so this lands on the level's own pixel.
        own = self._downsamples[level]
        location = round(x * own), round(y * own)
        stored = self._pyramid.stored[level]
        try:
            with self._pool.borrow() as handle:
                image: Image.Image = handle.read_region(location, stored, (width, height))
                return image
        except (_Error, *DECODE_ERRORS) as error:
            raise tile_error(self.path, box, level, error) from error

    def _inside(self, box: Box, level: int) -> NDArray[np.bool_]:
        """Return which pixels of a box belong to the picture: not padding, not another region."""
        info = self.levels[level]
        x, y, width, height = info.place(box)
        left, top, across, down = info.place(self._region)
        columns = np.arange(x, x + width)
        rows = np.arange(y, y + height)
        in_x = (columns >= max(0, left)) & (columns < min(info.width, left + max(1, across)))
        in_y = (rows >= max(0, top)) & (rows < min(info.height, top + max(1, down)))
        return np.asarray(in_y[:, None] & in_x[None, :])

    def close(self) -> None:
        """Close every handle."""
        self._pool.close()


def _require_brightfield(path: Path, properties: Mapping[str, str]) -> None:
    if light := scanner_light(properties):
        raise SlideOpenError(
            expected="a slide that was scanned in brightfield",
            found=f"{light} in {path.name}",
            hint="Models know stained tissue only: choose the brightfield scan.",
        )


def _open_beside(path: Path) -> tuple[Path, openslide.OpenSlide]:
    """Open a file with its companions beside it, or beside what it links to."""
    try:
        return path, openslide.OpenSlide(path)
    except _Error:
        target = real_path(path)
        if target == path.absolute():
            raise
        return target, openslide.OpenSlide(target)


def _focal_planes(path: Path) -> int:
    """Return how many focal planes an NDPI has, of which OpenSlide reads that at depth 0."""
    if path.suffix.lower() != ".ndpi":
        return 1
    try:
        with tifffile.TiffFile(path) as file:
            tags = [page.ndpi_tags or {} for page in file.pages]
    except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
        _log.warning("The focal planes of %s cannot be counted: %s", path, error)
        return 1
    scanned = [tag for tag in tags if float(tag.get("Magnification", 0)) > 0]
    return max(1, len({tag.get("ZOffsetFromSlideCenter", 0) for tag in scanned}))


def _pyramid(handle: openslide.OpenSlide) -> Pyramid:
    """Return the levels; where OpenSlide's scale is not just the ratio of sizes, the file said it.

    OpenSlide takes the mean of both axes' ratios unless the format states the scale.
    """
    sizes = handle.level_dimensions
    if absurd := next(filter(None, (size_problem(*size) for size in sizes)), ""):
        raise openslide.OpenSlideUnsupportedFormatError(absurd)
    stored = []
    for (width, height), scale in zip(sizes, handle.level_downsamples, strict=True):
        mean = (sizes[0][0] / width + sizes[0][1] / height) / 2
        stated = None if abs(scale / mean - 1) < 1e-6 else (scale, scale)
        stored.append(StoredLevel(width, height, spacing=stated))
    stored[0] = replace(stored[0], spacing=(1.0, 1.0))
    return place_levels(stored)


def _regions(properties: Mapping[str, str]) -> list[Box]:
    """Return the scanned regions where a file holds several."""
    found: list[Box] = []
    while (region := _box(properties, f"openslide.region[{len(found)}].{{}}")) is not None:
        found.append(region)
    return found if len(found) > 1 else []


def _statements(properties: Mapping[str, str]) -> Sequence[StatedMpp]:
    """Return every pixel size that the file states, the most trustworthy first."""
    mpp = mpp_from_text(properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"))
    where = f"{properties.get('openslide.vendor')} header"
    statements = [StatedMpp(mpp, MppSource.VENDOR, where)] if mpp is not None else []
    resolution = resolution_statement(properties)
    return statements if resolution is None else [*statements, resolution]


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def _box(properties: Mapping[str, str], pattern: str) -> Box | None:
    try:
        x, y, width, height = (
            float(properties[pattern.format(name)]) for name in ("x", "y", "width", "height")
        )
    except (KeyError, ValueError):
        return None
    return Box(x, y, width, height)


def _background(properties: Mapping[str, str]) -> tuple[int, int, int]:
    text = properties.get("openslide.background-color", "FFFFFF")
    try:
        red, green, blue = bytes.fromhex(text)
    except ValueError:
        return 255, 255, 255
    return red, green, blue
