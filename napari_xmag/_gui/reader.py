"""The napari reader of whole slides. It imports neither torch nor a model."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import tifffile
from napari.utils.notifications import show_error

from napari_xmag.errors import SlideOpenError
from napari_xmag.layer_data import LayerData, slide_layer_data
from napari_xmag.slide.dicom_header import DICOM_SUFFIXES
from napari_xmag.slide.find import SLIDE_SUFFIXES, TIFF_SUFFIXES, is_slide, is_whole_slide_dicom
from napari_xmag.slide.open import open_slide

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_LARGE = 4096  # px a side; as one array such a picture is a burden
_log = logging.getLogger(__name__)


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader for whole slides, None for all else (npe2 reader contribution).

    Small plain TIFFs, fluorescence and radiology are left to napari's other readers.
    """
    return read_slides if all(_is_for_us(item) for item in _each(path)) else None


def read_slides(path: PathOrPaths) -> list[LayerData]:
    """Open slides as lazy layers, one for each path.

    Raises
    ------
    SlideOpenError
        When a file cannot be read. It is shown as a notification too, since napari's dialog
        for a remembered reader leaves the reason out.
    """
    return [_read(Path(item)) for item in _each(path)]


def _read(path: Path) -> LayerData:
    try:
        return slide_layer_data(open_slide(path))
    except SlideOpenError as error:
        _log.error("%s", error.details())
        show_error(str(error))
        raise


def _each(path: PathOrPaths) -> list[Path]:
    items = [path] if isinstance(path, str | os.PathLike) else path
    return [Path(item) for item in items]


def _is_for_us(path: Path) -> bool:
    if not path.exists() or not is_slide(path):
        return False
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in DICOM_SUFFIXES or suffix not in SLIDE_SUFFIXES:
        return is_whole_slide_dicom(path)
    if suffix in TIFF_SUFFIXES:
        return _is_whole_slide_tiff(path)
    return True


def _is_whole_slide_tiff(path: Path) -> bool:
    """Tell 8-bit RGB that is tiled, pyramidal or large from all other TIFFs."""
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            page = series.keyframe
            is_rgb = page.photometric in (2, 6) and page.dtype == "uint8"
            is_whole = page.is_tiled or series.is_pyramidal or max(page.shape) > _LARGE
            return is_rgb and is_whole
    except (tifffile.TiffFileError, OSError, ValueError, IndexError):
        return False
