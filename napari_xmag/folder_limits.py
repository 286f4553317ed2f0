"""Limits of folders that grow item by item, kept without counting all of it for each new one."""

from pathlib import Path

_SHARE_BETWEEN_COUNTS = 0.05
# Of each folder: what was in it by the last count, and what this process has added since.
_counted: dict[Path, int] = {}
_added: dict[Path, int] = {}


def surely_fits(new: Path, whole: Path, most_bytes: int) -> bool:
    """Note a new item of a folder; return whether all of it is surely within a limit.

    False before the first count, where it may be too much, and now and then: other processes may
    add to the folder too. Then all of it is to be counted, and `note_count` told.
    """
    if whole not in _counted:
        return False
    _added[whole] += bytes_of(new)
    few = _added[whole] <= _SHARE_BETWEEN_COUNTS * most_bytes
    return few and _counted[whole] + _added[whole] <= most_bytes


def note_count(whole: Path, taken: int) -> None:
    """Note what is in a folder, in bytes."""
    _counted[whole], _added[whole] = taken, 0


def bytes_of(item: Path) -> int:
    """Return what the files of a folder take; 0 where another process has removed it."""
    try:
        return sum(file.stat().st_size for file in item.iterdir())
    except OSError:
        return 0
