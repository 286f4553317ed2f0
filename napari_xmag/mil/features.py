"""All patch features of a slide, computed once and kept."""

import hashlib
import logging
import zlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import __version__
from napari_xmag.errors import TissueError
from napari_xmag.files import file_crc, whole_file
from napari_xmag.geometry import Box
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress, step_thread

if TYPE_CHECKING:
    from napari_xmag.slide.bag import Bag
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.tiles import Tile, TileGrid

_log = logging.getLogger(__name__)

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
    encoder: TileEncoder,
    *,
    min_tissue: float = 0.2,
    cache: Path | None = None,
    encoder_id: str = "",
) -> Generator[Progress, None, SlideFeatures]:
    """Encode all tissue of a slide.

    Parameters
    ----------
    mpp
        Pixel size given for this slide, or None to take the file's.
    encoder
        Encodes the tiles; stays open for the next slide.
    min_tissue
        Least share of tissue in a patch.
    cache
        Folder where features are kept for another run with the same ``encoder_id``.

    Raises
    ------
    TissueError
        When the slide has no tissue, or none of its tiles can be read.
    XmagError
        When the slide does not open.
    """
    encoding = _Encoding(path, mpp, encoder, min_tissue)
    meter = ProgressMeter(Stage.ENCODING, 0, "tiles", item=path.name)
    with step_thread() as thread:
        if cache is None:
            return (yield from encoding.run(meter, thread))
        spec, precision = encoder.student.spec, str(encoder.batch.dtype)
        parts = (spec, encoder.granularity, min_tissue, encoder_id, precision)
        naming = partial(slide_identity, path, mpp, parts)
        name = yield from run_with_progress(naming, meter, thread)
        place = cache / f"{name}.npz"
        kept = yield from run_with_progress(partial(_kept, place), meter, thread)
        if kept is not None:
            return kept
        result = yield from encoding.run(meter, thread)
        yield from run_with_progress(partial(_keep, result, place), meter, thread)
        return (yield from run_with_progress(partial(_unaltered, place), meter, thread))


def or_blank(
    steps: Generator[Progress, None, SlideFeatures],
) -> Generator[Progress, None, SlideFeatures | TissueError]:
    """Return the features of a slide, or for a blank one the error that says so."""
    try:
        return (yield from steps)
    except TissueError as error:
        return error


def slide_identity(path: Path, mpp: float | None, parts: tuple[object, ...]) -> str:
    """Return a name for what was made of a slide with these settings.

    Parameters
    ----------
    mpp
        Pixel size given for the slide; without it that which is remembered counts.
    """
    from napari_xmag.slide.fingerprint import slide_fingerprint
    from napari_xmag.slide.mpp_store import remembered_mpp

    size = remembered_mpp(path) if mpp is None else mpp
    of_slide = (__version__, slide_fingerprint(path), size)
    return hashlib.sha256(repr((*of_slide, *parts)).encode()).hexdigest()[:24]


def _keep(result: SlideFeatures, place: Path) -> None:
    values = place.with_suffix(".npy")
    with whole_file(values) as part:
        np.save(part, result.features)
    # Written last: where it is, the features are.
    with whole_file(place) as part:
        np.savez(
            part,
            boxes=result.boxes,
            tiles=result.tiles,
            tissue=result.tissue,
            checksum=np.array([file_crc(values)], np.uint32),
            name=np.array(place.stem),
        )


def _kept(place: Path) -> SlideFeatures | None:
    """Return what is kept; None where there is nothing, or where it was altered since."""
    if not place.exists():
        return None
    try:
        return _unaltered(place)
    except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error) as error:
        _log.warning("The features kept in %s are damaged and made anew: %s", place.name, error)
        return None


