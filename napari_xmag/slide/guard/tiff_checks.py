"""What a TIFF declares, held against what can be: refused, or doubted, or fine."""

from collections.abc import Iterator
from pathlib import Path

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.guard.limits import size_problem
from napari_xmag.slide.guard.tiff_walk import Directory, TiffWalk

_WIDTH, _LENGTH, _BITS, _SAMPLES = 256, 257, 258, 277
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_PLANES = 284
_SEPARATE = 2
_DEPTH, _TILE_DEPTH = 32997, 32998
_MOST_SAMPLES = 64
# Larger tiles exist, but rarely: OpenSlide allocates them whole, several at a time.
_USUAL_TILE_SIDE = 4096


def require_plausible(path: Path, walk: TiffWalk) -> None:
    """Refuse a TIFF that declares what cannot be.

    Raises
    ------
    SlideOpenError
        When a size is absurd, or more tiles are declared than a file of this size can list.
    """
    for directory in (*walk.directories, *walk.below):
        problem = _problem(directory)
        if problem:
            raise SlideOpenError(
                expected="a TIFF whose declared sizes are possible",
                found=f"{problem} in {path.name}",
                hint="The file is damaged: copy it again from its source, or export it again.",
            )


def doubts(walk: TiffWalk) -> str:
    """Return what is odd about a TIFF, though it may be readable; empty for nothing."""
    if not walk.complete:
        return "its list of images is cut off"
    every = (*walk.directories, *walk.below)
    return next((words for one in every for words in _doubts(one, walk)), "")


def _problem(directory: Directory) -> str:
    width, height = directory.number(_WIDTH), directory.number(_LENGTH)
    if not {_WIDTH, _LENGTH} <= directory.entries.keys():
        return ""  # no picture, such as a camera's notes
    across, down = _segment_size(directory)
    tiled = _is_tiled(directory)
    # Strips span the picture, and a strip may be all of it: only tiles are allocated unasked.
    problem = size_problem(width, height, across if tiled else 0, down if tiled else 0)
    if problem or min(across, down) < 1:
        return problem or f"tiles of {across}×{down} pixels"
    if directory.number(_SAMPLES, 1) > _MOST_SAMPLES:
        return f"{directory.number(_SAMPLES):,} samples per pixel"
    needed, listed = _segments(directory), directory.count(_tables(directory)[0])
    if listed < needed or (tiled and listed > needed):
        # Each would be shown in another one's place.
        parts = "tiles" if tiled else "strips"
        return f"{listed:,} {parts} listed where {needed:,} are needed"
    return ""


def _doubts(directory: Directory, walk: TiffWalk) -> Iterator[str]:
    entries = directory.entries
    if not {_WIDTH, _LENGTH} <= entries.keys():
        yield "a directory that describes no image"
    if any(entry.end > walk.size for entry in entries.values()):
        yield "values beyond the end of the file"
    if not all(entry.known for entry in entries.values()):
        yield "values of an unknown type"
    offsets, counts = _tables(directory)
    if not directory.count(offsets):
        yield "an image without data"
    elif not directory.count(offsets) == directory.count(counts) == _segments(directory):
        yield "another number of tiles than the image needs"
    lengths = entries.get(counts)
    if lengths is not None and max(lengths.values, default=0) > walk.size:
        yield "tiles longer than the file"
    if max(_tile_size(directory)) > _USUAL_TILE_SIDE:
        yield "unusually large tiles"
    if directory.number(_BITS, 8) not in (1, 2, 4, 8, 16, 32, 64):
        yield "unusual pixels"


def _is_tiled(directory: Directory) -> bool:
    return bool({_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS} & directory.entries.keys())


def _tables(directory: Directory) -> tuple[int, int]:
    """Return the tags that list where the segments lie, and how long they are."""
    if _TILE_OFFSETS in directory.entries:
        return _TILE_OFFSETS, _TILE_COUNTS
    # Some old writers list tiles as strips.
    return _STRIP_OFFSETS, _STRIP_COUNTS


def _tile_size(directory: Directory) -> tuple[int, int]:
    return directory.number(_TILE_WIDTH), directory.number(_TILE_LENGTH)


def _segment_size(directory: Directory) -> tuple[int, int]:
    if _is_tiled(directory):
        return _tile_size(directory)
    height = directory.number(_LENGTH)
    return directory.number(_WIDTH), max(1, min(directory.number(_ROWS_PER_STRIP, height), height))


def _segments(directory: Directory) -> int:
    """Return how many tiles or strips the picture needs, all its planes together."""
    across, down = _segment_size(directory)
    columns, rows = -(-directory.number(_WIDTH) // across), -(-directory.number(_LENGTH) // down)
    planes = directory.number(_SAMPLES, 1) if directory.number(_PLANES, 1) == _SEPARATE else 1
    layers = -(-directory.number(_DEPTH, 1) // max(1, directory.number(_TILE_DEPTH, 1)))
    return columns * rows * planes * max(1, layers)
