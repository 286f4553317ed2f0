"""Features of labelled tiles, computed once for the same bytes and the same network."""

import hashlib
import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.encoders import TileSource
from napari_xmag.evaluate.shifts import Shift
from napari_xmag.evaluate.tiles import LabelledTile, at_scale, centered, cut
from napari_xmag.files import whole_file
from napari_xmag.nets.device import encode
from napari_xmag.nets.folders.folder import file_sha256
from napari_xmag.nets.student import StudentSpec
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress
from napari_xmag.slide.picture import read_image_file

_log = logging.getLogger(__name__)

# A killed run goes on from the last finished part.
_PART = 64
_READERS = 4


@dataclass(frozen=True)
class TileFeatures:
    """Features float32 (N, D), the mean over a picture's crops, and the crops of each, int (N,)."""

    features: NDArray[np.float32]
    crops: NDArray[np.int64]


def content_hashes(tiles: Sequence[LabelledTile]) -> Generator[Progress, None, list[str]]:
    """Return the SHA-256 of each tile's bytes."""
    meter, hashes = ProgressMeter(Stage.HASHING, len(tiles), "tiles"), []
    for start in range(0, len(tiles), _PART):
        part = [tile.path for tile in tiles[start : start + _PART]]
        hashes += yield from run_with_progress(partial(_hash_all, part), meter)
        meter.add(len(part))
    return hashes


def _hash_all(paths: Sequence[Path]) -> list[str]:
    return [file_sha256(path) for path in paths]


def tile_features(
    tiles: Sequence[LabelledTile],
    hashes: Sequence[str],
    source: TileSource,
    crops: Literal["grid", "center"],
    item: str = "",
    shift: Shift | None = None,
) -> Generator[Progress, None, TileFeatures]:
    """Encode tiles at the encoder's scale.

    Parameters
    ----------
    hashes
        SHA-256 of each tile's bytes.
    item
        What is encoded with what, for the progress.
    shift
        Changes each picture before it is brought to scale.

    Raises
    ------
    TileReadError
        When a picture cannot be decoded.
    """
    meter, parts = ProgressMeter(Stage.ENCODING, len(tiles), "tiles", item=item), []
    for chosen in _parts(tiles):
        work = partial(_part, tiles[chosen], hashes[chosen], source, crops, shift)
        parts.append((yield from run_with_progress(work, meter)))
        meter.add(len(tiles[chosen]))
    return TileFeatures(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.crops for part in parts]),
    )


def _parts(tiles: Sequence[LabelledTile]) -> Iterator[slice]:
    """Cut into parts that hold no tiles of two splits: tasks may share the tiles of one."""
    start = 0
    for _, run in groupby(tiles, key=lambda tile: tile.split):
        end = start + len(list(run))
        for first in range(start, end, _PART):
            yield slice(first, min(first + _PART, end))
        start = end


def _part(
    tiles: Sequence[LabelledTile],
    hashes: Sequence[str],
    source: TileSource,
    crops: Literal["grid", "center"],
    shift: Shift | None,
) -> TileFeatures:
    place = source.cache and source.cache / f"{_key(tiles, hashes, source, crops, shift)}.npz"
    if place and place.exists():
        with np.load(place, allow_pickle=False) as arrays:
            return TileFeatures(arrays["features"], arrays["crops"])
    result = _encode(tiles, source, crops, shift)
    if place:
        with whole_file(place) as unfinished:
            np.savez(unfinished, features=result.features, crops=result.crops)
    return result


def _key(
    tiles: Sequence[LabelledTile],
    hashes: Sequence[str],
    source: TileSource,
    crops: str,
    shift: Shift | None,
) -> str:
    scales = [tile.mpp for tile in tiles]
    more = () if shift is None else (shift,)
    if fields := [tile.field_um for tile in tiles if tile.field_um is not None]:
        more = (*more, fields)
    content = (source.identity, str(source.batch.dtype), crops, scales, list(hashes), *more)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def _encode(
    tiles: Sequence[LabelledTile],
    source: TileSource,
    crops: Literal["grid", "center"],
    shift: Shift | None,
) -> TileFeatures:
    pictures: list[NDArray[np.uint8]] = []
    numbers: list[int] = []
    parts: list[NDArray[np.float32]] = []
    cut_file = partial(_cut_file, spec=source.student.spec, crops=crops, shift=shift)
    with ThreadPoolExecutor(_READERS, "xmag-pictures") as pool:
        # few at a time: a large picture is hundreds of tiles
        for start in range(0, len(tiles), 2 * _READERS):
            pictures += pool.map(cut_file, tiles[start : start + 2 * _READERS])
            last = start + 2 * _READERS >= len(tiles)
            # crops of several pictures share a batch
            if last or sum(map(len, pictures)) >= source.batch.size:
                parts.append(_means(pictures, source))
                numbers += map(len, pictures)
                pictures = []
    return TileFeatures(np.concatenate(parts), np.array(numbers, np.int64))


def _means(pictures: Sequence[NDArray[np.uint8]], source: TileSource) -> NDArray[np.float32]:
    features = encode(source.student, np.concatenate(pictures), source.batch).cpu().numpy()
    ends = np.cumsum([len(picture) for picture in pictures])[:-1]
    means: NDArray[np.float32] = np.stack([part.mean(0) for part in np.split(features, ends)])
    return means


def _cut_file(
    tile: LabelledTile,
    *,
    spec: StudentSpec,
    crops: Literal["grid", "center"],
    shift: Shift | None,
) -> NDArray[np.uint8]:
    pixels = centered(read_image_file(tile.path), tile)
    if shift is not None:
        pixels = shift(pixels, tile.mpp)
    return cut(at_scale(pixels, tile.mpp / spec.mpp), spec.tile_px, crops)
