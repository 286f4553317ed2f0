"""Annotations as the regions of a slide that are to be analyzed."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_xmag.analyze.flags import Flag, FlagCode
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ConfigError, TissueError
from napari_xmag.printable import printable
from napari_xmag.qupath.annotations import (
    Annotation,
    AnnotationFile,
    ObjectKind,
    read_annotations,
)
from napari_xmag.qupath.classes import UNCLASSIFIED, class_names, class_words, is_ignored, is_ours
from napari_xmag.qupath.geometry import (
    FAR,
    HOLE,
    NOWHERE,
    TOO_FEW,
    Corners,
    polygons,
    seamed,
    union,
)
from napari_xmag.qupath.origin import Origin, result_frame, slide_frame
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask, tissue_in_polygons

ANY_CLASS = "*"
"""Takes starred classes too."""

_OTHER_PLANE = "on focal plane z = "
_OTHER_TIME = "at time point t = "
_KIND_WORDS = {
    ObjectKind.DETECTION: ("detection", "detections"),
    ObjectKind.TILE: ("tile", "tiles"),
    ObjectKind.CELL: ("cell", "cells"),
    ObjectKind.TMA_CORE: ("TMA core", "TMA cores"),
    ObjectKind.ROOT: ("root object", "root objects"),
    ObjectKind.UNKNOWN: ("object of another kind", "objects of another kind"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The annotations of a file that are regions.

    Attributes
    ----------
    file
        Name of the file.
    annotations
        The regions; each has an area.
    left_out
        What else the file holds, in words, and how often.
    plane
        The focal plane on which they lie, from 0.
    """

    file: str
    annotations: tuple[Annotation, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    plane: int = 0

    @property
    def by_class(self) -> dict[str, int]:
        """How many regions there are of each class."""
        return dict(Counter(class_words(item.classes) for item in self.annotations))

    @property
    def shape(self) -> BaseGeometry:
        """All regions together, in the file's pixels; what two cover counts once."""
        return union([item.shape for item in self.annotations])

    @property
    def words(self) -> str:
        """What was taken and what was not, for a person."""
        taken = ", ".join(f"{count} {name}" for name, count in self.by_class.items())
        left = ", ".join(f"{count} {name}" for name, count in self.left_out.items())
        return f"{taken} of {printable(self.file)}" + (f"; left out: {left}" if left else "")

    def corners(self, origin_x: float = 0.0, origin_y: float = 0.0) -> list[Corners]:
        """Return the outlines in level-0 pixels, each float (N, 2) as x, y.

        Parameters
        ----------
        origin_x, origin_y
            Where the file's (0, 0) lies in level-0 pixels.

        Returns
        -------
        One line for each polygon; holes are joined to it by a seam of no width, so that filling by
        the even-odd rule leaves them out.
        """
        return [
            np.add(seamed(polygon), [origin_x, origin_y])
            for item in self.annotations
            for polygon in polygons(item.shape)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return what a result keeps of them."""
        # whatever the order in which they were drawn or selected
        classes, left_out = dict(sorted(self.by_class.items())), dict(sorted(self.left_out.items()))
        return {"file": self.file, "classes": classes, "left_out": left_out}


def read_regions(
    path: str | os.PathLike[str],
    classes: Sequence[str] = (),
    *,
    all_occur: bool = True,
    plane: int = 0,
) -> Regions:
    """Read the regions in a file that QuPath wrote.

    Annotations with an area count, on one focal plane and the first time point. Tiles, detections,
    cells, TMA cores and the root do not, neither do starred classes (``Ignore*``) that are not
    asked for by name, nor what this program itself left on the slide.

    Parameters
    ----------
    classes
        Names of the classes to take, as QuPath shows them; ``Tumor`` takes ``Tumor: Positive`` too,
        ``Unclassified`` what has no class, and ``*`` everything. Every class that is not starred
        when empty.
    all_occur
        Each of these classes must occur; otherwise one of them is enough.
    plane
        The focal plane that is analyzed, from 0; see `shown_plane`.

    Raises
    ------
    TissueError
        When the file cannot be read, or holds no such region.
    ConfigError
        When classes that were asked for do not occur.
    """
    path = Path(path)
    file = read_annotations(path)
    _require_known(path, file, classes, all if all_occur else any)
    regions: list[Annotation] = []
    left_out = Counter(file.refused)
    for item in file.annotations:
        reason = _reason_against(item, classes, plane)
        if reason:
            left_out[reason] += 1
        else:
            regions.append(item)
    left_out.update(not_drawn(file))
    found = Regions(path.name, tuple(regions), dict(left_out), plane)
    if not regions:
        raise _no_regions(found, classes)
    return found


def _reason_against(item: Annotation, classes: Sequence[str], plane: int) -> str:
    if words := elsewhere(item, plane):
        return words
    if not item.shape.area:
        return "without an area"
    if is_ours(item.classes, item.name):
        return f"of class {class_words(item.classes)}"
    if classes:
        return "" if _asked_for(item, classes) else f"of class {class_words(item.classes)}"
    return f"of class {class_words(item.classes)}" if is_ignored(item.classes) else ""


def not_drawn(file: AnnotationFile) -> dict[str, int]:
    """Return what a file holds beside annotations with a shape, in words, and how often."""
    others = {_KIND_WORDS[kind][count > 1]: count for kind, count in file.others.items()}
    return {"without a geometry": file.shapeless, **others} if file.shapeless else others


def elsewhere(item: Annotation, plane: int) -> str:
    """Return on which other focal plane or time point an annotation lies; empty for none.

    Parameters
    ----------
    plane
        The focal plane that is analyzed, from 0.
    """
    if item.z != plane:
        return f"{_OTHER_PLANE}{item.z}"
    return f"{_OTHER_TIME}{item.t}" if item.t else ""


def is_elsewhere(words: str) -> bool:
    """Return whether words are such as `elsewhere` returns."""
    return words.startswith((_OTHER_PLANE, _OTHER_TIME))


def _asked_for(item: Annotation, classes: Sequence[str]) -> bool:
    names = {_as_shown(name) for name in classes}
    return ANY_CLASS in names or any(name in names for name in _ancestry(item.classes))


def _as_shown(name: str) -> str:
    """Return a class that a person wrote as QuPath would, in small letters."""
    parts = class_names(" ".join(name.split()))
    return class_words(parts).casefold() if parts else ""


def _ancestry(parts: Sequence[str]) -> Iterator[str]:
    """Yield a class and those that it derives from, as a person may write them."""
    if not parts:
        yield UNCLASSIFIED.casefold()
    for count in range(1, len(parts) + 1):
        yield class_words(parts[:count]).casefold()


def _require_known(
    path: Path,
    file: AnnotationFile,
    classes: Sequence[str],
    enough: Callable[[Iterable[bool]], bool],
) -> None:
    missing = [
        name for name in classes if not any(_asked_for(item, [name]) for item in file.annotations)
    ]
    if not classes or enough(name not in missing for name in classes):
        return
    known = {class_words(item.classes) for item in file.annotations}
    raise ConfigError(
        expected=f"annotations of class {' or '.join(missing)} in {path.name}",
        found=f"only {', '.join(sorted(known)) or 'no annotation at all'}",
        hint="Write the class as QuPath shows it, or leave out --regions-class.",
    )


def _no_regions(found: Regions, classes: Sequence[str]) -> TissueError:
    left = ", ".join(f"{count} {name}" for name, count in found.left_out.items())
    away = any(map(is_elsewhere, found.left_out))
    starred = not classes and any(name.endswith("*") for name in found.left_out)
    if away and not starred:
        return TissueError(
            expected=f"annotations with an area in {found.file}",
            found=f"none that counts ({left})",
            hint=f"{elsewhere_hint(found.plane)} To analyze another plane, name the slide file "
            "itself and the plane with --image.",
        )
    hint = (
        "Starred classes are left out unless --regions-class names them."
        if starred
        else "In QuPath, draw annotations with an area, select them, and choose File > Export "
        "objects as GeoJSON."
    )
    return TissueError(
        expected=f"annotations with an area in {found.file}",
        found=f"none that counts ({left or 'the file is empty'})",
        hint=hint,
    )


def elsewhere_hint(plane: int) -> str:
    """Say where annotations must lie."""
    return (
        f"Only focal plane z = {plane} (QuPath counts from 0) and the first time point are read: "
        "draw them there."
    )


def region_flags(regions: Regions, result: SlideResult, origin: Origin) -> list[Flag]:
    """Say which regions took no part, and when they were too small for any tile.

    Parameters
    ----------
    origin
        From which corner the file counts.
    """
    flags = []
    for reason in (NOWHERE, FAR, TOO_FEW, HOLE):
        if count := regions.left_out.get(reason):
            were = "region {} was" if count == 1 else "regions {} were"
            words = f"{count} {were.format(reason)} ignored."
            flags.append(Flag(FlagCode.REGIONS, words))
    away = [words for words in regions.left_out if is_elsewhere(words)]
    if away:
        here = f"focal plane z = {regions.plane} and the first time point"
        words = f"Regions {', '.join(away)} were ignored: only {here} are analyzed."
        flags.append(Flag(FlagCode.REGIONS, words))
    flags += [Flag(FlagCode.REGIONS, words) for words in _unused_words(regions, result, origin)]
    if not len(result.patches) and not result.unreadable:
        side = result.model["tile_px"] * result.model["mpp"]
        words = (
            "The regions contain too little tissue to fill the minimum fraction of any tile "
            f"({side:.0f} µm): draw larger regions, or lower --min-tissue."
        )
        flags.append(Flag(FlagCode.REGIONS, words))
    return flags


def _unused_words(regions: Regions, result: SlideResult, origin: Origin) -> list[str]:
    """Say how many regions lie beside the slide, and in how many others nothing was analyzed."""
    frame, table, slide = result_frame(result.slide, origin), result.patches, result.slide
    shapes = [item.shape for item in regions.annotations]
    left, top = table.x - frame.x, table.y - frame.y
    patches = shapely.STRtree(shapely.box(left, top, left + table.width, top + table.height))
    used = np.isin(np.arange(len(shapes)), patches.query(shapes, predicate="intersects")[0])
    right, bottom = slide["width"] - frame.x, slide["height"] - frame.y
    on_slide = shapely.intersects(shapely.box(-frame.x, -frame.y, right, bottom), shapes)
    outside, empty = int((~on_slide).sum()), int((on_slide & ~used).sum())
    words = []
    if outside:
        words.append(
            f"{_of_regions(outside, shapes)} outside the slide: is the file of this slide?"
        )
    if empty and used.any():
        words.append(
            f"{_of_regions(empty, shapes)} without any analyzed tile: too small, without tissue, "
            "or not read."
        )
    return words


def _of_regions(count: int, shapes: Sequence[BaseGeometry]) -> str:
    total = "1 region" if len(shapes) == 1 else f"{len(shapes)} regions"
    return f"{count} of {total} {'is' if count == 1 else 'are'}"


def tissue_in_regions(
    slide: Slide, regions: Regions, origin: Origin, *, only_tissue: bool = True
) -> TissueMask:
    """Take the tissue within regions.

    Parameters
    ----------
    origin
        From which corner the file counts.
    only_tissue
        Leave out the glass within them; otherwise everything scanned within them counts.

    Raises
    ------
    TissueError
        When no region meets the slide's tissue: most often the file counts from another corner.
    """
    try:
        mask = _mask(slide, regions, origin, only_tissue=only_tissue)
    except TissueError as error:
        if _on_slide(slide, regions, origin):
            raise _too_small(slide, regions, error.found) from error
        raise _off_tissue(slide, regions, origin, error.found, only_tissue) from error
    if not mask.pixels.any():
        raise _off_tissue(slide, regions, origin, "only glass within them", only_tissue)
    return mask


def _mask(slide: Slide, regions: Regions, origin: Origin, *, only_tissue: bool) -> TissueMask:
    frame = slide_frame(slide, origin)
    return tissue_in_polygons(slide, regions.corners(frame.x, frame.y), only_tissue=only_tissue)


def _on_slide(slide: Slide, regions: Regions, origin: Origin) -> bool:
    frame, level = slide_frame(slide, origin), slide.levels[0]
    whole = shapely.box(-frame.x, -frame.y, level.width - frame.x, level.height - frame.y)
    return bool(shapely.intersection(regions.shape, whole).area > 0)


def _too_small(slide: Slide, regions: Regions, found: str) -> TissueError:
    return TissueError(
        expected=f"regions in {regions.file} large enough for tissue of {slide.path.name}",
        found=found,
        hint="Draw larger regions; check that the file is of this slide at this size.",
    )


def _off_tissue(
    slide: Slide, regions: Regions, origin: Origin, found: str, only_tissue: bool
) -> TissueError:
    """Return the error, with the likeliest cause: the origin, another slide, or a wrong size."""
    other = Origin.SLIDE if origin is Origin.BOUNDS else Origin.BOUNDS
    hint = (
        f"The origin is a likely cause: coordinates were counted from the corner of {origin.words}"
    )
    if slide_frame(slide, other) == slide_frame(slide, origin):
        hint = "Is the file of another slide, or of this one at another size?"
    elif _meets(slide, regions, other, only_tissue):
        hint += f". Counted from that of {other.words}, they overlap it: --qupath-origin {other}."
    else:
        hint += f". Try --qupath-origin {other}, or check that the file is of this slide."
    what = "tissue" if only_tissue else "the scanned part"
    return TissueError(
        expected=f"the regions in {regions.file} to overlap {what} of {slide.path.name}",
        found=found,
        hint=hint,
    )


def _meets(slide: Slide, regions: Regions, origin: Origin, only_tissue: bool) -> bool:
    try:
        return bool(_mask(slide, regions, origin, only_tissue=only_tissue).pixels.any())
    except TissueError:
        return False
