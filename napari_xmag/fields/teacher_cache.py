"""Student views and teacher features of all fields, made once and kept on disk."""

import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.fields.pairs import (
    CachedPairs,
    feature_width,
    require_fit,
    require_size,
    student_view,
    taught,
)
from napari_xmag.fields.shards import FieldRecord
from napari_xmag.fields.store import FieldStore, prefetch
from napari_xmag.filenames import ABOUT
from napari_xmag.files import said_plainly
from napari_xmag.learn.distributed import Processes, await_all, gather, share
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teachers.teacher import Teacher
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress, step_thread

_log = logging.getLogger(__name__)

# What is only said about a teacher changes none of its features.
_SAID = {"title", "licence", "architecture", "mpp", "width", "gated", "sharing", "terms"}
_VIEWS, _TARGETS = "views.npy", "targets.npy"
_DONE, _SUMS = "done.bin", "sums.bin"
"""For each field whether it is made, and the checksum of what was."""
_PART = ".part"
_SAFE_AFTER = 64
_SUM = np.dtype("<u4")


def cached_pairs(
    fields: Path,
    records: Sequence[FieldRecord],
    teacher: Teacher,
    spec: StudentSpec,
    cache: Path,
    *,
    processes: Processes | None = None,
    threads: int = 0,
) -> Generator[Progress, None, CachedPairs]:
    """Open the cache for these fields, teacher and tile size, or make it.

    Several processes share the work. What a broken run has made is kept.

    Parameters
    ----------
    fields
        Folder of the shards.
    cache
        Folder of all caches.
    threads
        That decode fields ahead of the teacher.

    Raises
    ------
    ConfigError
        When the fields do not cover the student's tile, or a shard is broken.
    ExportError
        When the cache cannot be written, as where the disk is full.
    """
    processes = processes or Processes()
    require_fit(records, spec)
    say_scale(teacher, spec)
    folder = cache / _identity(records, teacher, spec)
    partial = folder.with_name(folder.name + _PART)
    whole, shapes = False, _shapes(records, spec)
    found = next(filter(Path.exists, (folder, partial)), None)
    if processes.first and found is not None:
        whole = yield from _checked(found, partial, shapes)
    if not gather(whole, processes)[0]:
        if processes.first and not (partial / _DONE).exists():
            _lay_out(partial, shapes, feature_width(teacher, spec, records[0].mpp))
        yield from await_all(processes, Stage.TEACHER)
        yield from _fill(partial, FieldStore(fields, records), teacher, spec, processes, threads)
        yield from await_all(processes, Stage.TEACHER)
        if processes.first and not folder.exists():
            about = {"teacher": asdict(teacher.spec), "fields": len(records)}
            with said_plainly(folder):
                (partial / ABOUT).write_text(json.dumps(about), encoding="utf-8")
                partial.replace(folder)
        yield from await_all(processes, Stage.TEACHER)
    return CachedPairs(
        np.load(folder / _VIEWS, mmap_mode="r"),
        np.load(folder / _TARGETS, mmap_mode="r"),
        tuple(records),
    )


def say_scale(teacher: Teacher, spec: StudentSpec) -> None:
    """Warn when the teacher sees tissue at another scale than it was made for."""
    made_for, side = teacher.spec.mpp, teacher.spec.tile_px
    if made_for is None or side is None:
        return
    seen = spec.tile_px * spec.mpp / spec.cells / side
    if abs(seen / made_for - 1) > 0.02:
        _log.warning(
            "The teacher %s sees tissue at %.3g µm/px; it was trained at %g.",
            teacher.spec.title,
            seen,
            made_for,
        )


_Shapes = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]


def _shapes(records: Sequence[FieldRecord], spec: StudentSpec) -> _Shapes:
    """Return kind and shape of each array, by the name of its file; targets without their width."""
    count, side, cells = len(records), spec.tile_px, spec.cells
    return {
        _VIEWS: (np.dtype(np.uint8), (count, 3, side, side)),
        _TARGETS: (np.dtype(np.float16), (count, cells, cells)),
    }


def _checked(place: Path, partial: Path, shapes: _Shapes) -> Generator[Progress, None, bool]:
    """Look at what an earlier run made; what was altered since is made anew.

    Returns
    -------
    Whether all is there; otherwise it lies in ``partial``, as far as it is good.
    """
    meter = ProgressMeter(Stage.TEACHER, 0, "fields", item="checking what is kept")
    with step_thread() as thread:
        bad = yield from run_with_progress(lambda: _damaged(place, shapes), meter, thread)
    if bad is None or len(bad):
        count = "All" if bad is None else str(len(bad))
        _log.warning("%s fields kept in %s are damaged and made anew.", count, place.name)
    elif place != partial:
        return True
    _begin_again(place, partial, bad)
    return False


def _damaged(folder: Path, shapes: _Shapes) -> NDArray[np.int64] | None:
    """Return the finished rows whose checksum is another; None where nothing can be used."""
    try:
        arrays = [np.load(folder / name, mmap_mode="r") for name in shapes]
        done, sums = np.fromfile(folder / _DONE, np.uint8), np.fromfile(folder / _SUMS, _SUM)
    except (OSError, ValueError, EOFError):
        return None
    rows = len(arrays[0])
    for array, (kind, shape) in zip(arrays, shapes.values(), strict=True):
        if (array.dtype, array.ndim, array.shape[: len(shape)]) != (kind, 4, shape):
            return None
    if len(done) != rows or len(sums) != rows:
        return None
    finished = np.flatnonzero(done).tolist()
    name = _name(folder)
    bad = [r for r in finished if _checksum(name, r, *(array[r] for array in arrays)) != sums[r]]
    return np.array(bad, np.int64)


