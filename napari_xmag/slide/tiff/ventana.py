"""Roche (Ventana) BIF that OpenSlide refuses, as those of newer scanners: what their XML states.

OpenSlide knows tiles that are joined to the right and up. The DP 200 and DP 600 join them to the
left, so that their files are read as TIFFs: each tile where it is stored, overlaps included.
"""

import logging
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from statistics import mean
from typing import Any

from napari_xmag.slide.base import MppSource
from napari_xmag.slide.mpp import StatedMpp, mpp_from_text, written_number
from napari_xmag.slide.tiff.picture import TiffPicture
from napari_xmag.slide.tiff.statements import tag_value

_log = logging.getLogger(__name__)

_UNKNOWN = (
    "OpenSlide cannot read this kind of BIF. It is shown as it is stored, and whether its tiles "
    "overlap is not known: check the edges of the tiles before you measure."
)
_OVERLAP = (
    "OpenSlide cannot read this kind of BIF. It is shown as it is stored: neighbouring tiles "
    "repeat up to {most} pixels of tissue at their edges, and distances and positions are up to "
    "{share:.2g} % off."
)


def describe_ventana(pictures: Iterable[TiffPicture], pages: Iterable[Any]) -> None:
    """Give pictures of a BIF what the scanner states of them; all other files stay as they are.

    Parameters
    ----------
    pages
        All pages of the file: one of them describes the scan.
    """
    scan = next((root for page in pages if (root := _xml(page, "iScan")) is not None), None)
    if scan is None:
        return
    for picture in pictures:
        if "level=" in picture.page.description:
            _describe(picture, scan)


def _describe(picture: TiffPicture, scan: ElementTree.Element) -> None:
    resolution = scan.get("ScanRes")
    mpp = mpp_from_text(resolution, resolution)
    if mpp is not None:
        own = StatedMpp(mpp, MppSource.VENDOR, "Ventana header")
        picture.statements = [own, *picture.statements]
    picture.objective = _number(scan.get("Magnification"))
    picture.remark = _overlap_words(picture.page)


def _overlap_words(page: Any) -> str:
    """Say by how much tiles overlap, of which nothing is taken away; nothing where none do."""
    info = _xml(page, "EncodeInfo")
    across, down = ([], []) if info is None else _overlaps(info)
    if not across and not down:
        return _UNKNOWN
    most = max(across + down)
    parts = mean(across or [0]) / page.tilewidth, mean(down or [0]) / page.tilelength
    share = 100 * max(*parts, 0.1 / page.tilewidth)
    return _OVERLAP.format(most=most, share=share) if most else ""


def _overlaps(info: ElementTree.Element) -> tuple[list[int], list[int]]:
    """Return by how many pixels tiles overlap those beside them, and those above or below."""
    across: list[int] = []
    down: list[int] = []
    for joint in info.iter("TileJointInfo"):
        beside = (joint.get("Direction") or "").upper() in ("LEFT", "RIGHT")
        overlap = _number(joint.get("OverlapX" if beside else "OverlapY"))
        (across if beside else down).append(abs(int(overlap or 0)))
    return across, down


def _xml(page: Any, name: str) -> ElementTree.Element | None:
    """Return the element of a name in the XML of a page, or None."""
    found = tag_value(page, "XMP")
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found or "")
    if f"<{name}" not in text:
        return None
    start, end = text.index("<"), text.rfind(">") + 1
    try:
        # without what declares an encoding: it is decoded
        root = ElementTree.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text[start:end]))
    except ElementTree.ParseError as error:
        _log.warning("The XML of a BIF cannot be read: %s", error)
        return None
    return next(root.iter(name), None)


def _number(text: str | None) -> float | None:
    try:
        number = written_number(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
