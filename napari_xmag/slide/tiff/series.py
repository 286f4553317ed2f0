"""Pictures of TIFFs that describe their pages: OME-TIFF, ImageJ, Leica SCN, tifffile's own."""

import logging
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_xmag.slide.agreement import shows_same
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.colors.light import imagej_light, ome_light
from napari_xmag.slide.guard.limits import MOST_PLANES
from napari_xmag.slide.mpp import StatedMpp, plausible
from napari_xmag.slide.scale import StoredLevel, place_levels
from napari_xmag.slide.segments import DECODE_ERRORS
from napari_xmag.slide.tiff.pages import add_reduced, is_plain_level, join_levels
from napari_xmag.slide.tiff.picture import TiffLevel, TiffPicture, page_problem, tile_size
from napari_xmag.slide.tiff.statements import (
    PixelsElement,
    ome_pixels,
    statements_of_ome,
    statements_of_page,
)
from napari_xmag.slide.tiff.undescribed import UNDESCRIBED, with_undescribed

_log = logging.getLogger(__name__)

_ELSEWHERE = "an image that is missing, or lies in another file"
_AXES = {"C": "channels", "T": "time points"}
# Axes that only say that there are several pictures.
_UNNAMED_AXES = frozenset("QIRP")
# No tissue is scanned through a weaker objective than this.
_MACRO_POWER = 2.0


def series_pictures(file: tifffile.TiffFile, path: Path, pages: int) -> Iterator[TiffPicture]:
    """Yield the pictures of a TIFF that describes its pages.

    Parameters
    ----------
    pages
        How many pages of the file can be read.
    """
    series = _described_series(file)
    if file.is_ome:
        found = list(_ome_pictures(file, series, path))
        described = {page for item in series for page in _own_pages(item)}
        own = [file.pages[index].aspage() for index in range(pages)]
        if found:  # else the pages speak for themselves
            yield from with_undescribed(found, described, own, path)
    elif file.is_scn:
        yield from _scn_pictures(file, series)
    else:
        yield from _plain_series(series, path, imagej_light(file.imagej_metadata or {}))


def _described_series(file: tifffile.TiffFile) -> Sequence[Any]:
    try:
        if file.is_ome and file.pages.first.subifds:
            # tifffile finds the levels of planes that are not in the order of the file only if it
            # has read each page whole
            file.pages.useframes, file.pages.cache = False, True
            list(file.pages)
        found: Sequence[Any] = file.series
        return found
    except DECODE_ERRORS as error:
        _log.warning("The pages of %s are described wrongly: %s", file.filename, error)
        return ()


def _plain_series(series: Sequence[Any], path: Path, light: str) -> list[TiffPicture]:
    """Return pictures; a series that is marked as reduced is a level of one before."""
    found: list[TiffPicture] = []
    for item in series:
        for picture in _series_pictures(item, None, light):
            reduced = picture.page.is_reduced and not picture.problem
            if not (reduced and add_reduced(picture, found)):
                found.append(picture)
    return join_levels(found, path)


def _ome_pictures(
    file: tifffile.TiffFile, series: Sequence[Any], path: Path
) -> Iterator[TiffPicture]:
    """Yield pictures; an Image that is a coarser level of the one before becomes that."""
    last: TiffPicture | None = None
    seen: set[int] = set()
    for item, pixels in zip(series, ome_pixels(file, series), strict=True):
        pages = _own_pages(item)
        if pages and pages <= seen:
            continue  # described twice
        seen |= pages
        for picture in _series_pictures(item, pixels, ome_light(pixels)):
            picture.remark = "" if pixels is not None else UNDESCRIBED
            if last is not None and _is_resolution(picture, last, path):
                continue
            if last is not None:
                yield last
            last = picture
    if last is not None:
        yield last