def _begin_again(place: Path, partial: Path, bad: NDArray[np.int64] | None) -> None:
    """Keep in ``partial`` what is good of a cache."""
    with said_plainly(partial):
        if bad is None:
            shutil.rmtree(place)
            return
        if place != partial:
            if partial.exists():
                shutil.rmtree(partial)
            place.replace(partial)
        done = np.fromfile(partial / _DONE, np.uint8)
        done[bad] = 0
        (partial / _DONE).write_bytes(done.tobytes())


def _name(folder: Path) -> str:
    """Return what a cache is called, whether it is finished or not."""
    return folder.name.removesuffix(_PART)


def _checksum(name: str, row: int, *values: NDArray[Any]) -> int:
    """Return what tells a row that was altered, or that belongs to another place or cache."""
    value = zlib.crc32(f"{name} {row}".encode())
    for array in values:
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return value


def _lay_out(folder: Path, shapes: _Shapes, width: int) -> None:
    """Make the empty arrays."""
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, (kind, shape) in shapes.items():
            _array(folder / name, kind, shape if len(shape) == 4 else (*shape, width))
        count = shapes[_VIEWS][1][0]
        (folder / _SUMS).write_bytes(bytes(_SUM.itemsize * count))
        (folder / _DONE).write_bytes(bytes(count))


def _array(path: Path, kind: np.dtype[Any], shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _fill(
    folder: Path,
    store: FieldStore,
    teacher: Teacher,
    spec: StudentSpec,
    processes: Processes,
    threads: int,
) -> Generator[Progress, None, None]:
    """Let the teacher see this process's share of the fields."""
    # As the first process sees it: others may look when some rows more are done.
    missing = gather(np.flatnonzero(np.fromfile(folder / _DONE, np.uint8) == 0), processes)[0]
    own = missing[share(len(missing), processes)]
    meter = ProgressMeter(Stage.TEACHER, len(own), "fields", item=teacher.spec.title)

    def load(row: int) -> tuple[int, NDArray[np.uint8], NDArray[np.uint8]]:
        field = store.read(row)
        require_size(field, spec, store.records[row].mpp)
        return row, field, student_view(field, spec.tile_px)

    with _Rows(folder) as rows, step_thread() as thread:
        loaded = prefetch(own.tolist(), load, threads)
        for _ in range(len(own)):
            yield from run_with_progress(
                lambda: rows.write(*_seen(next(loaded), teacher, spec)), meter, thread
            )
            meter.add(1)


def _seen(
    loaded: tuple[int, NDArray[np.uint8], NDArray[np.uint8]], teacher: Teacher, spec: StudentSpec
) -> tuple[int, NDArray[np.uint8], NDArray[np.float16]]:
    row, field, view = loaded
    pixels = torch.from_numpy(np.ascontiguousarray(field.transpose(2, 0, 1)))
    grid = taught([teacher], pixels.to(teacher.mean.device)[None], spec.cells)[0]
    return row, view, grid.cpu().numpy().astype(np.float16)


class _Rows:
    """Writes rows into the arrays of a folder and marks those that are safe on the disk.

    Through files, not memory maps: of these a network file system may mix the pages of two hosts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._waiting = folder, list[int]()
        self._close = ExitStack()

    def __enter__(self) -> "_Rows":
        def opened(name: str) -> BinaryIO:
            return self._close.enter_context((self._folder / name).open("r+b"))

        starts = {name: _offset(self._folder / name) for name in (_VIEWS, _TARGETS)}
        self._arrays = [(opened(name), start) for name, start in starts.items()]
        self._done, self._sums = opened(_DONE), opened(_SUMS)
        return self

    def __exit__(self, *_: Any) -> None:
        with said_plainly(self._folder), self._close:
            self._mark()

    def write(self, row: int, *values: NDArray[Any]) -> None:
        """Write one row of each array."""
        with said_plainly(self._folder):
            for (stream, start), value in zip(self._arrays, values, strict=True):
                stream.seek(start + row * value.nbytes)
                stream.write(np.ascontiguousarray(value).tobytes())
            self._sums.seek(row * _SUM.itemsize)
            self._sums.write(
                np.array([_checksum(_name(self._folder), row, *values)], _SUM).tobytes()
            )
            self._waiting.append(row)
            if len(self._waiting) == _SAFE_AFTER:
                self._mark()

    def _mark(self) -> None:
        for stream in (*(stream for stream, _ in self._arrays), self._sums):
            stream.flush()
            os.fsync(stream.fileno())
        for row in self._waiting:
            self._done.seek(row)
            self._done.write(b"\1")
        self._done.flush()
        self._waiting.clear()


def _offset(path: Path) -> int:
    """Return where in an .npy file the values begin."""
    return int(np.lib.format.open_memmap(path, mode="r").offset)


def _identity(records: Sequence[FieldRecord], teacher: Teacher, spec: StudentSpec) -> str:
    """Hash of all that the cache depends on: other fields or teacher, other cache."""
    weights = hashlib.sha256()
    for name, tensor in sorted(teacher.network.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    parts = [record.sha256 for record in records]
    spoken = asdict(teacher.spec)
    rule = {key: value for key, value in spoken.items() if key not in _SAID}
    rule["name"] = weights.hexdigest()
    parts += [json.dumps(rule, sort_keys=True), f"{spec.tile_px}/{spec.cells}"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
