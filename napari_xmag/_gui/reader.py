"""The napari reader of whole slides. It imports neither torch nor a model."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import tifffile
from napari import current_viewer

from napari_xmag._gui.shared.notices import tell, tell_error, tell_warning
from napari_xmag.errors import SlideOpenError
from napari_xmag.filenames import HEAT_MAP, RESULT
from napari_xmag.layer_data import LayerData, join_units, slide_layer_data
from napari_xmag.slide.base import NoteCode, Slide, SlideImage
from napari_xmag.slide.dicom.header import DICOM_SUFFIXES
from napari_xmag.slide.find import SLIDE_SUFFIXES, TIFF_SUFFIXES, is_slide, is_whole_slide_dicom
from napari_xmag.slide.guard.tiff_checks import require_plausible
from napari_xmag.slide.guard.tiff_walk import walk_tiff
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.segments import DECODE_ERRORS
from napari_xmag.slide.tiff.pictures import slide_pictures

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_LARGE = 4096  # px a side; as one array such a picture is a burden


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader for whole slides and saved results, None for all else (npe2 reader).

    Small plain TIFFs, fluorescence and radiology are left to napari's other readers.
    """
    if any(is_saved_result(item) for item in _each(path)):
        return read_results
    return read_slides if all(_is_for_us(item) for item in _each(path)) else None


def is_saved_result(path: Path) -> bool:
    """Say whether a path is a saved result: its folder, its ``result.json`` or its map."""
    if path.name in (RESULT, HEAT_MAP):
        path = path.parent
    return (path / RESULT).is_file()


def read_results(path: PathOrPaths) -> list[LayerData]:
    """Open the slides of saved results; *Analyze slide* shows the results over them.

    Raises
    ------
    ResultError
        When a result cannot be loaded, or its slide is not found.
    """
    from napari_xmag._gui.saved_results import read_result

    return [
        layer
        for item in _each(path)
        for layer in (read_result(item, _read) if is_saved_result(item) else _read(item))
    ]


def read_slides(path: PathOrPaths) -> list[LayerData]:
    """Open slides as lazy layers: one for each path, or for each picture of a file with several.

    Of several pictures only the first is visible; focal planes that it does not show are hidden
    layers, too. What must be known of a slide, such as damage, is shown as a notification.

    Raises
    ------
    SlideOpenError
        When a file cannot be read. It is shown as a notification too, since napari's dialog
        for a remembered reader leaves the reason out.
    """
    return [layer for item in _each(path) for layer in _read(Path(item))]


def image_layers(path: Path, image: int) -> list[LayerData]:
    """Open one picture of a slide file as a lazy layer, and its focal planes as hidden ones.

    Parameters
    ----------
    image
        Its number, from 1.

    Raises
    ------
    SlideOpenError
        When it cannot be read, or is not there; that is shown as a notification too.
    """
    slide = _opened(path, image)
    planes = (plane for plane in slide.planes if plane.plane_of == image)
    slides = [slide, *_readable(path, planes)]
    _tell_notes(slides)
    return _layers(slides)


def _read(path: Path) -> list[LayerData]:
    first = _opened(path)
    slides = [first, *_readable(path, (*first.images[1:], *first.planes))]
    _tell_count(first)
    _tell_notes(slides)
    return _layers(slides)


def _opened(path: Path, image: int | None = None) -> Slide:
    try:
        return open_slide(path, image=image)
    except SlideOpenError as error:
        tell_error(error)
        raise


def _layers(slides: Sequence[Slide]) -> list[LayerData]:
    """Return a layer for each slide, of which the first is visible."""
    viewer = current_viewer()
    around = () if viewer is None else viewer.layers
    layers = [join_units(slide_layer_data(slide), around) for slide in slides]
    for _, arguments, _ in layers[1:]:
        arguments["visible"] = False
    return layers


def _readable(path: Path, images: Iterable[SlideImage]) -> Iterator[Slide]:
    """Yield the pictures that can be opened; the others are named, and do not hold up the first."""
    for image in images:
        try:
            yield open_slide(path, image=image.index)
        except SlideOpenError as error:
            tell_warning(f"{path.name}: image #{image.index} cannot be opened. {error}")


def _tell_count(first: Slide) -> None:
    count = len(first.images)
    if count > 1:
        tell(
            f"{first.path.name} contains {count} images. Each is treated as a separate slide with "
            "its own layer; only the first is visible."
        )


def _tell_notes(slides: Sequence[Slide]) -> None:
    name = slides[0].path.name
    notes = [note for slide in slides if not slide.image.plane_of for note in slide.notes]
    for words in dict.fromkeys(n.words for n in notes if n.code is not NoteCode.OTHER_IMAGES):
        tell_warning(f"{name}: {words}")


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
    """Tell RGB that is tiled, pyramidal or large from all other TIFFs."""
    try:
        walk = walk_tiff(path)
        require_plausible(path, walk)
    except SlideOpenError:
        return True  # circles and absurd sizes would hold up any other reader, or end it
    except (tifffile.TiffFileError, OSError):
        return False
    try:
        with tifffile.TiffFile(path) as file:
            pictures = slide_pictures(file, path, len(walk.directories)).slides
    except (tifffile.TiffFileError, *DECODE_ERRORS):
        return False
    largest = max(pictures, key=lambda picture: picture.area)
    page = largest.page
    is_rgb = int(page.photometric) in (2, 6)
    return is_rgb and (page.is_tiled or len(largest.levels) > 1 or max(page.shape) > _LARGE)