def _unaltered(place: Path) -> SlideFeatures:
    values = place.with_suffix(".npy")
    # Opened here: of a file that is no archive, numpy leaves its own handle open.
    with place.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        boxes, tiles, tissue = (arrays[name] for name in ("boxes", "tiles", "tissue"))
        checksum, name = int(arrays["checksum"][0]), str(arrays["name"])
    if name != place.stem or checksum != file_crc(values):
        raise ValueError("its checksum is another")
    # Mapped: the features of a thousand slides need not fit into memory.
    features = np.load(values, mmap_mode="c", allow_pickle=False)
    if not len(features) == len(boxes) == tissue.sum() or len(tissue) != len(tiles):
        raise ValueError("its parts do not belong together")
    return SlideFeatures(features, boxes, tiles, tissue)


@dataclass(frozen=True)
class _Encoding:
    """One slide and how it is encoded; see `slide_features`."""

    path: Path
    mpp: float | None
    encoder: TileEncoder
    min_tissue: float

    def run(
        self, meter: ProgressMeter, thread: ThreadPoolExecutor
    ) -> Generator[Progress, None, SlideFeatures]:
        """Encode all tissue; every step runs in the thread."""
        from napari_xmag.slide.open import open_slide

        opening = partial(open_slide, self.path, mpp=self.mpp)
        with closing((yield from run_with_progress(opening, meter, thread))) as slide:
            bag = yield from run_with_progress(partial(self._planned, slide), meter, thread)
            meter.total = len(bag.tiles.boxes)
            preparing = partial(self.encoder.prepare, meter.total)
            yield from run_with_progress(preparing, meter, thread)
            parts, found = [], []
            for batch in _batches(slide, bag.tiles, meter):
                if isinstance(batch, Progress):
                    yield batch
                    continue
                work = partial(self._encoded, batch, bag)
                parts.append((yield from run_with_progress(work, meter, thread)))
                found += [tile.index for tile in batch]
        if not parts:
            raise _nothing_in(self.path, len(bag.tiles.boxes))
        return (yield from run_with_progress(partial(_joined, parts, found, bag), meter, thread))

    def _planned(self, slide: "Slide") -> "Bag":
        from napari_xmag.slide.bag import plan_bag
        from napari_xmag.slide.tissue import find_tissue

        spec = self.encoder.student.spec
        return plan_bag(
            slide,
            find_tissue(slide),
            mpp=spec.mpp,
            tile_px=spec.tile_px,
            cells=spec.cells if self.encoder.granularity == "cells" else 1,
            min_tissue=self.min_tissue,
        )

    def _encoded(self, batch: "list[Tile]", bag: "Bag") -> NDArray[np.float32]:
        tissue = bag.members[[tile.index for tile in batch]] >= 0
        pixels = np.stack([tile.pixels for tile in batch if tile.pixels is not None])
        return self.encoder.encode(pixels)[tissue]


def _nothing_in(path: Path, tiles: int) -> TissueError:
    return TissueError(
        expected=f"tissue in {path.name}",
        found=f"{tiles} tiles of which none can be read" if tiles else "no tissue",
        hint="Leave this slide out of the table.",
    )


def _joined(
    parts: Sequence[NDArray[np.float32]], found: Sequence[int], bag: "Bag"
) -> SlideFeatures:
    members = bag.members[list(found)]
    return SlideFeatures(
        np.concatenate(parts),
        np.array([_numbers(bag.patches.boxes[index]) for index in members[members >= 0]]),
        np.array([_numbers(bag.tiles.boxes[index]) for index in found]),
        members >= 0,
    )


def _batches(
    slide: "Slide", grid: "TileGrid", meter: ProgressMeter
) -> "Generator[list[Tile] | Progress, None, None]":
    """Yield the readable tiles in batches, and the progress between them."""
    from napari_xmag.slide.tiles import read_tiles

    batch: list[Tile] = []
    with closing(read_tiles(slide, grid.boxes, grid.tile_px)) as tiles:
        for tile in tiles:
            if meter.is_due():
                yield meter.event()
            if tile is None:
                continue
            meter.add(1)
            if tile.pixels is not None:
                batch.append(tile)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _numbers(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height
