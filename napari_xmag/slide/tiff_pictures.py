"""Which pictures a TIFF holds that are slides, and the levels of each."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.mpp import StatedMpp
from napari_xmag.slide.scale import StoredLevel, place_levels
from napari_xmag.slide.tiff_segments import color_problem
from napari_xmag.slide.tiff_statements import (
    PixelsElement,
    channel_problem,
    ome_pixels,
    page_spacing,
    statements_of_ome,
    statements_of_page,
)

# What lies beside the slide: pictures of the glass, its label, its overview.
_ASIDE = re.compile(
    r"(?<![a-z])(macro|label|thumbnail|overview|barcode|preview|slide ?image)", re.IGNORECASE
)
# A picture that nothing is known of, of less than this share of the largest and no larger than
# this, is no section but an overview.
_SMALL_SHARE, _SMALL_PX = 0.05, 2048
_MASK = 4
_AXES = {"C": "channels", "T": "time points"}
# Axes that only say that there are several pictures.
_UNNAMED_AXES = frozenset("QIRP")


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

    @property
    def page(self) -> Any:
        """The page that describes it."""
        return self.pages[0].keyframe

    def stored(self) -> StoredLevel:
        """Return how it is stored."""
        page = self.page
        spacing = self.spacing or page_spacing(page)
        return StoredLevel(page.imagewidth, page.imagelength, *_tile(page), spacing)


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
    problem
        Why it is no slide; empty when it is one.
    """

    name: str
    levels: list[TiffLevel]
    statements: list[StatedMpp] = field(default_factory=list)
    focal_planes: int = 1
    problem: str = ""

    @property
    def page(self) -> Any:
        """The page that describes its finest level."""
        return self.levels[0].page

    @property
    def area(self) -> int:
        """Pixels of its finest level."""
        return int(self.page.imagewidth) * int(self.page.imagelength)


def slide_pictures(file: tifffile.TiffFile, path: Path, pages: int) -> list[TiffPicture]:
    """Return the pictures that are slides, in the order of the file.

    Parameters
    ----------
    pages
        How many pages of the file can be read.

    Raises
    ------
    SlideOpenError
        When there is none.
    """
    found = list(_pictures(file, pages))
    usable = [picture for picture in found if not picture.problem]
    if not usable:
        raise _refuse(path, found[0].problem if found else "no picture")
    # Grey beside colour is a mask or another channel of the same place.
    colored = [picture for picture in usable if int(picture.page.photometric) > 1] or usable
    kept = [picture for picture in colored if not _ASIDE.search(picture.name)] or colored
    largest = max(kept, key=lambda picture: picture.area)
    return [picture for picture in kept if not _is_small_unknown(picture, largest)]


def _refuse(path: Path, found: str) -> SlideOpenError:
    return SlideOpenError(
        expected="a brightfield picture: RGB with 8 or 16 bits a colour, with or without "
        "transparency, or grey with 8 bits",
        found=f"{found} in {path.name}",
        hint="Fluorescence and other multi-channel pictures cannot be analysed; "
        "export the stained slide as RGB.",
    )


def _is_small_unknown(picture: TiffPicture, largest: TiffPicture) -> bool:
    if picture is largest:
        return False
    small = picture.area < _SMALL_SHARE * largest.area and (
        max(int(picture.page.imagewidth), int(picture.page.imagelength)) <= _SMALL_PX
    )
    own, other = (p.statements[0].mpp if p.statements else None for p in (picture, largest))
    if own is not None and other is not None:
        # An overview covers more in fewer pixels; a small section is scanned like the others.
        return small and own.mean > 2 * other.mean
    return small


def _pictures(file: tifffile.TiffFile, pages: int) -> Iterator[TiffPicture]:
    by_series = file.is_ome or file.is_imagej or file.is_shaped or file.is_scn
    series = file.series if by_series else []
    if file.is_ome and series:
        yield from _ome_pictures(file, series)
    elif series:
        for item in series:
            yield from _series_pictures(item, None)
    else:
        own = [file.pages[index].aspage() for index in range(pages)]
        yield from _aperio_pictures(own) if file.is_svs else _plain_pictures(own)


