"""The levels of a DICOM slide, put together from its files: the middle one of its focal planes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.dicom.frames import frame_decoder, frame_problem
from napari_xmag.slide.dicom.instances import Instance
from napari_xmag.slide.dicom.places import (
    FrameLayout,
    frame_layout,
    fullest_plane,
    hold_each_a_part,
)
from napari_xmag.slide.guard.limits import MOST_SEGMENTS, size_problem
from napari_xmag.slide.scale import StoredLevel
from napari_xmag.slide.segments import SegmentLevel, Segments, grid_size, some_segments


@dataclass(frozen=True, eq=False)
class DicomLevel:
    """The files of one level.

    Attributes
    ----------
    instances
        One, or the parts of a concatenation in their order.
    others
        How many more pictures of the same size there are: at other depths, or copies.
    depths
        Where the focal planes of these pictures lie, in µm, if each is a file of its own.
    wanted
        The plane that is to be read, of those of the files or within them; the best one without it.
    elsewhere
        How many tiles only the files of other planes hold.
    """

    instances: tuple[Instance, ...]
    others: int = 0
    depths: tuple[float, ...] = ()
    wanted: int | None = None
    elsewhere: int = 0

    @property
    def first(self) -> Instance:
        """The file that describes the level."""
        return self.instances[0]

    @property
    def area(self) -> int:
        """Its size in pixels."""
        return self.first.size[0] * self.first.size[1]

    @property
    def grid(self) -> tuple[int, int]:
        """How many tiles lie side by side, and one above the other."""
        return grid_size(*self.first.size, *self.first.tile)

    @cached_property
    def layout(self) -> FrameLayout:
        """How the frames of the level's own files lie.

        Raises
        ------
        SlideOpenError
            When they do not lie on one grid, one at each place.
        """
        within = self.wanted if len(self.depths) < 2 else None
        return frame_layout(self.instances, self.grid, within)

    @property
    def stack(self) -> tuple[float | None, ...]:
        """Where its focal planes lie, in µm, or None where nobody says; always one or more."""
        return self.depths if len(self.depths) > 1 else self.layout.depths

    @property
    def plane(self) -> int:
        """The plane of the stack that is read."""
        if len(self.depths) > 1 and self.wanted is not None:
            return self.wanted
        return self.layout.plane

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which tiles can be read, bool (tiles,); none where the level cannot."""
        return np.zeros(1, np.bool_) if self.problem else self.layout.held

    @property
    def problem(self) -> str:
        """Why the level cannot be read; empty when it can."""
        if min(*self.first.size, *self.first.tile) < 1:
            return "an image that does not state its size"
        if absurd := size_problem(*self.first.size, *self.first.tile):
            return absurd
        frames = max(part.number("NumberOfFrames", 1) for part in self.instances)
        if frames > MOST_SEGMENTS:
            return f"{frames:,} frames"
        paths = self._optical_paths()
        if paths > 1:
            return f"{paths} optical paths"
        return frame_problem(self.first) or self._parts_problem() or self._layout_problem()

    def _parts_problem(self) -> str:
        """Return whether its parts are stored in one way: one decoder serves them all."""
        names = ("PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored")
        ways = {
            (part.syntax, part.size, part.tile, *map(part.text, names)) for part in self.instances
        }
        return "parts that are stored in different ways" if len(ways) > 1 else ""

    def _layout_problem(self) -> str:
        try:
            found = self.layout
        except SlideOpenError as error:
            return error.found
        return "not a single frame" if found.lost.all() else ""

    def _optical_paths(self) -> int:
        """Return how many there are; without a number, those that so many frames must have."""
        stated = self.first.number("NumberOfOpticalPaths")
        if stated:
            return stated
        described = len(self.first.header.get("OpticalPathSequence") or ())
        planes = max(1, self.first.number("TotalPixelMatrixFocalPlanes"))
        frames = sum(part.number("NumberOfFrames", 1) for part in self.instances)
        columns, rows = self.grid
        return described if described > 1 and frames > columns * rows * planes else 1

    def stored(self) -> StoredLevel:
        """Return how the level is stored."""
        return StoredLevel(*self.first.size, *self.first.tile, self.first.spacing)


