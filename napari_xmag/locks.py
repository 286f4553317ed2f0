"""Files that several programs of one computer read, change and write, one after another."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from napari_xmag.folders import data_folder

_WAIT_SECONDS = 5.0
"""For whoever goes on without the lock."""

_LONG_WAIT_SECONDS = 10.0
"""For whoever may not."""


class FileBusyError(Exception):
    """Another program kept a file for too long."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other programs of this computer from a file, as far as the system can.

    Where it cannot, they have the moment between reading and writing to lose a change in.
    """
    lock = _lock_of(path, _WAIT_SECONDS)
    try:
        _acquire(lock)
    except (OSError, Timeout, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextmanager
def surely_alone(path: Path) -> Iterator[None]:
    """Keep other programs of this computer from a file; the lock of one that dies is free.

    Raises
    ------
    FileBusyError
        When another program keeps the file for too long.
    OSError
        When the lock cannot be made.
    """
    lock = _lock_of(path, _LONG_WAIT_SECONDS)
    try:
        _acquire(lock)
    except Timeout as error:
        raise FileBusyError(f"{path} is being written to") from error
    except NotImplementedError as error:
        raise OSError(f"{lock.lock_file}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _lock_of(path: Path, seconds: float) -> BaseFileLock:
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return FileLock(data_folder() / "locks" / f"{name}.lock", timeout=seconds)


def _acquire(lock: BaseFileLock) -> None:
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    lock.acquire()
