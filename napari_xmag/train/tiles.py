"""Pixels of the tiles of many slides: kept on disk as far as allowed, read ahead of their use."""

import logging
import os
import shutil
import zlib
from collections import OrderedDict
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TileReadError
from napari_xmag.files import whole_file
from napari_xmag.geometry import Box
from napari_xmag.mil.features import SlideFeatures, slide_identity
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress

if TYPE_CHECKING:
    from napari_xmag.slide.base import Slide

Pixels = NDArray[np.uint8]
Indices = NDArray[np.intp]

_log = logging.getLogger(__name__)

_OPEN_SLIDES = 8
_WORKERS = 4
_LEFT_FREE = 2**30
_CHECKSUM = np.dtype("<u4")


@dataclass(frozen=True, eq=False)
class SlideTiles:
    """Where the tiles of a slide lie; no pixels.

    Attributes
    ----------
    path, mpp
        The slide, and the pixel size given for it, or None to take the file's.
    tile_px
        Side of a tile as the student wants it.
    boxes
        Float64 (T, 4): x, y, width, height in level-0 pixels.
    tissue
        Bool (T, N): which cells of each tile hold tissue, row by row; N is 1 for whole tiles.
    """

    path: Path
    mpp: float | None
    tile_px: int
    boxes: NDArray[np.float64]
    tissue: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(
        cls, path: Path, mpp: float | None, tile_px: int, features: SlideFeatures
    ) -> "SlideTiles":
        """Return the tiles that were encoded into these features."""
        return cls(path, mpp, tile_px, features.tiles, features.tissue)

    @property
    def bytes(self) -> int:
        """Size of all pixels."""
        return 3 * len(self) * self.tile_px**2


class ReadsTiles(Protocol):
    """Gives the pixels of tiles, uint8 (k, tile_px, tile_px, 3); called by one thread."""

    def read(self, tiles: SlideTiles, indices: Indices) -> Pixels:
        """Return the pixels of some tiles of a slide."""
        ...