def _ome_pictures(file: tifffile.TiffFile, series: Sequence[Any]) -> Iterator[TiffPicture]:
    """Yield pictures; an Image that is a coarser level of the one before becomes that."""
    last: TiffPicture | None = None
    for item, pixels in zip(series, ome_pixels(file, series), strict=True):
        for picture in _series_pictures(item, pixels):
            if last is not None and _add_resolution(picture, last):
                continue
            if last is not None:
                yield last
            last = picture
    if last is not None:
        yield last


def _add_resolution(picture: TiffPicture, finer: TiffPicture) -> bool:
    """Add a picture to one whose field it states to show in coarser pixels; return whether."""
    if not picture.statements or not finer.statements or picture.problem:
        return False
    coarse, fine = picture.statements[0].mpp, finer.statements[0].mpp
    if min(coarse.x / fine.x, coarse.y / fine.y) < 1.5 or _root(picture) != _root(finer):
        return False
    levels = [
        StoredLevel(p.page.imagewidth, p.page.imagelength, *_tile(p.page), (mpp.x, mpp.y))
        for p, mpp in ((finer, fine), (picture, coarse))
    ]
    placed = place_levels(levels).levels
    if len(placed) < 2:
        return False
    beyond = levels[1].width - placed[1].width, levels[1].height - placed[1].height
    if any(more > max(1, tile) for more, tile in zip(beyond, _tile(picture.page), strict=True)):
        return False
    finer.levels[0].spacing = fine.x, fine.y
    finer.levels.append(TiffLevel(picture.levels[0].pages, (coarse.x, coarse.y)))
    return True


def _root(picture: TiffPicture) -> str:
    """Return a name without the number of its resolution."""
    return re.sub(r"[\s_#:.-]*(resolution|level)?[\s_#:.-]*\d*$", "", picture.name.lower())