def find_levels(instances: Sequence[Instance], plane: int | None = None) -> list[DicomLevel]:
    """Return the levels of one slide, the largest first.

    Parameters
    ----------
    plane
        The focal plane that is wanted, from 0; only levels that have all planes show it. The
        middle one without it.
    """
    by_size: dict[tuple[int, int], list[Instance]] = {}
    for instance in instances:
        by_size.setdefault(instance.size, []).append(instance)
    ordered = sorted(by_size.items(), key=lambda entry: -entry[0][0] * entry[0][1])
    levels = [_level(group, plane) for _, group in ordered]
    if plane is None:
        return levels
    total = len(levels[0].stack)
    return [level for level in levels if not level.problem and len(level.stack) == total]


def group_parts(instances: Iterable[Instance]) -> list[tuple[Instance, ...]]:
    """Return the files of each picture: one, or its parts in their order."""
    wholes: dict[object, list[Instance]] = {}
    single: dict[object, list[Instance]] = {}
    for instance in instances:
        if uid := instance.text("ConcatenationUID"):
            wholes.setdefault(uid, []).append(instance)
        else:
            single.setdefault((instance.size, instance.tile), []).append(instance)
    for alike in single.values():
        if _are_parts(alike):
            wholes[alike[0].path] = alike
        else:
            wholes |= {one.path: [one] for one in alike}
    order = ("ConcatenationFrameOffsetNumber", "InConcatenationNumber")
    return [
        tuple(sorted(parts, key=lambda part: [part.number(name) for name in order]))
        for parts in wholes.values()
    ]


def _are_parts(files: Sequence[Instance]) -> bool:
    """Return whether files of one size hold each another part of one picture, and all of it."""
    first = files[0]
    if len(files) < 2 or min(*first.size, *first.tile) < 1:
        return False
    columns, rows = grid_size(*first.size, *first.tile)
    frames = sum(file.number("NumberOfFrames", 1) for file in files)
    return frames == columns * rows and hold_each_a_part(files, (columns, rows))


def _level(group: Sequence[Instance], plane: int | None) -> DicomLevel:
    """Make a level of files of one size, which differ in their depth."""
    pictures = group_parts(group)
    stated = plane_depths([parts[0] for parts in pictures])
    planes = {
        depth: DicomLevel(parts)
        for depth, parts in zip(reversed(stated), reversed(pictures), strict=True)
    }
    depths = tuple(sorted(planes))
    if len(depths) < 2:
        return DicomLevel(pictures[0], len(pictures) - 1, wanted=plane)
    stack = [planes[depth] for depth in depths]
    counts = [int(one.held.sum()) for one in stack]
    place = plane if plane is not None and plane < len(depths) else fullest_plane(counts)
    others = [one.held for one in stack if len(one.held) == len(stack[place].held)]
    elsewhere = int((np.any(others, axis=0) & ~stack[place].held).sum())
    chosen = stack[place].instances
    return DicomLevel(chosen, len(pictures) - 1, depths, place, elsewhere)


def plane_depths(pictures: Sequence[Instance]) -> tuple[float, ...]:
    """Return where the focal plane of each picture lies, in µm: all 0 where nothing tells.

    What is stated in several ways, such as a height that all have in common, and one of their own,
    is taken from the way that tells them apart.
    """
    if len(pictures) > 1:
        for stated in zip(*(picture.depths() for picture in pictures), strict=True):
            depths = tuple(depth or 0.0 for depth in stated)
            if len(set(depths)) > 1:
                return depths
    return (0.0,) * len(pictures)


def segment_level(level: DicomLevel) -> SegmentLevel:
    """Describe how the frames of a level are read.

    Raises
    ------
    SlideOpenError
        When its frames do not lie on one grid.
    """
    first = level.first
    columns, rows = level.grid
    offsets, counts, sources = level.layout.tile_places()
    paths = tuple(part.path for part in level.instances)
    there = (counts > 0) & ~level.layout.lost
    frames = some_segments(paths, offsets[there], counts[there], sources[there])
    decode, color = frame_decoder(first, frames)
    return SegmentLevel(
        width=first.size[0],
        height=first.size[1],
        segment_width=first.tile[0],
        segment_height=first.tile[1],
        columns=columns,
        rows=rows,
        pages=(Segments(paths, offsets, counts, decode, sources),),
        color=color,
    )
