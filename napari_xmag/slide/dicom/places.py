"""Where the frames of a DICOM picture lie: in which file, on which tile, in which focal plane."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.dicom.frames import frame_places
from napari_xmag.slide.dicom.instances import Instance
from napari_xmag.slide.guard.limits import MOST_PLANES

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FrameLayout:
    """Which tile each frame of a picture is, as its files state it.

    Attributes
    ----------
    parts
        The file, or the parts of a concatenation in their order.
    tiles, planes
        For each part the tile of every frame, counted row by row, and its focal plane, from 0.
    area
        How many tiles the picture has.
    focal_planes
        How many planes the picture has.
    depths
        Where each plane lies, in µm; None where the frames do not say.
    wanted
        The plane that is to be read; the best one without it.
    sparse
        Whether tiles may be left out where there is nothing but glass.
    """

    parts: tuple[Instance, ...]
    tiles: tuple[Ints, ...]
    planes: tuple[Ints, ...]
    area: int
    focal_planes: int
    sparse: bool
    depths: tuple[float | None, ...]
    wanted: int | None = None

    @property
    def missing_parts(self) -> tuple[int, ...]:
        """Numbers of the parts of a concatenation that are not among the files."""
        return _missing_parts(self.parts)

    @property
    def held_planes(self) -> int:
        """How many planes the files hold anything of; they may count those of other files, too."""
        planes = np.unique(np.concatenate(self.planes))
        return max(1, int((planes >= 0).sum()))

    @cached_property
    def plane(self) -> int:
        """The plane that is read: the middle one, or a neighbour of which less is missing.

        A sparse picture may hold most planes of a region only.
        """
        if self.wanted is not None and self.wanted < self.focal_planes:
            return self.wanted
        there = np.zeros(self.focal_planes, np.int64)
        for planes in self.planes:
            there += np.bincount(planes[planes >= 0], minlength=self.focal_planes)
        return fullest_plane(there.tolist())

    @cached_property
    def lost(self) -> NDArray[np.bool_]:
        """Which tiles of the plane that is read should be there and are not, bool (area,)."""
        lost = np.full(self.area, not self.sparse or bool(self.missing_parts))
        for tiles, shown in zip(self.tiles, self._shown, strict=True):
            lost[tiles[shown]] = False
        return lost

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """Which tiles the files hold, bool (area,)."""
        held = np.zeros(self.area, np.bool_)
        for tiles, shown in zip(self.tiles, self._shown, strict=True):
            held[tiles[shown]] = True
        return held

    @property
    def unsure(self) -> int:
        """How many tiles may lie in parts that nothing tells of, or be left out on purpose."""
        part = self.parts[0]
        names = ("InConcatenationNumber", "InConcatenationTotalNumber")
        told = all(any(part.number(name) for part in self.parts) for name in names)
        if told or not self.sparse or not part.text("ConcatenationUID") or self.missing_parts:
            return 0
        return int((~self.held).sum())

    @property
    def borrowed(self) -> int:
        """How many tiles are shown in another plane, because this one was not scanned there."""
        pairs = zip(self.planes, self._shown, strict=True)
        return sum(int((planes[shown] != self.plane).sum()) for planes, shown in pairs)

    @cached_property
    def _shown(self) -> list[NDArray[np.bool_]]:
        """Which frames of each part are shown: of a sparse picture each tile's nearest plane.

        What was left out of one plane on purpose is glass only where no other plane has it.
        """
        away = np.abs(np.concatenate(self.planes) - self.plane)
        shown = away == 0
        if self.sparse and self.focal_planes > 1:
            tiles = np.concatenate(self.tiles)
            order = np.lexsort((away, tiles))
            first = np.unique(tiles[order], return_index=True)[1]
            shown[:] = False
            shown[order[first]] = True
        return np.split(shown, np.cumsum([len(part) for part in self.tiles])[:-1])

    @property
    def incomplete(self) -> str:
        """What is missing, in words; empty when nothing is."""
        if missing := self.missing_parts:
            total = _part_count(self.parts)
            numbers = ", ".join(map(str, missing))
            few = len(missing) == 1
            return f"part{'' if few else 's'} {numbers} of {total} {'is' if few else 'are'} missing"
        if not self.lost.any():
            return ""
        found, needed = sum(map(len, self.tiles)), self.area * self.focal_planes
        return f"it holds {found:,} of the {needed:,} frames that its size needs"

    def tile_places(self) -> tuple[Ints, Ints, Ints]:
        """Return place, length and file of each tile of the plane that is read.

        The length is 0 where the file leaves a tile out; a tile that is lost lies beyond the end.
        """
        offsets, counts, sources = (np.zeros(self.area, np.int64) for _ in range(3))
        for source, part in enumerate(self.parts):
            places, lengths = frame_places(part)
            own = self._shown[source]
            tiles = self.tiles[source][own]
            offsets[tiles], counts[tiles], sources[tiles] = places[own], lengths[own], source
        offsets[self.lost], counts[self.lost] = self.parts[0].path.stat().st_size, 1
        return offsets, counts, sources


def fullest_plane(tiles: Sequence[int]) -> int:
    """Return the middle one of planes with so many tiles, or a neighbour that holds more."""
    middle = len(tiles) // 2
    order = sorted(range(len(tiles)), key=lambda plane: abs(plane - middle))
    return max(order, key=lambda plane: tiles[plane])


def frame_layout(
    parts: Sequence[Instance], grid: tuple[int, int], wanted: int | None = None
) -> FrameLayout:
    """Return how the frames of a picture lie.

    Parameters
    ----------
    parts
        One file, or the parts of a concatenation in their order.
    grid
        How many tiles lie side by side, and one above the other.
    wanted
        The focal plane that is to be read, from 0; the best one without it.

    Raises
    ------
    SlideOpenError
        When frames lie beside the grid, or several at one place, or where a missing part leaves
        the places of others unknown.
    """
    sparse = any(map(_states_places, parts))
    layout = _stated_layout(parts, grid) if sparse else _ordered_layout(parts, grid)
    keys = [p * layout.area + t for p, t in zip(layout.planes, layout.tiles, strict=True)]
    together = np.concatenate([key[key >= 0] for key in keys])
    doubled = len(np.unique(together)) != len(together)
    ranked = sparse and layout.focal_planes > 1 and None in layout.depths
    paths = 1
    if doubled or ranked:
        paths = len({name for part in parts for name in _optical_paths(part)})
    if doubled or paths > 1:
        raise SlideOpenError(
            expected="a DICOM slide with one frame at each place",
            found=f"{paths} optical paths"
            if paths > 1
            else f"several at the same place in {parts[0].path.name}",
            hint="Export the slide again as RGB, with one optical path.",
        )
    return replace(layout, wanted=wanted)


def hold_each_a_part(files: Sequence[Instance], grid: tuple[int, int]) -> bool:
    """Return whether files that no concatenation joins are the parts of one picture.

    Some writers begin a new file after so many bytes and say nothing of it. Each frame then states
    its place, no two of them the same, and together they are all that the picture has.
    """
    if not all(map(_states_places, files)):
        return False
    try:
        tiles = np.concatenate([_stated_tiles(file, grid) for file in files])
    except SlideOpenError:
        return False
    return len(tiles) == len(np.unique(tiles)) == grid[0] * grid[1]


def _ordered_layout(parts: Sequence[Instance], grid: tuple[int, int]) -> FrameLayout:
    """Return the layout of TILED_FULL: tile after tile, then plane after plane."""
    area, end = grid[0] * grid[1], 0
    frames: list[Ints] = []
    for part in parts:
        start = _frame_offset(part, end, parts)
        frames.append(start + np.arange(_frame_count(part), dtype=np.int64))
        end = start + _frame_count(part)
    stated = parts[0].number("TotalPixelMatrixFocalPlanes")
    count = max(1, stated, end // area)
    if count > MOST_PLANES:
        raise SlideOpenError(
            expected=f"a DICOM slide of up to {MOST_PLANES} focal planes",
            found=f"{count:,} focal planes in {parts[0].path.name}",
            hint="The file is damaged: copy it again from its source.",
        )
    planes = tuple(np.where(part // area < count, part // area, -1) for part in frames)
    tiles = tuple(part % area for part in frames)
    return FrameLayout(tuple(parts), tiles, planes, area, count, False, (None,) * count)


def _stated_layout(parts: Sequence[Instance], grid: tuple[int, int]) -> FrameLayout:
    """Return the layout of TILED_SPARSE: each frame states its place."""
    tiles = tuple(_stated_tiles(part, grid) for part in parts)
    depths = np.concatenate([np.array(part.frame_depths()) for part in parts])
    levels = np.unique(depths)
    every = np.concatenate(tiles)
    most = int(np.unique(every, return_counts=True)[1].max())
    stated: tuple[float | None, ...] = tuple(map(float, levels))
    planes = np.searchsorted(levels, depths)
    if len(levels) > most:  # each tile was focused by itself
        planes, stated = _ranks(every, depths, most), (None,) * most
    ends = np.cumsum([len(part) for part in tiles])[:-1]
    parted = tuple(np.split(planes, ends))
    return FrameLayout(tuple(parts), tiles, parted, grid[0] * grid[1], len(stated), True, stated)


def _ranks(tiles: Ints, depths: NDArray[np.float64], most: int) -> Ints:
    """Return the plane of each frame: its place among those of its tile, around the middle."""
    order = np.lexsort((depths, tiles))
    _, first, number = np.unique(tiles[order], return_index=True, return_counts=True)
    ranks = np.empty(len(tiles), np.int64)
    ranks[order] = np.arange(len(tiles)) - np.repeat(first - (most - number + 1) // 2, number)
    return ranks


def _frame_count(part: Instance) -> int:
    return max(1, part.number("NumberOfFrames", 1))


def _frame_offset(part: Instance, before: int, parts: Sequence[Instance]) -> int:
    """Return the number of a part's first frame: what it states, else all frames before it."""
    offset = part.number("ConcatenationFrameOffsetNumber", -1)
    if offset >= 0:
        return offset
    missing = [n for n in _missing_parts(parts) if n < part.number("InConcatenationNumber")]
    if missing:
        raise SlideOpenError(
            expected="all parts of a DICOM slide that is stored in several files",
            found=f"part {missing[0]} missing beside {part.path.name}, which does not state its "
            "own place",
            hint="Copy all files of the slide into one folder.",
        )
    return before