def _is_resolution(picture: TiffPicture, finer: TiffPicture, path: Path) -> bool:
    """Add a picture to the one before if it shows that in coarser pixels; say whether.

    Converters that write each resolution as an Image of its own state the pixel size of each, that
    of the finest for all, or none: then the pixels must prove it.
    """
    if picture.problem or finer.problem or _root(picture) != _root(finer):
        return False
    if _add_resolution(picture, finer, path):
        return True
    if not is_plain_level(picture, finer, path):
        return False
    finer.levels.extend(picture.levels)
    return True


def _add_resolution(picture: TiffPicture, finer: TiffPicture, path: Path) -> bool:
    """Add a picture to one that it states, and is seen, to show in coarser pixels; say whether."""
    if not picture.statements or not finer.statements:
        return False
    coarse, fine = picture.statements[0].mpp, finer.statements[0].mpp
    if min(coarse.x / fine.x, coarse.y / fine.y) < 1.5:
        return False
    levels = [
        StoredLevel(p.page.imagewidth, p.page.imagelength, *tile_size(p.page), (mpp.x, mpp.y))
        for p, mpp in ((finer, fine), (picture, coarse))
    ]
    placed = place_levels(levels).levels
    if len(placed) < 2:
        return False
    beyond = levels[1].width - placed[1].width, levels[1].height - placed[1].height
    if any(more > max(1, tile) for more, tile in zip(beyond, tile_size(picture.page), strict=True)):
        return False
    scale = placed[1].downsample_x, placed[1].downsample_y
    segments = [item.levels[0].segments(path) for item in (finer, picture)]
    if shows_same(segments[0], segments[1], scale) is False:
        return False
    finer.levels[0].spacing = fine.x, fine.y
    finer.levels.append(TiffLevel(picture.levels[0].pages, (coarse.x, coarse.y)))
    return True


def _root(picture: TiffPicture) -> str:
    """Return a name without the number of its resolution."""
    return re.sub(r"[\s_#:.-]*(resolution|level)?[\s_#:.-]*\d*$", "", picture.name.lower())


def _scn_pictures(file: tifffile.TiffFile, series: Sequence[Any]) -> Iterator[TiffPicture]:
    """Yield the scanned regions of a Leica SCN that OpenSlide cannot put together."""
    root = ElementTree.fromstring(file.pages.first.description)
    images = [
        (collection, image)
        for collection in root.findall("{*}collection")
        for image in collection.findall("{*}image")
        if image.find("{*}pixels/{*}dimension") is not None
    ]
    for (collection, image), item in zip(images, series, strict=True):
        for picture in _series_pictures(item, None):
            source = image.findtext(".//{*}illuminationSource", "brightfield")
            picture.objective = _float(image.findtext(".//{*}objective"))
            if source != "brightfield":
                picture.problem = f"an image in {source} light"
            if _is_macro(collection, image, picture.objective):
                picture.name = "macro"
            stated = _scn_mpp(image)
            picture.statements = stated or picture.statements
            yield picture


def _is_macro(
    collection: ElementTree.Element, image: ElementTree.Element, power: float | None
) -> bool:
    """Return whether a picture shows the whole glass."""
    view = image.find("{*}view")
    size = [collection.get("sizeX"), collection.get("sizeY")]
    whole = view is not None and [view.get("sizeX"), view.get("sizeY")] == size
    return whole or (power is not None and power < _MACRO_POWER)


def _scn_mpp(image: ElementTree.Element) -> list[StatedMpp]:
    """Return the pixel size: the region in nanometres over its pixels."""
    view, pixels = image.find("{*}view"), image.find("{*}pixels")
    if view is None or pixels is None:
        return []
    sizes = [_float(item.get(f"size{axis}")) for axis in "XY" for item in (view, pixels)]
    if not all(sizes):
        return []
    across, columns, down, rows = (size or 1.0 for size in sizes)
    mpp = plausible(across / columns / 1000, down / rows / 1000)
    return [] if mpp is None else [StatedMpp(mpp, MppSource.VENDOR, "Leica header")]


