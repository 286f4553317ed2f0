"""Whether the pages of a Leica SCN are those that its description means."""

import re
from pathlib import Path
from typing import Any

import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.segments import DECODE_ERRORS

_DIMENSION = re.compile(r"<dimension\b[^>]*>")
_VALUE = re.compile(r"\b(sizeX|sizeY|ifd)\s*=\s*[\"'](\d+)[\"']")


def require_described_pages(path: Path) -> None:
    """Refuse a file whose pages have other sizes than its description says.

    OpenSlide takes a page by its number alone: where the list of pages was damaged, it would show
    one level in the place of another.

    Raises
    ------
    SlideOpenError
        When they differ.
    """
    try:
        with tifffile.TiffFile(path) as file:
            found = [(page.imagewidth, page.imagelength) for page in map(_page, file.pages)]
            text = file.pages.first.description
    except (tifffile.TiffFileError, *DECODE_ERRORS):
        return  # OpenSlide has the word
    for element in _DIMENSION.findall(text):
        said = {name: int(value) for name, value in _VALUE.findall(element)}
        size, number = (said.get("sizeX"), said.get("sizeY")), said.get("ifd", len(found))
        if number >= len(found) or found[number] != size:
            raise SlideOpenError(
                expected=f"page {number} of {path.name} to have {size[0]}×{size[1]} pixels",
                found="a page of another size" if number < len(found) else "no such page",
                hint="The file is damaged: copy it again from its source.",
            )


def _page(page: Any) -> Any:
    return page.aspage() if isinstance(page, tifffile.TiffFrame) else page
