"""DICOM whole slides, read without trust in what is often wrong.

That is: labels of colours, sizes of levels, and what else lies in the folder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from napari_xmag.errors import SlideOpenError
from napari_xmag.files import is_same_file
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.agreement import comparison
from napari_xmag.slide.base import MppSource, NoteCode, SlideNote
from napari_xmag.slide.colors.levels import with_seen_colors
from napari_xmag.slide.damage import without_cut_levels
from napari_xmag.slide.dicom.images import (
    focal_planes,
    level_files,
    numbered_series,
    picture_image,
    readable,
    stated_mpp,
)
from napari_xmag.slide.dicom.instances import DIRECTORY, Instance
from napari_xmag.slide.dicom.levels import DicomLevel, find_levels, segment_level
from napari_xmag.slide.images import choose_image, damage_note, image_notes
from napari_xmag.slide.mpp import StatedMpp, find_conflict, plausible
from napari_xmag.slide.scale import TOO_FEW_PX, place_levels
from napari_xmag.slide.segment_slide import SegmentSlide
from napari_xmag.slide.segments import SegmentReader
from napari_xmag.slide.tiff.slide import WHITE


class DicomSlide(SegmentSlide):
    """One slide of a DICOM folder, or of the series that a file belongs to.

    Parameters
    ----------
    path
        Folder, DICOMDIR, or any file of a series.
    image
        Number or name of the picture, where there are several series or slides; the first
        without it.

    Raises
    ------
    SlideOpenError
        When there is no whole slide, none that can be shown, or not the one that is wanted.
    """

    def __init__(self, path: Path, image: int | str | None = None) -> None:
        self.path = path
        series = numbered_series(path)
        files = level_files(series)
        if not files:
            raise _nothing(path)
        found = {number: find_levels(instances) for number, instances in files.items()}
        pictures = {number: own for number, levels in found.items() if (own := readable(levels))}
        if not pictures:
            raise _refuse(path, next(iter(found.values()))[0].problem)
        self.images = tuple(picture_image(number, levels) for number, levels in pictures.items())
        self.planes = focal_planes(self.images, pictures, len(series) + 1)
        self.image = choose_image(path, (*self.images, *self.planes), image)
        number = self.image.plane_of or self.image.index
        levels = pictures[number]
        if self.image.plane_of:
            levels = find_levels(files[number], self.image.plane - 1)
            if not levels or levels[0].first.size != pictures[number][0].first.size:
                raise _refuse(path, f"a plane that cannot be read ({self.image.name})")
        describe = cache(lambda place: segment_level(levels[place]))
        pyramid = place_levels([level.stored() for level in levels], comparison(describe))
        _require_shown(path, levels, pyramid.stored)
        segments = [
            replace(describe(place), width=level.width, height=level.height)
            for level, place in zip(pyramid.levels, pyramid.stored, strict=True)
        ]
        self.levels, kept, lost = without_cut_levels(pyramid.levels, segments)
        stored, color_notes = with_seen_colors(kept)
        self._reader = SegmentReader(stored, WHITE)
        self._describe(levels[0].first)
        self.notes = (
            *image_notes(self.images, self.image, image, self.planes),
            *_left_out_notes(levels[0] for levels in found.values()),
            *_unreadable_notes(found[number]),
            *pyramid.notes,
            *_copies_notes(levels),
            *_plane_notes(levels),
            *_unsure_notes(levels),
            *color_notes,
            *damage_note(stored[0].cut_off(), lost, incomplete=_incomplete(levels)),
        )

    def _describe(self, first: Instance) -> None:
        self.vendor = "dicom"
        self.background = WHITE
        self.tile_size = first.tile
        self.bounds = Box(0, 0, self.levels[0].width, self.levels[0].height)
        optics = first.optical_path
        power = None if optics is None else optics.get("ObjectiveLensPower")
        self.objective_power: float | None = float(power) if power else None
        self.icc_profile: bytes | None = None if optics is None else optics.get("ICCProfile")
        self.mpp: Mpp | None = stated_mpp(first)
        self.mpp_source = MppSource.NONE if self.mpp is None else MppSource.DICOM
        statements = [StatedMpp(self.mpp, MppSource.DICOM, "DICOM header")] if self.mpp else []
        volume = first.volume_spacing
        imaged = None if volume is None else plausible(1000 * volume[0], 1000 * volume[1])
        if statements and imaged:
            statements.append(StatedMpp(imaged, MppSource.DICOM, "DICOM imaged volume"))
        self.mpp_conflict = find_conflict(statements, self.objective_power)
        names = ("Manufacturer", "ManufacturerModelName", "PhotometricInterpretation")
        self.properties: Mapping[str, str] = {
            f"dicom.{name}": first.text(name) for name in names if first.text(name)
        }


def _nothing(path: Path) -> SlideOpenError:
    single = path.is_file() and path.name.upper() != DIRECTORY
    return SlideOpenError(
        expected="the levels of a DICOM whole slide (ImageType VOLUME)",
        found=f"{path.name}, a DICOM file that lacks what a level needs"
        if single
        else f"none in {path.name}",
        hint="Choose the folder that holds all files of one slide, or export the slide again as "
        "DICOM whole-slide images.",
    )


def _refuse(path: Path, problem: str) -> SlideOpenError:
    return SlideOpenError(
        expected="a brightfield DICOM slide: RGB with up to 16 bits a colour, or grey with 8 bits",
        found=f"{problem} in {path.name}",
        hint="Keep all files of the slide together, or export it again as RGB in JPEG.",
    )


def _require_shown(path: Path, levels: Sequence[DicomLevel], shown: Sequence[int]) -> None:
    """Refuse a file that is left out of its slide: by its name another picture would open.

    Raises
    ------
    SlideOpenError
        When the path is such a file.
    """
    for place, level in enumerate(levels):
        named = any(is_same_file(part.path, path) for part in level.instances)
        if named and place not in shown and max(level.first.size) > TOO_FEW_PX:
            width, height = level.first.size
            raise SlideOpenError(
                expected=f"{path.name} to be a level of the slide to whose series it belongs",
                found=f"{width}×{height} pixels that do not clearly show the same",
                hint="Open the folder for the slide. If this file is another slide, move it into "
                "a folder of its own.",
            )


def _incomplete(levels: Iterable[DicomLevel]) -> str:
    """Return what is missing of the levels, in words; empty when nothing is."""
    found = {level.first.size: level.layout.incomplete for level in levels}
    told = [f"{words} ({w}×{h} pixels)" for (w, h), words in found.items() if words]
    return "; ".join(told)


def _left_out_notes(finest: Iterable[DicomLevel]) -> tuple[SlideNote, ...]:
    """Name the pictures that cannot be shown."""
    words = (
        "An image of {0}×{1} pixels beside this one is left out, because it cannot be shown. "
        "Found in it: {problem}."
    )
    return _problem_notes(finest, NoteCode.PICTURE_LEFT_OUT, words)


def _unreadable_notes(levels: Iterable[DicomLevel]) -> tuple[SlideNote, ...]:
    """Name the levels that cannot be read."""
    words = (
        "A level of {0}×{1} pixels is left out, because it cannot be read. Found in it: {problem}. "
        "Finer levels are read instead."
    )
    return _problem_notes(levels, NoteCode.LEVEL_LEFT_OUT, words)


def _problem_notes(
    levels: Iterable[DicomLevel], code: NoteCode, words: str
) -> tuple[SlideNote, ...]:
    return tuple(
        SlideNote(code, words.format(*level.first.size, problem=level.problem))
        for level in levels
        if level.problem
    )


def _plane_notes(levels: Sequence[DicomLevel]) -> tuple[SlideNote, ...]:
    """Say where the plane that is read holds nothing and others do."""
    borrowed = _counted({level.first.size: level.layout.borrowed for level in levels})
    elsewhere = _counted({level.first.size: level.elsewhere for level in levels})
    words = []
    if borrowed:
        words.append(
            f"Some tiles are not there in this focal plane: {borrowed}. They are shown in the "
            "nearest plane that has them."
        )
    if elsewhere:
        words.append(
            f"Some tiles were scanned in other focal planes only: {elsewhere}. They are shown as "
            "glass here."
        )
    return tuple(SlideNote(NoteCode.FOCAL_PLANES, sentence) for sentence in words)


def _unsure_notes(levels: Sequence[DicomLevel]) -> tuple[SlideNote, ...]:
    """Say where parts of a sparse picture may be missing, of which no file says how many exist."""
    unsure = _counted({level.first.size: level.layout.unsure for level in levels})
    words = (
        "The slide may be incomplete: it is spread over several files, of which none states how "
        f"many there are. Tiles that none of those here holds are shown as glass: {unsure}. Check "
        "that all files of the slide are in one folder."
    )
    return (SlideNote(NoteCode.DAMAGED, words),) if unsure else ()


def _counted(tiles: Mapping[tuple[int, int], int]) -> str:
    found = ((size, number) for size, number in tiles.items() if number)
    return ", ".join(f"{number:,} of the level of {w}×{h} pixels" for (w, h), number in found)


def _copies_notes(levels: Iterable[DicomLevel]) -> tuple[SlideNote, ...]:
    return tuple(
        SlideNote(
            NoteCode.LEVEL_LEFT_OUT,
            f"{level.others} more of {level.first.size[0]}×{level.first.size[1]} pixels "
            "in the same series are left out: nothing tells how they differ from the one shown.",
        )
        for level in levels
        if level.others and len(level.depths) < 2
    )
