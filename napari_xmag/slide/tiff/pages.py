"""Pictures of TIFFs that are nothing but pages: Aperio, QPTIFF, plain pyramids, many pages."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_xmag.slide.mpp import aperio_value, written_number
from napari_xmag.slide.tiff.agreement import is_level_of
from napari_xmag.slide.tiff.picture import TiffLevel, TiffPicture, page_problem
from napari_xmag.slide.tiff.statements import statements_of_page

ASIDE = re.compile(
    r"(?<![a-z])(macro|label|thumbnail|overview|barcode|preview"
    r"|(probability|slide)(?=[ _-]?image))s?([ _-]?image)?(?![a-z])",
    re.IGNORECASE,
)
"""What pictures beside a slide are called: of the glass, its label, its overview, where a scanner
found tissue."""

_MASK = 4
# Beside tiled pictures a striped one of less than this share of the largest and no larger than
# this is a label, a picture of the glass or a thumbnail.
_STRIPED_SHARE, _STRIPED_PX = 0.25, 2048
_LONGEST_NAME = 64


def page_pictures(pages: Sequence[Any], path: Path, *, aperio: bool) -> Iterator[TiffPicture]:
    """Yield the pictures among the pages of a TIFF."""
    yield from _aperio_pictures(pages, path) if aperio else _plain_pictures(pages, path)


def _aperio_pictures(pages: Sequence[Any], path: Path) -> Iterator[TiffPicture]:
    """Yield the one slide of an Aperio file: its tiled pages, several of one size being planes."""
    by_size: dict[tuple[int, int], list[Any]] = {}
    for page in pages:
        if page.is_tiled and not ASIDE.search(page.description.split("|")[0]):
            by_size.setdefault((page.imagewidth, page.imagelength), []).append(page)
    if not by_size:
        yield from _plain_pictures(pages, path)
        return
    sizes = sorted(by_size.values(), key=lambda planes: -int(planes[0].imagewidth))
    levels = [TiffLevel([planes[len(planes) // 2]]) for planes in sizes]
    most = max(map(len, sizes))
    own = [planes for planes in sizes if len(planes) == most > 1]
    stack = [[TiffLevel([planes[plane]]) for planes in own] for plane in range(most)]
    whole = bool(own) and own[0] is sizes[0]
    first = levels[0].page
    power = _positive(aperio_value(first.description, "AppMag"))
    stated, problem = statements_of_page(first), page_problem(first)
    yield TiffPicture("", levels, stated, most, power, problem, stack=stack if whole else [])


def _positive(text: str | None) -> float | None:
    try:
        value = written_number(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def _plain_pictures(pages: Iterable[Any], path: Path) -> Iterator[TiffPicture]:
    """Yield the pictures of a plain TIFF.

    A page that is marked as a reduced picture is a level of the picture before it, or of the first
    one where it comes before all; all others are pictures of their own, unless their pixels show
    that they are levels.
    """
    pictures: list[TiffPicture] = []
    early: list[Any] = []
    for page in pages:
        if is_mask(page):
            continue
        if page.is_reduced and not pictures:
            early.append(page)
        elif not (page.is_reduced and add_reduced(page_picture(page), pictures)):
            pictures.append(page_picture(page))
    if not pictures:
        pictures, early = [page_picture(page) for page in early], []
    found = [page_picture(page) for page in early]
    apart = [picture for picture in found if not add_reduced(picture, pictures[:1])]
    pictures = join_levels([*apart, *pictures], path)
    largest = max((p.area for p in pictures if p.page.is_tiled), default=0)
    for picture in pictures:
        picture.aside = _is_striped_aside(picture, largest)
        _sort_levels(picture)
        yield picture


def join_levels(pictures: Iterable[TiffPicture], path: Path) -> list[TiffPicture]:
    """Make those that show a neighbour in coarser pixels its levels, whichever comes first."""
    joined: list[TiffPicture] = []
    for picture in pictures:
        last = joined[-1] if joined else None
        if last is None or last.problem or picture.problem:
            joined.append(picture)
        elif is_plain_level(picture, last, path):
            last.levels.extend(picture.levels)
        else:
            while joined and is_plain_level(joined[-1], picture, path):
                picture.levels.extend(joined.pop().levels)
            joined.append(picture)
    return joined


def is_plain_level(picture: TiffPicture, main: TiffPicture, path: Path) -> bool:
    """Return whether a picture, which may not be a thumbnail, is a level of another."""
    if picture.problem or main.problem:
        return False
    if main.page.is_tiled and not picture.page.is_tiled:
        return False
    return is_level_of(picture.levels[0], main, path)


def is_mask(page: Any) -> bool:
    """Return whether a page is marked as one that says where another is transparent."""
    return bool(page.subfiletype & _MASK)


def page_picture(page: Any) -> TiffPicture:
    """Return what a page shows, with the levels that lie below it."""
    levels = [TiffLevel([page]), *(TiffLevel([level.aspage()]) for level in page.pages or ())]
    statements = statements_of_page(page)
    return TiffPicture(page_name(page), levels, statements, problem=page_problem(page))


def add_reduced(picture: TiffPicture, before: Sequence[TiffPicture]) -> bool:
    """Add a picture that is marked as reduced to the one it belongs to; say whether there is one.

    That is the last before it, unless a thumbnail or an overview lies between. A small striped one
    beside tiles is a thumbnail itself, and left out.
    """
    page = picture.page
    like = [one for one in reversed(before) if _may_be_reduced(page, one)]
    main = next((one for one in like if _may_hold(one, page)), like[0] if like else None)
    if main is None:
        return False
    large = max(page.imagewidth, page.imagelength) > _STRIPED_PX
    if page.is_tiled or large or not main.page.is_tiled:
        main.levels.extend(picture.levels)
        _sort_levels(main)
    return True


def _may_be_reduced(page: Any, main: TiffPicture) -> bool:
    same_kind = (page.samplesperpixel, page.dtype) == (main.page.samplesperpixel, main.page.dtype)
    return same_kind or not page.is_tiled


def _may_hold(main: TiffPicture, page: Any) -> bool:
    """Return whether a picture is no thumbnail beside a page, which is smaller."""
    larger = main.page.imagewidth > page.imagewidth and main.page.imagelength > page.imagelength
    stored_alike = main.page.is_tiled or not page.is_tiled
    return larger and stored_alike and not ASIDE.search(main.name)


def _sort_levels(picture: TiffPicture) -> None:
    """Sort coarse levels; what is marked as reduced, yet larger, does not become the finest."""
    picture.levels[1:] = sorted(picture.levels[1:], key=lambda level: -int(level.page.imagewidth))


def _is_striped_aside(picture: TiffPicture, largest: int) -> bool:
    """Return whether a striped picture is a small one beside tiled ones."""
    longest = max(int(picture.page.imagewidth), int(picture.page.imagelength))
    small = longest <= _STRIPED_PX and picture.area < _STRIPED_SHARE * largest
    return small and not picture.page.is_tiled


def page_name(page: Any) -> str:
    """Return what a page calls itself: PageName, a short description, or a QPTIFF's kind."""
    kind = re.search(r"<ImageType>(\w+)</ImageType>", page.description or "")
    if kind is not None:
        return "" if kind[1] in ("FullResolution", "ReducedResolution") else kind[1]
    tag = page.tags.get("PageName")
    text = (page.description if tag is None else str(tag.value)).strip()
    return text if len(text) <= _LONGEST_NAME and text[:1] not in "<{" else ""