def _series_pictures(series: Any, pixels: PixelsElement | None) -> Iterator[TiffPicture]:
    """Yield the pictures of one tifffile series, of which unnamed axes hold several."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    leading = [axis for axis in series.axes if axis not in "YXS" and sizes[axis] > 1]
    several = [axis for axis in leading if axis in _UNNAMED_AXES]
    first = series.pages[0]
    problem = _series_problem(series, sizes, leading, pixels)
    if first is None or first.keyframe is None:
        return
    statements = statements_of_page(first.keyframe) if pixels is None else []
    statements = statements or statements_of_ome(pixels, first.keyframe)
    for number in range(int(np.prod([sizes[axis] for axis in several]))):
        levels = [TiffLevel(_plane_pages(level, leading, sizes, number)) for level in series.levels]
        if not problem and any(page is None for level in levels for page in level.pages):
            problem = "pictures that lie in other files"
        name = str(series.name or "")
        yield TiffPicture(name, levels, statements, sizes.get("Z", 1), problem)


def _plane_pages(level: Any, leading: list[str], sizes: dict[str, int], number: int) -> list[Any]:
    """Return the pages of one picture: the middle focal plane, all its colours."""
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
            chosen.append(sizes["Z"] // 2)
        else:
            chosen.append(next(wanted) if axis in _UNNAMED_AXES else slice(None))
    return list(np.atleast_1d(np.asarray(grid[tuple(chosen)], object)).ravel())


def _series_problem(
    series: Any, sizes: dict[str, int], leading: list[str], pixels: PixelsElement | None
) -> str:
    """Return why a series is no slide, or an empty text."""
    first = series.pages[0]
    if first is None:
        return "pictures that lie in other files"
    others = [axis for axis in leading if axis != "Z" and axis not in _UNNAMED_AXES]
    samples = sizes.get("S", 1)
    if others == ["C"] and sizes["C"] == 3 and samples == 1:
        return channel_problem(pixels) or (
            "" if series.dtype == np.uint8 else f"3 channels of type {series.dtype}"
        )
    if others:
        return ", ".join(f"{sizes[axis]} {_AXES.get(axis, 'pictures')}" for axis in others)
    stacked = len(series.pages) != int(np.prod([sizes[axis] for axis in leading]))
    if stacked and leading:
        return "several planes of which only the first is described"
    return _page_problem(first.keyframe)


def _page_problem(page: Any) -> str:
    """Return why a page is no slide, or an empty text."""
    if page.samplesperpixel not in (1, 3, 4):
        return f"{page.samplesperpixel} samples per pixel"
    if int(page.imagedepth) > 1:
        return f"{page.imagedepth} planes in one"
    return color_problem(page)


def _aperio_pictures(pages: Sequence[Any]) -> Iterator[TiffPicture]:
    """Yield the one slide of an Aperio file: its tiled pages, several of one size being planes."""
    by_size: dict[tuple[int, int], list[Any]] = {}
    for page in pages:
        if page.is_tiled and not _ASIDE.search(page.description.split("|")[0]):
            by_size.setdefault((page.imagewidth, page.imagelength), []).append(page)
    if not by_size:
        yield from _plain_pictures(pages)
        return
    levels = [TiffLevel([planes[len(planes) // 2]]) for planes in by_size.values()]
    levels.sort(key=lambda level: -int(level.page.imagewidth))
    most = max(len(planes) for planes in by_size.values())
    first = levels[0].page
    yield TiffPicture("", levels, statements_of_page(first), most, _page_problem(first))


def _plain_pictures(pages: Iterable[Any]) -> Iterator[TiffPicture]:
    """Yield the pictures of a plain TIFF.

    A page that is marked as a reduced picture is a level of the picture before it, and so is one
    that states to be; all others are pictures of their own.
    """
    pictures: list[TiffPicture] = []
    for page in pages:
        if page.subfiletype & _MASK:
            continue
        main = pictures[-1] if pictures else None
        if main is not None and _is_reduced_of(page, main):
            if page.is_tiled or not main.page.is_tiled:
                main.levels.append(TiffLevel([page]))
            continue
        name = _page_name(page)
        levels = [TiffLevel([page]), *(TiffLevel([level.aspage()]) for level in page.pages or ())]
        statements = statements_of_page(page)
        pictures.append(TiffPicture(name, levels, statements, 1, _page_problem(page)))
    tiled = any(picture.page.is_tiled for picture in pictures)
    for picture in pictures:
        if picture.page.is_tiled or not tiled:
            picture.levels.sort(key=lambda level: -int(level.page.imagewidth))
            yield picture


def _is_reduced_of(page: Any, main: TiffPicture) -> bool:
    same_kind = (page.samplesperpixel, page.dtype) == (main.page.samplesperpixel, main.page.dtype)
    if page.is_reduced:
        return same_kind or not page.is_tiled
    smaller = page.imagewidth < main.page.imagewidth and page.imagelength < main.page.imagelength
    if not (same_kind and smaller) or page_spacing(page) == page_spacing(main.page):
        return False
    levels = [main.levels[0].stored(), TiffLevel([page]).stored()]
    return levels[1].spacing is not None and len(place_levels(levels).levels) == 2


def _page_name(page: Any) -> str:
    """Return what a page calls itself: PageName, or the kind of picture in a QPTIFF."""
    kind = re.search(r"<ImageType>(\w+)</ImageType>", page.description or "")
    if kind is not None:
        return "" if kind[1] in ("FullResolution", "ReducedResolution") else kind[1]
    tag = page.tags.get("PageName")
    return "" if tag is None else str(tag.value).strip()


def _tile(page: Any) -> tuple[int, int]:
    return (page.tilewidth, page.tilelength) if page.is_tiled else (0, 0)