def _float(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _series_pictures(
    series: Any, pixels: PixelsElement | None, light: str = ""
) -> Iterator[TiffPicture]:
    """Yield the pictures of one tifffile series, of which unnamed axes hold several."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    leading = [axis for axis in series.axes if axis not in "YXS" and sizes[axis] > 1]
    several = [axis for axis in leading if axis in _UNNAMED_AXES]
    first = next((page for page in series.pages if page is not None), None)
    if first is None or first.keyframe is None:
        return
    problem = _series_problem(series, sizes, leading, light)
    statements = statements_of_page(first.keyframe) if pixels is None else []
    statements = statements or statements_of_ome(pixels, first.keyframe)
    for number in range(int(np.prod([sizes[axis] for axis in several]))):
        planes = sizes.get("Z", 1)
        stack = [
            [TiffLevel(_plane_pages(level, leading, sizes, number, z)) for level in series.levels]
            for z in (range(planes) if planes <= MOST_PLANES else [planes // 2])
        ]
        levels = stack[len(stack) // 2]
        if not problem and not _is_whole(levels, series):
            problem = _ELSEWHERE
        if levels[0].pages[0] is None:  # the picture is known by what there is of it
            levels = [TiffLevel([first])]
        name = str(series.name or "")
        whole = len(stack) > 1 and all(_is_whole(levels, series) for levels in stack)
        yield TiffPicture(
            name, levels, statements, planes, problem=problem, stack=stack if whole else []
        )


def _is_whole(levels: Sequence[TiffLevel], series: Any) -> bool:
    return all(_is_of(page, series) for level in levels for page in level.pages)


def _own_pages(series: Any) -> set[int]:
    """Return the numbers of the pages of a series; none where all but one page are missing."""
    own = {page.index for page in series.pages if _is_of(page, series)}
    return own if len(own) > 1 or len(own) == len(series.pages) else set()


def _is_of(page: Any, series: Any) -> bool:
    """Return whether a page is there, and in the file itself."""
    return page is not None and page.parent is series.parent


def _plane_pages(
    level: Any, leading: list[str], sizes: dict[str, int], number: int, plane: int
) -> list[Any]:
    """Return the pages of one focal plane of a picture, with all its colours."""
    pages = np.empty(len(level.pages), object)
    pages[:] = list(level.pages)
    shape = [sizes[axis] for axis in leading]
    if pages.size != int(np.prod(shape)):
        return [level.pages[0]]
    grid = pages.reshape(shape)
    several = np.unravel_index(
        number, [sizes[axis] for axis in leading if axis in _UNNAMED_AXES] or [1]
    )
    wanted = iter(several)
    chosen: list[Any] = []
    for axis in leading:
        if axis == "Z":
            chosen.append(plane)
        else:
            chosen.append(next(wanted) if axis in _UNNAMED_AXES else slice(None))
    return list(np.atleast_1d(np.asarray(grid[tuple(chosen)], object)).ravel())


def _series_problem(series: Any, sizes: dict[str, int], leading: list[str], light: str) -> str:
    """Return why a series is no slide, or an empty text."""
    first = series.pages[0]
    if first is None:
        return _ELSEWHERE
    others = [axis for axis in leading if axis != "Z" and axis not in _UNNAMED_AXES]
    samples = sizes.get("S", 1)
    if others == ["C"] and sizes["C"] == 3 and samples == 1:
        return light or ("" if series.dtype == np.uint8 else f"3 channels of type {series.dtype}")
    if others:
        return ", ".join(f"{sizes[axis]} {_AXES.get(axis, 'images')}" for axis in others)
    stacked = len(series.pages) != int(np.prod([sizes[axis] for axis in leading]))
    if stacked and leading:
        return "several planes of which only the first is described"
    return light or page_problem(first.keyframe)
