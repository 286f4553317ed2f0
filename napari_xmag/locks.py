"""Files that several programs of one computer read, change and write, one after another."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from napari_xmag.folders import data_folder

_WAIT_SECONDS = 5.0


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other programs of this computer from a file, as far as the system can.

    Where it cannot, they have the moment between reading and writing to lose a change in.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    lock = FileLock(data_folder() / "locks" / f"{name}.lock", timeout=_WAIT_SECONDS)
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
