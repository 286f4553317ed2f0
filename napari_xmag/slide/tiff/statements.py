"""What TIFF pages and OME-XML state of pixel sizes and light."""

import logging
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.colors.light import ome_light
from napari_xmag.slide.mpp import (
    StatedMpp,
    mpp_from_description,
    mpp_from_imagej,
    mpp_from_ome,
    mpp_from_resolution,
)

_log = logging.getLogger(__name__)

PixelsElement = ElementTree.Element
_UNITS = {2: "inch", 3: "centimeter"}


def tag_value(page: Any, name: str) -> Any:
    """Return the value of a TIFF tag, or None."""
    tag = page.tags.get(name)
    return None if tag is None else tag.value


def statements_of_page(page: Any) -> list[StatedMpp]:
    """Return every pixel size that a page states, the most trustworthy first."""
    text = str(tag_value(page, "ImageDescription") or "")
    where = "Aperio header" if text.startswith("Aperio") else "image description"
    density = _density(page)
    found = [(mpp_from_description(text), MppSource.VENDOR, where)]
    if density is not None and text.startswith("ImageJ="):
        found.append((mpp_from_imagej(text, *density), MppSource.IMAGEJ, "ImageJ description"))
    found.append((_resolution(page), MppSource.RESOLUTION_TAG, "resolution tag"))
    return [StatedMpp(mpp, source, place) for mpp, source, place in found if mpp is not None]


def statements_of_ome(pixels: PixelsElement | None, page: Any) -> list[StatedMpp]:
    """Return what OME-XML, and then a page's resolution tags, state."""
    found = [
        (None if pixels is None else mpp_from_ome(pixels), MppSource.OME_XML, "OME-XML"),
        (_resolution(page), MppSource.RESOLUTION_TAG, "resolution tag"),
    ]
    return [StatedMpp(mpp, source, place) for mpp, source, place in found if mpp is not None]


def page_spacing(page: Any) -> tuple[float, float] | None:
    """Return the size of a page's pixels in cm, as its resolution tags state it; else None.

    Even an absurd size, such as that of a printer's dots, tells the ratio of two levels.
    """
    density = _density(page)
    unit = {2: 2.54, 3: 1.0}.get(int(tag_value(page, "ResolutionUnit") or 0))
    return None if density is None or unit is None else (unit / density[0], unit / density[1])


def _density(page: Any) -> tuple[float, float] | None:
    """Return the resolution tags, in pixels per unit."""
    x, y = tag_value(page, "XResolution"), tag_value(page, "YResolution")
    if not x or not y or not x[0] or not x[1] or not y[0] or not y[1]:
        return None
    return x[0] / x[1], y[0] / y[1]


def _resolution(page: Any) -> Mpp | None:
    density = _density(page)
    if density is None:
        return None
    unit = _UNITS.get(int(tag_value(page, "ResolutionUnit") or 0), "")
    return mpp_from_resolution(*density, unit)


def ome_pixels(file: Any, series: Sequence[Any]) -> list[PixelsElement | None]:
    """Return the OME ``Pixels`` element of each series: the one that names its page, of its size.

    Elements that name no page belong to the pages of their size in their order. An element of a
    set of files describes pages of the file that it names; where it is not clear which one that
    is, none of them describes anything.
    """
    root = _ome_root(file)
    elements = [] if root is None else list(_all_pixels(root))
    if root is None or _is_unclear_whose(root, elements, file):
        return [None] * len(series)
    nameless = [item for item in elements if not any(map(_is_tiff_data, item))]
    found: list[PixelsElement | None] = []
    for item in series:
        first = next((page for page in item.pages if page is not None), None)
        if first is None:
            found.append(None)
            continue
        size = str(first.keyframe.imagewidth), str(first.keyframe.imagelength)
        place = _file_names(first.parent, file, root), first.index
        named = (e for e in elements if _names_page(e, *place) and _size(e) == size)
        element = next(named, None) or next((e for e in nameless if _size(e) == size), None)
        if element in nameless:
            nameless.remove(element)
        found.append(element)
    return found


def _size(element: PixelsElement) -> tuple[str | None, str | None]:
    return element.get("SizeX"), element.get("SizeY")


def _is_tiff_data(element: PixelsElement) -> bool:
    return element.tag.endswith("TiffData")


def _file_named(data: ElementTree.Element) -> tuple[str, str]:
    """Return UUID and name of the file in which planes lie; empty where none is named."""
    uuid = next((item for item in data if item.tag.endswith("UUID")), None)
    if uuid is None:
        return "", ""
    return (uuid.text or "").strip() or "?", (uuid.get("FileName") or "?").lower()


def _file_names(parent: Any, file: Any, root: ElementTree.Element) -> set[str]:
    """Return what planes that lie in a file may call it: its UUID, else its name."""
    name = str(parent.filename).lower()
    if parent is not file:
        return {name}
    return {"", root.get("UUID") or name}


def _is_unclear_whose(
    root: ElementTree.Element, elements: Iterable[PixelsElement], file: Any
) -> bool:
    """Return whether UUIDs and names of files tell different stories of which file this is."""
    own, name = root.get("UUID"), str(file.filename).lower()
    named = [_file_named(data) for element in elements for data in filter(_is_tiff_data, element)]
    by_uuid = {called for uuid, called in named if uuid == own and called}
    others = {called for uuid, called in named if uuid != own}
    return own is not None and (len(by_uuid) > 1 or name in others - by_uuid)


def _names_page(element: PixelsElement, file: set[str], page: object) -> bool:
    """Return whether an element says that its pixels lie in a page of a file."""
    for data in filter(_is_tiff_data, element):
        first = data.get("IFD")
        count = data.get("PlaneCount") or data.get("NumPlanes") or ("" if first is None else "1")
        try:
            start, number = int(first or 0), int(count or 2**31)
        except ValueError:
            continue
        inside = isinstance(page, int) and start <= page < start + number
        if inside and not file.isdisjoint(_file_named(data)):
            return True
    return False


def _ome_root(file: Any) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(file.ome_metadata or "")
    except ElementTree.ParseError as error:
        _log.warning("The OME-XML of %s cannot be read: %s", file.filename, error)
        return None


def _all_pixels(root: ElementTree.Element) -> Iterator[PixelsElement]:
    for element in root.iter():
        if element.tag.endswith("Pixels") and element.get("SizeX"):
            yield element


def ome_file_light(file: Any) -> str:
    """Return why all pictures of an OME-TIFF are, as it states, not brightfield; else empty."""
    root = _ome_root(file)
    found = [] if root is None else [ome_light(pixels) for pixels in _all_pixels(root)]
    return found[0] if found and all(found) else ""
