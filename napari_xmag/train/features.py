"""All tile features of a slide, computed once and kept."""

import hashlib
import os
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from napari_xmag import __version__
from napari_xmag.errors import TissueError
from napari_xmag.geometry import Box
from napari_xmag.nets.device import encode
from napari_xmag.nets.student import Student
from napari_xmag.train.beat import Pace, beating
from napari_xmag.train.events import Progress

if TYPE_CHECKING:
    from napari_xmag.slide.tiles import Tile

    TileStream = Generator[Tile | None, None, None]

_BATCH = 32


@dataclass(frozen=True)
class SlideFeatures:
    """Features float32 (T, D) of a slide's readable tiles and their boxes, float (T, 4)."""

    features: NDArray[np.float32]
    boxes: NDArray[np.float64]


def slide_features(
    path: Path,
    mpp: float | None,
    student: Student,
    *,
    min_tissue: float = 0.2,
    cache: Path | None = None,
    encoder_id: str = "",
) -> Generator[Progress, None, SlideFeatures]:
    """Encode every tissue tile of a slide.

    Parameters
    ----------
    mpp
        Pixel size given for this slide, or None to take the file's.
    cache
        Folder where features are kept for another run with the same ``encoder_id``.

    Raises
    ------
    TissueError
        When no tile of the slide could be read.
    XmagError
        When the slide does not open.
    """
    place = cache and cache / f"{_identity(path, mpp, student, min_tissue, encoder_id)}.npz"
    if place and place.exists():
        with np.load(place, allow_pickle=False) as arrays:
            return SlideFeatures(arrays["features"], arrays["boxes"])
    result = yield from _encode(path, mpp, student, min_tissue)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_suffix(".part")
        with unfinished.open("wb") as stream:
            np.savez(stream, features=result.features, boxes=result.boxes)
        os.replace(unfinished, place)
    return result


def _encode(
    path: Path,
    mpp: float | None,
    student: Student,
    min_tissue: float,
) -> Generator[Progress, None, SlideFeatures]:
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.tiles import plan_tiles, read_tiles
    from napari_xmag.slide.tissue import find_tissue

    spec = student.spec
    with closing(open_slide(path, mpp=mpp)) as slide:
        grid = plan_tiles(
            slide, find_tissue(slide), mpp=spec.mpp, tile_px=spec.tile_px, min_tissue=min_tissue
        )
        pace = Pace(path.name, len(grid.boxes))
        parts, kept, waiting = [], [], []
        stream = cast("TileStream", read_tiles(slide, grid.boxes, spec.tile_px))
        with closing(stream) as tiles:
            for tile in tiles:
                if tile is None:
                    yield pace.event()
                    continue
                pace.add(1)
                if tile.pixels is not None:
                    waiting.append(tile.pixels)
                    kept.append(grid.boxes[tile.index])
                if len(waiting) == _BATCH or (waiting and pace.done == pace.total):
                    batch, waiting = waiting, []
                    pixels = np.stack(batch)
                    parts.append((yield from beating(partial(_encoded, student, pixels), pace)))
    if not parts:
        raise TissueError(
            wanted=f"tissue tiles in {path.name}",
            found="none that could be read",
            remedy="Leave this slide out of the table.",
        )
    return SlideFeatures(np.concatenate(parts), np.array([_numbers(box) for box in kept]))


def _encoded(student: Student, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    features: NDArray[np.float32] = encode(student, pixels).cpu().numpy()
    return features


def _numbers(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height


def _identity(
    path: Path, mpp: float | None, student: Student, min_tissue: float, encoder_id: str
) -> str:
    stat = path.stat()
    parts = (
        __version__,
        path.resolve(),
        stat.st_size,
        stat.st_mtime_ns,
        mpp,
        student.spec,
        min_tissue,
    )
    return hashlib.sha256(repr((parts, encoder_id)).encode()).hexdigest()[:24]
