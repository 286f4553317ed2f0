"""Pictures that lie beside a slide in its file: its label, and the whole glass.

A label may name the patient. Nothing here is read but on request, and nothing is ever exported.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pydicom
import tifffile
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import pixel_array

from napari_xmag.slide.backends import opens_as_dicom
from napari_xmag.slide.guard.gate import require_harmless
from napari_xmag.slide.guard.tiff_walk import walk_tiff
from napari_xmag.slide.segments import DECODE_ERRORS, over_background
from napari_xmag.slide.tiff.pages import ASIDE, page_name

_log = logging.getLogger(__name__)

_MOST_PIXELS = 2**26
_DICOM_FLAVORS = {"LABEL": "label", "OVERVIEW": "macro"}
_WHITE = (255, 255, 255)
_OF_THE_SLIDE = ("thumbnail", "overview", "preview")
"""What only shows the slide once more."""


def read_associated_images(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the pictures beside the slides of a file by name, most often "label" and "macro".

    Parameters
    ----------
    path
        File or DICOM folder.

    Returns
    -------
    uint8 (H, W, 3) each; those that cannot be read are left out.

    Raises
    ------
    SlideOpenError
        When the file would do harm.
    """
    require_harmless(path)
    if opens_as_dicom(path):
        found = dict(_of_dicom(path if path.is_dir() else path.parent))
    else:
        found = _of_openslide(path) or _of_tiff(path)
    return {name: pixels for name, pixels in found.items() if name not in _OF_THE_SLIDE}


def _of_openslide(path: Path) -> dict[str, NDArray[np.uint8]]:
    try:
        with openslide.OpenSlide(path) as handle:
            pictures = handle.associated_images
            names = [name for name in pictures if _is_small(handle.properties, name)]
            return {name: _rgb(np.asarray(pictures[name])) for name in names}
    except (openslide.OpenSlideError, *DECODE_ERRORS) as error:
        _log.debug("OpenSlide finds nothing beside %s: %s", path, error)
        return {}


def _is_small(properties: Any, name: str) -> bool:
    sides = (properties.get(f"openslide.associated.{name}.{side}") for side in ("width", "height"))
    width, height = (int(side or 0) for side in sides)
    return 0 < width * height <= _MOST_PIXELS


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return over_background(pixels, _WHITE) if pixels.shape[-1] == 4 else pixels


def _of_dicom(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the pictures of one frame that a folder's files call a label or an overview."""
    for file in sorted(folder.iterdir()):
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
            flavor = _DICOM_FLAVORS.get(str(header.ImageType[2]).upper())
            one = int(header.get("NumberOfFrames", 1)) == 1
            if flavor and one and header.Rows * header.Columns <= _MOST_PIXELS:
                yield flavor, np.asarray(pixel_array(file, index=0), np.uint8)
        except (InvalidDicomError, *DECODE_ERRORS) as error:
            _log.debug("%s is not an image beside a slide: %s", file, error)


def _of_tiff(path: Path) -> dict[str, NDArray[np.uint8]]:
    try:
        pages = len(walk_tiff(path).directories)
        with tifffile.TiffFile(path) as file:
            return {name: _rgb(page.asarray()) for name, page in _named_pages(file, pages)}
    except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
        _log.debug("tifffile finds nothing beside %s: %s", path, error)
        return {}


def _named_pages(file: tifffile.TiffFile, pages: int) -> Iterator[tuple[str, Any]]:
    """Yield the pages that are called a label or the like, by a name or that of their series."""
    series = {each.keyframe.index: each.name for each in file.series if each.keyframe is not None}
    for index in range(pages):
        page = file.pages[index].aspage()
        called = ASIDE.search(page_name(page)) or ASIDE.search(series.get(index, ""))
        plain = page.samplesperpixel in (3, 4) and page.dtype == np.uint8
        if called is not None and plain and page.imagewidth * page.imagelength <= _MOST_PIXELS:
            yield re.sub(r"\W.*", "", called[1].lower()), page