class TileStore:
    """Pixels of whole slides in a folder, one file each, as long as there is room.

    Behind the tiles stands a checksum of each, which depends on slide and place too: what was
    altered, cut or belongs to another slide is not taken, but said and read from the slide again.

    Parameters
    ----------
    folder
        Where the files lie.
    limit
        Most bytes that all of them may take; 0 keeps nothing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._names: dict[SlideTiles, str] = {}

    def holds(self, tiles: SlideTiles) -> bool:
        """Say whether the pixels of this slide are kept, whole."""
        try:
            size = self._file(tiles).stat().st_size
        except FileNotFoundError:
            return False
        return size == tiles.bytes + _CHECKSUM.itemsize * len(tiles)

    def has_room(self, tiles: SlideTiles) -> bool:
        """Say whether they may be kept, which also leaves a gigabyte of the disk free."""
        used = sum(file.stat().st_size for file in self.folder.glob("*.rgb"))
        place = next(p for p in (self.folder, *self.folder.parents) if p.exists())
        free = shutil.disk_usage(place).free - _LEFT_FREE
        return tiles.bytes <= min(self.limit - used, free)

    def keep(self, tiles: SlideTiles) -> Generator[Progress, None, None]:
        """Read all tiles of a slide and keep them.

        Raises
        ------
        TileReadError
            When a tile that could be read before cannot be read any more.
        ExportError
            When the file cannot be written.
        """
        from napari_xmag.slide.open import open_slide
        from napari_xmag.slide.tiles import read_tiles

        meter = ProgressMeter(Stage.STORING, len(tiles), "tiles", item=tiles.path.name)
        boxes = [Box(*box) for box in tiles.boxes.tolist()]
        checksums: list[int] = []
        opening = partial(open_slide, tiles.path, mpp=tiles.mpp)
        with (
            closing((yield from run_with_progress(opening, meter))) as slide,
            whole_file(self._file(tiles)) as part,
            part.open("wb") as stream,
            closing(read_tiles(slide, boxes, tiles.tile_px)) as found,
        ):
            for tile in found:
                if meter.is_due():
                    yield meter.event()
                if tile is None:
                    continue
                if tile.pixels is None:
                    raise _unreadable(tiles, tile.index, tile.error)
                data = tile.pixels.tobytes()
                stream.write(data)
                checksums.append(self._checksum(tiles, tile.index, data))
                meter.add(1)
            stream.write(np.array(checksums, _CHECKSUM).tobytes())

    def read(self, tiles: SlideTiles, indices: Indices) -> Pixels | None:
        """Return some tiles of a slide that is kept; None where one was altered since.

        The file is read, not mapped: mapped pages would count as memory of the process.
        """
        side, size = tiles.tile_px, 3 * tiles.tile_px**2
        result = np.empty((len(indices), side, side, 3), np.uint8)
        with self._file(tiles).open("rb") as stream:
            for place, index in enumerate(indices):
                data = _at(stream, int(index) * size, size)
                stated = _at(stream, tiles.bytes + int(index) * _CHECKSUM.itemsize, 4)
                if int.from_bytes(stated, "little") != self._checksum(tiles, int(index), data):
                    self._forget(tiles)
                    return None
                result[place] = np.frombuffer(data, np.uint8).reshape(side, side, 3)
        return result

    def _forget(self, tiles: SlideTiles) -> None:
        name = tiles.path.name
        _log.warning("The tiles kept of %s are damaged; they are read from the slide again.", name)
        with suppress(OSError):  # read-only: found damaged again next time
            self._file(tiles).unlink(missing_ok=True)

    def _checksum(self, tiles: SlideTiles, index: int, data: bytes) -> int:
        return zlib.crc32(data, zlib.crc32(f"{self._name(tiles)} {index}".encode()))

    def _file(self, tiles: SlideTiles) -> Path:
        return self.folder / f"{self._name(tiles)}.rgb"

    def _name(self, tiles: SlideTiles) -> str:
        if tiles not in self._names:  # asked for with every chunk
            parts = (tiles.tile_px, tiles.boxes.tobytes())
            self._names[tiles] = slide_identity(tiles.path, tiles.mpp, parts)
        return self._names[tiles]


def _at(stream: BinaryIO, place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)


class StoppedError(RuntimeError):
    """The reader was told to stop: whoever computes with its tiles is to end."""


class TileReader:
    """Reads tiles from the store, or where it does not hold them from the slides again.

    Slides stay open as long as they are among the last few that were read.

    Attributes
    ----------
    count
        Tiles read so far.
    """

    def __init__(self, store: TileStore | None = None) -> None:
        self._store, self._stopped, self.count = store, False, 0
        self._slides: OrderedDict[Path, Slide] = OrderedDict()
        self._pool = ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1), "xmag-train-tiles")

    def read(self, tiles: SlideTiles, indices: Indices) -> Pixels:
        """Return the pixels of some tiles of a slide.

        Raises
        ------
        TileReadError
            When one cannot be read.
        StoppedError
            After `stop`.
        """
        if self._stopped:
            raise StoppedError("training was stopped")
        self.count += len(indices)
        if self._store is not None and self._store.holds(tiles):
            kept = self._store.read(tiles, indices)
            if kept is not None:
                return kept
        slide = self._open(tiles)
        return np.stack(list(self._pool.map(lambda i: _read(slide, tiles, int(i)), indices)))

    def stop(self) -> None:
        """Read nothing any more, so that a step that runs ends at its next tiles."""
        self._stopped = True

    def close(self) -> None:
        """Close all slides."""
        self._pool.shutdown(cancel_futures=True)
        while self._slides:
            self._slides.popitem()[1].close()

    def _open(self, tiles: SlideTiles) -> "Slide":
        from napari_xmag.slide.open import open_slide

        if tiles.path not in self._slides:
            if len(self._slides) == _OPEN_SLIDES:
                self._slides.popitem(last=False)[1].close()
            self._slides[tiles.path] = open_slide(tiles.path, mpp=tiles.mpp)
        self._slides.move_to_end(tiles.path)
        return self._slides[tiles.path]


class Prefetcher:
    """Chunks of tiles in a row that is gone through forwards and then backwards.

    Gradients flow back from the last chunk to the first. The chunk that will be asked for next is
    read by the thread of ``pool`` while the network computes.

    Parameters
    ----------
    pool
        With one thread.
    """

    def __init__(
        self,
        reader: ReadsTiles,
        pool: ThreadPoolExecutor,
        chunks: Sequence[tuple[SlideTiles, Indices]],
    ) -> None:
        self._reader, self._pool, self._chunks = reader, pool, chunks
        self._coming: dict[int, Future[Pixels]] = {}

    def take(self, number: int, *, back: bool) -> Pixels:
        """Return the pixels of a chunk, uint8 (k, H, H, 3), and let the next one be read.

        Parameters
        ----------
        back
            Whether the way leads to the chunk before. Forwards, the last is read once more: the
            way back begins with it.
        """
        wanted = self._coming.pop(number, None) or self._begin(number)
        following = max(number - 1, 0) if back else min(number + 1, len(self._chunks) - 1)
        if not (back and number == 0):
            self._coming[following] = self._begin(following)
        return wanted.result()

    def _begin(self, number: int) -> Future[Pixels]:
        return self._pool.submit(self._reader.read, *self._chunks[number])


def _read(slide: "Slide", tiles: SlideTiles, index: int) -> Pixels:
    from napari_xmag.slide.tiles import read_tile

    return read_tile(slide, Box(*tiles.boxes[index].tolist()), tiles.tile_px)


def _unreadable(tiles: SlideTiles, index: int, error: str) -> TileReadError:
    return TileReadError(
        expected=f"to read tile {index} of {tiles.path.name} again",
        found=error,
        hint="Check that the file is intact and its disk connected, then resume.",
    )
