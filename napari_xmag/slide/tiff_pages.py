"""Pictures of TIFFs that are nothing but pages: Aperio, QPTIFF, plain pyramids, many pages."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from napari_xmag.slide.mpp import aperio_value
from napari_xmag.slide.scale import place_levels
from napari_xmag.slide.tiff_picture import TiffLevel, TiffPicture, page_problem
from napari_xmag.slide.tiff_statements import page_spacing, statements_of_page

ASIDE = re.compile(
    r"(?<![a-z])(macro|label|thumbnail|overview|barcode|preview|slide ?image)", re.IGNORECASE
)
"""What pictures beside a slide are called: of the glass, its label, its overview."""

_MASK = 4
_LONGEST_NAME = 64


def page_pictures(pages: Sequence[Any], *, aperio: bool) -> Iterator[TiffPicture]:
    """Yield the pictures among the pages of a TIFF."""
    yield from _aperio_pictures(pages) if aperio else _plain_pictures(pages)


def _aperio_pictures(pages: Sequence[Any]) -> Iterator[TiffPicture]:
    """Yield the one slide of an Aperio file: its tiled pages, several of one size being planes."""
    by_size: dict[tuple[int, int], list[Any]] = {}
    for page in pages:
        if page.is_tiled and not ASIDE.search(page.description.split("|")[0]):
            by_size.setdefault((page.imagewidth, page.imagelength), []).append(page)
    if not by_size:
        yield from _plain_pictures(pages)
        return
    levels = [TiffLevel([planes[len(planes) // 2]]) for planes in by_size.values()]
    levels.sort(key=lambda level: -int(level.page.imagewidth))
    most = max(len(planes) for planes in by_size.values())
    first = levels[0].page
    power = _positive(aperio_value(first.description, "AppMag"))
    yield TiffPicture("", levels, statements_of_page(first), most, power, page_problem(first))


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


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
        problem = page_problem(page)
        pictures.append(TiffPicture(name, levels, statements_of_page(page), problem=problem))
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
    """Return what a page calls itself: PageName, a short description, or a QPTIFF's kind."""
    kind = re.search(r"<ImageType>(\w+)</ImageType>", page.description or "")
    if kind is not None:
        return "" if kind[1] in ("FullResolution", "ReducedResolution") else kind[1]
    tag = page.tags.get("PageName")
    text = (page.description if tag is None else str(tag.value)).strip()
    return text if len(text) <= _LONGEST_NAME and text[:1] not in "<{" else ""
