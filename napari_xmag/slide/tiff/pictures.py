"""Which pictures of a TIFF are slides."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.base import NoteCode, SlideNote
from napari_xmag.slide.tiff.pages import ASIDE, page_pictures
from napari_xmag.slide.tiff.picture import TiffPicture, tile_size
from napari_xmag.slide.tiff.series import series_pictures
from napari_xmag.slide.tiff.statements import ome_file_light
from napari_xmag.slide.tiff.undescribed import UNDESCRIBED
from napari_xmag.slide.tiff.ventana import describe_ventana

# A picture that is called a label or an overview, among other words, is one where it has less than
# this share of the largest, or pixels so much coarser.
_ASIDE_SHARE, _ASIDE_COARSER = 0.25, 2.0
# A picture that nothing is known of, of less than this share of the largest and no larger than
# this, is no section but an overview.
_SMALL_SHARE, _SMALL_PX = 0.05, 2048


@dataclass(frozen=True, slots=True)
class SlidePictures:
    """What a TIFF holds.

    Attributes
    ----------
    slides
        The pictures that are slides, in the order of the file.
    notes
        Which others are left out, and why; those that call themselves a label, a macro or the
        like go without saying.
    """

    slides: list[TiffPicture]
    notes: tuple[SlideNote, ...]


def slide_pictures(file: tifffile.TiffFile, path: Path, pages: int) -> SlidePictures:
    """Tell slides from all else that a TIFF holds.

    Parameters
    ----------
    pages
        How many pages of the file can be read.

    Raises
    ------
    SlideOpenError
        When there is no slide.
    """
    found = _all_pictures(file, path, pages)
    usable = [picture for picture in found if not picture.problem]
    if not usable:
        raise _refuse(path, found[0].problem if found else "no image")
    # Grey beside colour is a mask or another channel of the same place.
    colored = [picture for picture in usable if int(picture.page.photometric) > 1]
    if not colored and _is_stack(usable):
        raise _refuse(path, f"{len(usable)} grey images of one size")
    named = _without_asides(colored or usable)
    largest = max(named, key=lambda picture: picture.area)
    kept = [picture for picture in named if not _is_small_unknown(picture, largest)]
    notes = [
        _left_out(picture, bool(colored))
        for picture in found
        if not _is_among(picture, kept) and not ASIDE.search(picture.name)
    ]
    return SlidePictures(kept, tuple(dict.fromkeys(notes)))


def _all_pictures(file: tifffile.TiffFile, path: Path, pages: int) -> list[TiffPicture]:
    described = file.is_ome or file.is_imagej or file.is_shaped or file.is_scn
    found = list(series_pictures(file, path, pages)) if described else []
    if not found:
        own = [file.pages[index].aspage() for index in range(pages)]
        found = list(page_pictures(own, path, aperio=file.is_svs))
        describe_ventana(found, own)
        for picture in found:
            picture.remark = UNDESCRIBED if file.is_ome else picture.remark
    light = ome_file_light(file) if file.is_ome else ""
    for picture in found:
        if picture.remark == UNDESCRIBED:  # yet what is true of all pictures is true of it
            picture.problem = picture.problem or light
    return found


def _is_among(picture: TiffPicture, pictures: Iterable[TiffPicture]) -> bool:
    return any(other is picture for other in pictures)


def _left_out(picture: TiffPicture, beside_color: bool) -> SlideNote:
    if picture.problem:
        reason = f"it is not a brightfield image, but {picture.problem}"
    elif beside_color and int(picture.page.photometric) <= 1:
        reason = "it is grey, while others are in colour: probably a mask"
    else:
        reason = "it is small, and not stored or scanned like the others: a label or an overview"
    width, height = picture.page.imagewidth, picture.page.imagelength
    words = f"An image of {width}×{height} pixels in the file is left out: {reason}."
    return SlideNote(NoteCode.PICTURE_LEFT_OUT, words)


def _refuse(path: Path, found: str) -> SlideOpenError:
    return SlideOpenError(
        expected="a brightfield image: RGB with 8 or 16 bits a colour, with or without "
        "transparency, or grey with 8 bits",
        found=f"{found} in {path.name}",
        hint="Fluorescence and other multi-channel images cannot be analyzed; "
        "export the stained slide as RGB.",
    )


def _without_asides(pictures: Sequence[TiffPicture]) -> list[TiffPicture]:
    """Return pictures without label, macro and the like; all where there is nothing else."""
    others = [picture for picture in pictures if not ASIDE.search(picture.name)]
    if not others:
        return list(pictures)
    largest = max(others, key=lambda picture: picture.area)
    return [picture for picture in pictures if not _is_aside(picture, largest)]


def _is_aside(picture: TiffPicture, largest: TiffPicture) -> bool:
    """Return whether a name, with the size where it says more, is one of a label or overview."""
    name = ASIDE.search(picture.name)
    if name is None:
        return False
    if not re.sub(r"[\W\d_]|image", "", picture.name.replace(name[0], ""), flags=re.IGNORECASE):
        return True
    own, other = (p.statements[0].mpp if p.statements else None for p in (picture, largest))
    coarse = own is not None and other is not None and own.mean > _ASIDE_COARSER * other.mean
    return coarse or picture.area < _ASIDE_SHARE * largest.area


def _is_small_unknown(picture: TiffPicture, largest: TiffPicture) -> bool:
    """Return whether a small picture is none of the sections, which are stored or scanned alike."""
    if picture is largest:
        return False
    if picture.aside:
        return True
    small = picture.area < _SMALL_SHARE * largest.area and (
        max(int(picture.page.imagewidth), int(picture.page.imagelength)) <= _SMALL_PX
    )
    own, other = (p.statements[0].mpp if p.statements else None for p in (picture, largest))
    if own is not None and other is not None:
        # An overview covers more in fewer pixels; a small section is scanned like the others.
        return small and own.mean > 2 * other.mean
    tiled = tile_size(picture.page)
    return small and not (any(tiled) and tiled == tile_size(largest.page))


def _is_stack(pictures: Sequence[TiffPicture]) -> bool:
    """Return whether grey pictures are channels or planes of one place."""
    sizes = {(p.page.imagewidth, p.page.imagelength) for p in pictures}
    return len(pictures) > 1 and len(sizes) == 1