def _part_count(parts: Sequence[Instance]) -> int:
    numbers = (part.number("InConcatenationNumber") for part in parts)
    totals = (part.number("InConcatenationTotalNumber") for part in parts)
    return max(*numbers, *totals, 1)


def _missing_parts(parts: Sequence[Instance]) -> tuple[int, ...]:
    there = {part.number("InConcatenationNumber") for part in parts}
    if not parts[0].text("ConcatenationUID") or 0 in there:
        return ()
    return tuple(sorted(set(range(1, _part_count(parts) + 1)) - there))


def _stated_tiles(part: Instance, grid: tuple[int, int]) -> Ints:
    """Return which tile each frame is, row by row."""
    places = [item.PlanePositionSlideSequence[0] for item in part.frame_groups()]
    left = np.array([int(p.ColumnPositionInTotalImagePixelMatrix) - 1 for p in places], np.int64)
    top = np.array([int(p.RowPositionInTotalImagePixelMatrix) - 1 for p in places], np.int64)
    width, height = part.tile
    columns, rows = left // width, top // height
    found = ""
    if len(places) != _frame_count(part):
        found = f"places of {len(places):,} of {_frame_count(part):,} frames"
    elif (left % width).any() or (top % height).any():
        found = "tiles that lie between others"
    elif (
        min(columns.min(), rows.min()) < 0 or (columns >= grid[0]).any() or (rows >= grid[1]).any()
    ):
        found = "tiles that lie outside of it"
    if found:
        raise SlideOpenError(
            expected="a DICOM slide whose tiles lie on one grid",
            found=f"{found} in {part.path.name}",
            hint="Export the slide again as DICOM, organized as TILED_FULL.",
        )
    return columns + rows * grid[0]


def _states_places(part: Instance) -> bool:
    """Return whether a file states the place of each frame, instead of keeping to an order."""
    if part.text("DimensionOrganizationType") == "TILED_FULL":
        return False
    items = part.frame_groups()
    return bool(items) and bool(items[0].get("PlanePositionSlideSequence"))


def _optical_paths(part: Instance) -> list[str]:
    """Return what the frames call the light that they were taken in."""
    groups = [item.get("OpticalPathIdentificationSequence") or [{}] for item in part.frame_groups()]
    return [str(group[0].get("OpticalPathIdentifier") or "") for group in groups]
