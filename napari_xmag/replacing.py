"""One folder takes the place of another in one step: whoever looks sees the old or the new one."""

import ctypes
import errno
import functools
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from napari_xmag.leftovers import aside_of, remove

_AT_FDCWD, _EXCHANGE, _SWAP = -100, 2, 2
"""Of Linux's renameat2(2), and of macOS's renamex_np(2)."""

_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def can_be_replaced(folder: Path) -> bool:
    """Return whether a folder may give its place to another one that is made beside it.

    It cannot where a disk begins, where somebody stands in it, or where nothing may be made beside.
    """
    if not folder.exists():
        return True
    stands = Path.cwd()
    inside = folder.absolute() == stands or folder.absolute() in stands.parents
    return not inside and not os.path.ismount(folder) and os.access(folder.parent, os.W_OK)


def take_place(new: Path, path: Path) -> None:
    """Let a file or folder take the place of what lies at a path beside it, which then goes.

    Where the system can exchange two names that is one step. Elsewhere it is two, and a process
    that is killed between them leaves the old folder whole under another name, which
    `napari_xmag.leftovers.remove_leftovers` puts back.

    Raises
    ------
    OSError
        When that cannot be done; what was there stays.
    """
    if not os.path.lexists(path):
        new.rename(path)
    elif _exchange(new, path):
        remove(new)
    else:
        aside = aside_of(path)
        path.rename(aside)
        try:
            new.rename(path)
        except OSError:
            aside.rename(path)
            raise
        remove(aside)


def bring_along(old: Path, new: Path, without: Collection[str] = ()) -> None:
    """Put into a folder what another one holds besides, without a copy where links are possible.

    Raises
    ------
    OSError
        When something cannot be brought along, ``old`` may not be written to, or a folder there
        is called as a new file.
    """
    if not os.access(old, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(old))
    for item in old.iterdir():
        target = new / item.name
        if os.path.lexists(target):
            _require_same_kind(item, target)
        elif item.is_dir() and not item.is_symlink():
            shutil.copytree(item, target, symlinks=True, copy_function=_link)
        elif item.name not in without:
            _link(item, target)
    shutil.copymode(old, new)


def move_in(new: Path, folder: Path, without: Collection[str] = ()) -> None:
    """Move what a folder holds into another one, file by file; where one cannot be, undo it all.

    Raises
    ------
    OSError
        When something cannot be moved; ``folder`` is as it was.
    """
    files = sorted(new.iterdir())
    aside = new / aside_of(new).name
    aside.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for source, target in _moves(files, folder, aside, without):
            source.rename(target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            target.rename(source)
        raise


def _moves(
    files: Collection[Path], folder: Path, aside: Path, without: Collection[str]
) -> Iterator[tuple[Path, Path]]:
    """Yield what to move where: what is in the way aside, and the new file into its place."""
    for name in without:
        if (folder / name).is_file():
            yield folder / name, aside / name
    for file in files:
        target = folder / file.name
        if os.path.lexists(target):
            _require_same_kind(target, file)
            yield target, aside / file.name
        yield file, target


def _require_same_kind(old: Path, new: Path) -> None:
    if old.is_dir() != new.is_dir():
        raise FileExistsError(errno.EEXIST, "something else of that name", str(old))


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another's file, or a disk that knows no links
        shutil.copy2(source, target, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places, and say whether the system could."""
    if (call := _call()) is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))


@functools.cache
def _call() -> Callable[[bytes, bytes], int] | None:
    """Return what exchanges two names on this system."""
    if sys.platform not in ("linux", "darwin"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if (linux := getattr(library, "renameat2", None)) is not None:
        return lambda one, other: int(linux(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE))
    if (mac := getattr(library, "renamex_np", None)) is not None:
        return lambda one, other: int(mac(one, other, _SWAP))
    return None
