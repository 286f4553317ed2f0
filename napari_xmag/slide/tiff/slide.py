"""TIFF and its relatives: plain and pyramidal TIFF, Aperio SVS, OME-TIFF, QPTIFF, ImageJ."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.agreement import comparison
from napari_xmag.slide.base import MppSource, NoteCode, SlideImage, SlideNote
from napari_xmag.slide.colors.levels import with_seen_colors
from napari_xmag.slide.damage import without_cut_levels
from napari_xmag.slide.guard.tiff_walk import walk_tiff
from napari_xmag.slide.images import (
    choose_image,
    damage_note,
    image_notes,
    orientation_note,
    plane_images,
)
from napari_xmag.slide.mpp import aperio_conflict, find_conflict
from napari_xmag.slide.scale import Pyramid, place_levels
from napari_xmag.slide.segment_slide import SegmentSlide
from napari_xmag.slide.segments import DECODE_ERRORS, SegmentLevel, SegmentReader
from napari_xmag.slide.tiff.picture import TiffPicture
from napari_xmag.slide.tiff.pictures import slide_pictures
from napari_xmag.slide.tiff.statements import tag_value

WHITE = (255, 255, 255)


class TiffSlide(SegmentSlide):
    """A TIFF that holds brightfield pictures: RGB(A) of 8 or 16 bits, or grey of 8 bits.

    Parameters
    ----------
    path
        File to open; tiled or striped, with or without a pyramid.
    image
        Number or name of the picture; the first without it.

    Raises
    ------
    SlideOpenError
        When the file holds no brightfield picture that can be shown as a slide, or not the one
        that is wanted.
    tifffile.TiffFileError, OSError
        When it is no TIFF.
    """

    def __init__(self, path: Path, image: int | str | None = None) -> None:
        self.path = path
        _require_own_pixels(path)
        walk = walk_tiff(path)
        with tifffile.TiffFile(path) as file:
            found = slide_pictures(file, path, len(walk.directories))
            pictures = found.slides
            self.images = tuple(_slide_image(index, p) for index, p in enumerate(pictures, 1))
            self.planes = _planes(self.images, pictures)
            self.image = choose_image(path, (*self.images, *self.planes), image)
            picture = pictures[(self.image.plane_of or self.image.index) - 1]
            if self.image.plane_of:
                picture = replace(picture, levels=picture.stack[self.image.plane - 1])
            pyramid, stored = _levels(picture, path)
            self._describe(file, picture)
            turned = orientation_note(tag_value(picture.page, "Orientation"))
        self.levels, kept, lost = without_cut_levels(pyramid.levels, stored)
        levels, color_notes = with_seen_colors(kept)
        self._reader = SegmentReader(levels, WHITE)
        self.bounds = Box(0, 0, levels[0].width, levels[0].height)
        self.notes = (
            *image_notes(self.images, self.image, image, self.planes),
            *found.notes,
            *([SlideNote(NoteCode.DESCRIPTION, picture.remark)] if picture.remark else ()),
            *pyramid.notes,
            *turned,
            *color_notes,
            *damage_note(levels[0].cut_off(), lost, walk.complete, described=walk.described),
        )
        self._try_decoding()

    def _describe(self, file: tifffile.TiffFile, picture: TiffPicture) -> None:
        page, statements = picture.page, picture.statements
        self.mpp: Mpp | None = statements[0].mpp if statements else None
        self.mpp_source = statements[0].source if statements else MppSource.NONE
        self.tile_size = (page.tilewidth, page.tilelength) if page.is_tiled else (0, 0)
        self.vendor = _vendor(file)
        self.background = WHITE
        self.objective_power = picture.objective
        header = aperio_conflict(page.description, page.imagewidth, page.imagelength)
        conflict = find_conflict(statements, self.objective_power)
        self.mpp_conflict = " ".join(filter(None, (conflict, header if statements else "")))
        self.icc_profile: bytes | None = tag_value(page, "InterColorProfile")
        names = ("ImageDescription", "Software", "Make", "Model", "DateTime")
        texts = {f"tiff.{name}": tag_value(page, name) for name in names}
        self.properties: Mapping[str, str] = {
            key: str(text) for key, text in texts.items() if text is not None
        }

    def _try_decoding(self) -> None:
        """Read a pixel here and there: a missing codec must be known at once."""
        errors: list[BaseException] = []
        for level in reversed(self.levels):
            for x, y in ((0, 0), (level.width // 2, level.height // 2)):
                try:
                    self._reader.read(level.index, x, y, 1, 1)
                except DECODE_ERRORS as error:
                    errors.append(error)
                else:
                    return  # what cannot be read elsewhere is damaged
        self.close()
        raise SlideOpenError(
            expected="an image that can be decoded",
            found=f"a compression in {self.path.name} that cannot ({errors[0]})",
            hint="Convert the file, for instance with QuPath or vips.",
            causes=errors,
        ) from errors[0]


def _require_own_pixels(path: Path) -> None:
    """Refuse the VSI of an Olympus scanner: it holds a preview, and the slide lies beside it."""
    if path.suffix.lower() == ".vsi":
        raise SlideOpenError(
            expected="a slide whose pixels lie in its file",
            found=f"{path.name}, which holds a preview only (the scan lies in the folder "
            f"_{path.stem}_ beside it)",
            hint="Export the slide as OME-TIFF or TIFF, for instance with the scanner's software "
            "or QuPath.",
        )


def _slide_image(index: int, picture: TiffPicture) -> SlideImage:
    page, statements = picture.page, picture.statements
    mpp = statements[0].mpp if statements else None
    return SlideImage(
        index, picture.name, page.imagewidth, page.imagelength, mpp, picture.focal_planes
    )


def _planes(
    images: Sequence[SlideImage], pictures: Sequence[TiffPicture]
) -> tuple[SlideImage, ...]:
    """Return the focal planes that the pictures do not show, numbered on from those."""
    found: list[SlideImage] = []
    for image, picture in zip(images, pictures, strict=True):
        depths = [None] * len(picture.stack)
        found += plane_images(image, depths, len(images) + len(found) + 1, len(images) > 1)
    return tuple(found)


def _levels(picture: TiffPicture, path: Path) -> tuple[Pyramid, list[SegmentLevel]]:
    """Return where the levels of a picture lie on the slide, and how they are read."""
    pyramid = place_levels(
        [level.stored() for level in picture.levels],
        comparison(lambda place: picture.levels[place].segments(path)),
    )
    levels = [
        replace(picture.levels[stored].segments(path), width=level.width, height=level.height)
        for level, stored in zip(pyramid.levels, pyramid.stored, strict=True)
    ]
    return pyramid, levels


def _vendor(file: Any) -> str:
    kinds = {
        "is_ome": "OME-TIFF",
        "is_svs": "aperio",
        "is_bif": "ventana",
        "is_qpi": "PerkinElmer QPTIFF",
        "is_scn": "leica",
        "is_imagej": "ImageJ TIFF",
    }
    return next((name for kind, name in kinds.items() if getattr(file, kind)), "TIFF")
