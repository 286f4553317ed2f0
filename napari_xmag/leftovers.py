"""Names of what is not finished yet: they tell whose it is, so that what the dead left goes."""

import hashlib
import os
import platform
import re
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

PART = ".part-"
"""Begins the name of what is being written."""

_ASIDE = ".old-"
"""Begins the name of a folder that makes room for another; where that never came, it goes back."""

_OWNED = re.compile(r"(?P<host>[0-9a-f]{6})\.(?P<process>\d+)\.(?P<token>[0-9a-f]{6})")
_FOREIGN_SECONDS = 7 * 24 * 3600.0
"""What another machine has not touched for so long is a leftover, too."""

_CLOCK_SECONDS = 60.0
"""By so much a clock may be set while a process runs."""

_looked_at: set[Path] = set()
_tokens: dict[int, str] = {}
"""Of this process, and of what it was forked from, by their numbers."""


def part_of(path: Path) -> Path:
    """Return a new name beside a path for what will take its place.

    It keeps the suffix: some writers choose the format by it. What killed processes left beside the
    path is removed.
    """
    remove_leftovers(path.parent)
    return path.with_name(f"{PART}{_unique()}-{path.name}")


def aside_of(path: Path) -> Path:
    """Return a new name beside a path for what it gives up; see `remove_leftovers`."""
    return path.with_name(f"{_ASIDE}{_unique()}-{path.name}")


def owner() -> str:
    """Return what tells this process from others of this and other machines, not by their names."""
    return f"{_host()}.{os.getpid()}.{_token(os.getpid())}"


def is_abandoned(words: str, path: Path) -> bool:
    """Return whether the process that wrote these words at a path has ended.

    Parameters
    ----------
    words
        As of `owner`; nobody else's are abandoned.
    path
        Its age decides where the process was another machine's.
    """
    ended = has_ended(words)
    if ended is None:
        return bool(_OWNED.fullmatch(words)) and _age(path) > _FOREIGN_SECONDS
    return ended


def has_ended(words: str, said: float | None = None) -> bool | None:
    """Return whether the process that wrote these words has ended; None where that is not known.

    Parameters
    ----------
    words
        As of `owner`.
    said
        When they were written, in seconds since 1970: a process that began later is another one,
        which was given the number of one that has ended.
    """
    found = _OWNED.fullmatch(words)
    if found is None or found["host"] != _host():
        return None
    process = int(found["process"])
    if process == os.getpid():
        # After a restart, as in a container, another process may have had this one's number.
        return found["token"] != _token(process)
    return not _is_alive(process, said)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder, or put it back where it was.

    A folder is looked at once; what cannot be removed stays.
    """
    if folder in _looked_at:
        return
    _looked_at.add(folder)
    with suppress(OSError):
        for item in sorted(folder.iterdir()):
            kind = next((kind for kind in (PART, _ASIDE) if item.name.startswith(kind)), "")
            if kind:
                with suppress(OSError):
                    _clear(item, kind)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _clear(item: Path, kind: str) -> None:
    whose, _, rest = item.name.removeprefix(kind).partition("-")
    if not is_abandoned(whose, item):
        return
    name = rest.partition("-")[2]
    if kind == _ASIDE and name and not os.path.lexists(item.with_name(name)):
        item.rename(item.with_name(name))
    else:
        remove(item)


def _unique() -> str:
    return f"{owner()}-{uuid4().hex[:8]}"


@cache
def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _token(process: int) -> str:
    return _tokens.setdefault(process, uuid4().hex[:6])


def _is_alive(process: int, at: float | None) -> bool:
    """Return whether a process is there, and was at a time."""
    import psutil

    try:
        found = psutil.Process(process)
        ended = found.status() == psutil.STATUS_ZOMBIE
        return not ended and (at is None or found.create_time() < at + _CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # another user's
        return True


def _age(path: Path) -> float:
    """Return seconds since a file, or the youngest of a folder, was changed."""
    times = [path.lstat().st_mtime]
    if path.is_dir() and not path.is_symlink():
        times += [item.lstat().st_mtime for item in path.rglob("*")]
    return time.time() - max(times)
