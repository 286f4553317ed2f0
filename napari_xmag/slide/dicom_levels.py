"""The levels of a DICOM slide, put together from its files: the middle one of its focal planes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.dicom import Instance
from napari_xmag.slide.dicom_frames import frame_decoder, frame_places, frame_problem
from napari_xmag.slide.guard.limits import MOST_SEGMENTS, size_problem
from napari_xmag.slide.scale import StoredLevel
from napari_xmag.slide.segments import SegmentLevel, Segments, grid_size

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DicomLevel:
    """The files of one level.

    Attributes
    ----------
    instances
        One, or the parts of a concatenation in their order.
    others
        How many more pictures of the same size there are: at other depths, or without a reason.
    depths
        How many depths all these pictures have.
    """

    instances: tuple[Instance, ...]
    others: int
    depths: int

    @property
    def first(self) -> Instance:
        """The file that describes the level."""
        return self.instances[0]

    @property
    def grid(self) -> tuple[int, int]:
        """How many tiles lie side by side, and one above the other."""
        return grid_size(*self.first.size, *self.first.tile)

    @property
    def planes(self) -> int:
        """How many focal planes the level's own files hold."""
        stated = self.first.number("TotalPixelMatrixFocalPlanes")
        if _states_places(self.first):
            return len(np.unique(_frame_depths(_per_frame(self.first))))
        if stated > 1:
            return stated
        columns, rows = self.grid
        frames = sum(max(1, part.number("NumberOfFrames", 1)) for part in self.instances)
        return max(1, frames // (columns * rows))

    @property
    def problem(self) -> str:
        """Why the level cannot be read; empty when it can."""
        if min(*self.first.size, *self.first.tile) < 1:
            return "a picture that does not state its size"
        if absurd := size_problem(*self.first.size, *self.first.tile):
            return absurd
        frames = max(part.number("NumberOfFrames", 1) for part in self.instances)
        if frames > MOST_SEGMENTS:
            return f"{frames:,} frames"
        paths = self.first.number("NumberOfOpticalPaths", 1)
        return f"{paths} optical paths" if paths > 1 else frame_problem(self.first)

    def stored(self) -> StoredLevel:
        """Return how the level is stored."""
        return StoredLevel(*self.first.size, *self.first.tile, self.first.spacing)


def find_levels(instances: Sequence[Instance]) -> list[DicomLevel]:
    """Return the levels of one slide, the largest first."""
    by_size: dict[tuple[int, int], list[Instance]] = {}
    for instance in instances:
        by_size.setdefault(instance.size, []).append(instance)
    ordered = sorted(by_size.items(), key=lambda entry: -entry[0][0] * entry[0][1])
    return [_level(group) for _, group in ordered]


def _level(group: Sequence[Instance]) -> DicomLevel:
    """Make a level of files of one size: the parts of a concatenation, or of several pictures."""
    wholes: dict[str, list[Instance]] = {}
    for instance in group:
        key = instance.text("ConcatenationUID") or instance.text("SOPInstanceUID")
        wholes.setdefault(key, []).append(instance)
    planes = sorted(wholes.values(), key=lambda parts: parts[0].depth)
    depths = len({parts[0].depth for parts in planes})
    chosen = planes[len(planes) // 2 if depths > 1 else 0]
    order = ("ConcatenationFrameOffsetNumber", "InConcatenationNumber")
    chosen.sort(key=lambda part: tuple(part.number(name) for name in order))
    return DicomLevel(tuple(chosen), len(planes) - 1, depths)


def segment_level(level: DicomLevel) -> SegmentLevel:
    """Describe how the frames of a level are read.

    Raises
    ------
    SlideOpenError
        When its frames do not lie on one grid.
    """
    first = level.first
    columns, rows = level.grid
    offsets, counts, sources = _tile_places(level, columns * rows)
    own = (counts > 0) & (sources == 0)
    decode, color = frame_decoder(first, offsets[own], counts[own])
    paths = tuple(part.path for part in level.instances)
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


def _tile_places(level: DicomLevel, area: int) -> tuple[Ints, Ints, Ints]:
    """Return place, length and file of each tile of the middle plane; length 0 for none."""
    offsets, counts, sources = (np.zeros(area, np.int64) for _ in range(3))
    before = 0
    for source, part in enumerate(level.instances):
        places, lengths = frame_places(part)
        start = part.number("ConcatenationFrameOffsetNumber", before)
        tiles = _tiles(part, level, area, np.arange(start, start + len(places)))
        kept = (tiles >= 0) & (tiles < area)
        offsets[tiles[kept]], counts[tiles[kept]] = places[kept], lengths[kept]
        sources[tiles[kept]] = source
        before += len(places)
    return offsets, counts, sources


def _tiles(part: Instance, level: DicomLevel, area: int, frames: Ints) -> Ints:
    """Return which tile each frame is, row by row; -1 for those of other focal planes."""
    if not _states_places(part):
        # TILED_FULL: tile after tile, then plane after plane.
        return np.where(frames // area == level.planes // 2, frames % area, -1)
    places = [item.PlanePositionSlideSequence[0] for item in _per_frame(part)]
    left = np.array([int(p.ColumnPositionInTotalImagePixelMatrix) - 1 for p in places])
    top = np.array([int(p.RowPositionInTotalImagePixelMatrix) - 1 for p in places])
    width, height = part.tile
    if (left % width).any() or (top % height).any():
        raise SlideOpenError(
            expected="a DICOM slide whose tiles lie on one grid",
            found=f"tiles in {part.path.name} that lie between others",
            hint="Export the slide again as DICOM, organized as TILED_FULL.",
        )
    depths = _frame_depths(_per_frame(part))
    planes = np.unique(depths)
    tiles = top // height * level.grid[0] + left // width
    return np.where(depths == planes[len(planes) // 2], tiles, -1)


def _states_places(part: Instance) -> bool:
    """Return whether a file states the place of each frame, instead of keeping to an order."""
    if part.text("DimensionOrganizationType") == "TILED_FULL":
        return False
    items = _per_frame(part)
    return bool(items) and bool(items[0].get("PlanePositionSlideSequence"))


def _frame_depths(per_frame: Sequence[Any]) -> NDArray[np.float64]:
    places = (item.PlanePositionSlideSequence[0] for item in per_frame)
    return np.array([float(p.get("ZOffsetInSlideCoordinateSystem") or 0) for p in places])


def _per_frame(part: Instance) -> Sequence[Any]:
    """Return what a file states of each frame; empty where it states nothing."""
    from pydicom import config, dcmread

    known = part.per_frame
    if not known:
        tags = ["PerFrameFunctionalGroupsSequence"]
        with config.disable_value_validation():
            header = dcmread(part.path, stop_before_pixels=True, specific_tags=tags)
            header.walk(lambda *_: None)  # converts all values, while nothing warns of them
        known.append(header.get("PerFrameFunctionalGroupsSequence") or ())
    items: Sequence[Any] = known[0]
    return items
