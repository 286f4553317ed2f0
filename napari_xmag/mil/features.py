"""All tile features of a slide, computed once and kept."""

import hashlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import __version__
from napari_xmag.errors import TissueError
from napari_xmag.files import whole_file
from napari_xmag.geometry import Box
from napari_xmag.nets.device import DeviceBatch, encode_bag
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import Progress
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress

if TYPE_CHECKING:
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.tiles import Tile, TileGrid

_BATCH = 32


@dataclass(frozen=True)
class SlideFeatures:
    """Features of the patches that a head attends over, and the tiles that show them.

    Attributes
    ----------
    features
        Float32 (P, D), tile by tile; mapped from the cache where they are kept there.
    boxes
        Float64 (P, 4): x, y, width, height of the patches in level-0 pixels.
    tiles
        Float64 (T, 4): the tiles that could be read.
    tissue
        Bool (T, N): which patches of each tile hold tissue; P of them do.
    """

    features: NDArray[np.float32]
    boxes: NDArray[np.float64]
    tiles: NDArray[np.float64]
    tissue: NDArray[np.bool_]


def slide_features(
    path: Path,
    mpp: float | None,
    student: Student,
    *,
    granularity: Granularity = "tiles",
    min_tissue: float = 0.2,
    cache: Path | None = None,
    encoder_id: str = "",
    batch: DeviceBatch | None = None,
) -> Generator[Progress, None, SlideFeatures]:
    """Encode all tissue of a slide.

    Parameters
    ----------
    mpp
        Pixel size given for this slide, or None to take the file's.
    granularity
        What the head will weigh: tiles, or their cells.
    min_tissue
        Least share of tissue in a patch.
    cache
        Folder where features are kept for another run with the same ``encoder_id``.
    batch
        Device, precision and batch size; by default those that suit the student's device.

    Raises
    ------
    TissueError
        When no tile of the slide could be read.
    XmagError
        When the slide does not open.
    """
    if cache is None:
        return (yield from _encode(path, mpp, student, granularity, min_tissue, batch))
    precision = batch and str(batch.dtype)
    parts = (mpp, student.spec, granularity, min_tissue, encoder_id, precision)
    place = cache / f"{slide_identity(path, parts)}.npz"
    if not place.exists():
        result = yield from _encode(path, mpp, student, granularity, min_tissue, batch)
        with whole_file(place.with_suffix(".npy")) as part:
            np.save(part, result.features)
        # Written last: where it is, the features are.
        with whole_file(place) as part:
            np.savez(part, boxes=result.boxes, tiles=result.tiles, tissue=result.tissue)
    # Mapped: the features of a thousand slides need not fit into memory.
    features = np.load(place.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
    with np.load(place, allow_pickle=False) as arrays:
        return SlideFeatures(features, arrays["boxes"], arrays["tiles"], arrays["tissue"])


def slide_identity(path: Path, parts: tuple[object, ...]) -> str:
    """Return a name for what was made of a slide file with these settings."""
    stat = path.stat()
    of_file = (__version__, path.resolve(), stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(repr((*of_file, *parts)).encode()).hexdigest()[:24]


def _encode(
    path: Path,
    mpp: float | None,
    student: Student,
    granularity: Granularity,
    min_tissue: float,
    batch_size: DeviceBatch | None,
) -> Generator[Progress, None, SlideFeatures]:
    from napari_xmag.slide.bag import plan_bag
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.tissue import find_tissue

    spec = student.spec
    cells = spec.cells if granularity == "cells" else 1
    with closing(open_slide(path, mpp=mpp)) as slide:
        mask = find_tissue(slide)
        bag = plan_bag(
            slide, mask, mpp=spec.mpp, tile_px=spec.tile_px, cells=cells, min_tissue=min_tissue
        )
        meter = ProgressMeter(path.name, len(bag.tiles.boxes))
        parts, found = [], []
        for batch in _batches(slide, bag.tiles, meter):
            if isinstance(batch, Progress):
                yield batch
                continue
            indices = [tile.index for tile in batch]
            tissue = bag.members[indices] >= 0
            work = partial(_encoded, student, batch, tissue, granularity, batch_size)
            parts.append((yield from run_with_progress(work, meter)))
            found += indices
    if not parts:
        raise TissueError(
            expected=f"tissue tiles in {path.name}",
            found="none that could be read",
            hint="Leave this slide out of the table.",
        )
    members = bag.members[found]
    return SlideFeatures(
        np.concatenate(parts),
        np.array([_numbers(bag.patches.boxes[index]) for index in members[members >= 0]]),
        np.array([_numbers(bag.tiles.boxes[index]) for index in found]),
        members >= 0,
    )


def _batches(
    slide: "Slide", grid: "TileGrid", meter: ProgressMeter
) -> "Generator[list[Tile] | Progress, None, None]":
    """Yield the readable tiles in batches, and the pace while none comes."""
    from napari_xmag.slide.tiles import read_tiles

    batch: list[Tile] = []
    with closing(read_tiles(slide, grid.boxes, grid.tile_px)) as tiles:
        for tile in tiles:
            if tile is None:
                yield meter.event()
                continue
            meter.add(1)
            if tile.pixels is not None:
                batch.append(tile)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _encoded(
    student: Student,
    batch: "list[Tile]",
    tissue: NDArray[np.bool_],
    granularity: Granularity,
    batch_size: DeviceBatch | None,
) -> NDArray[np.float32]:
    pixels = np.stack([tile.pixels for tile in batch if tile.pixels is not None])
    features = encode_bag(student, pixels, batch_size, granularity).cpu().numpy()
    of_tissue: NDArray[np.float32] = features[tissue]
    return of_tissue


def _numbers(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height
