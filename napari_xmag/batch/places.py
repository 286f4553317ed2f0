"""Which folder is whose, planned before the run: no race between workers decides it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.batch.targets import Target
from napari_xmag.export.result_folders import result_name
from napari_xmag.slide.fingerprint import slide_fingerprint


@dataclass(frozen=True, slots=True)
class Place:
    """Where the result of a file goes, as `ResultFolders.reserve` takes it.

    Attributes
    ----------
    number
        Which of the files of its name it is, from 1.
    copies
        Numbers of files of this name with the same content.
    """

    number: int = 1
    copies: frozenset[int] = frozenset()


def plan_places(targets: Sequence[Target]) -> list[Place]:
    """Return the place of each target: as if they were done one after another."""
    numbers = _numbers(targets)
    looks = [_looks(target) for target in targets]
    alike = Counter(looks)
    marks: dict[object, list[int]] = defaultdict(list)
    keys: list[object] = []
    for target, number, look in zip(targets, numbers, looks, strict=True):
        # only what may be a copy is read: others cannot be mistaken for it
        mark = _mark(target.path) if alike[look] > 1 else number
        key = (look, mark, target.entry)
        keys.append(key)
        marks[key].append(number)
    return [
        Place(number, frozenset(marks[key]) - {number})
        for key, number in zip(keys, numbers, strict=True)
    ]


def _numbers(targets: Sequence[Target]) -> list[int]:
    taken: set[str] = set()
    free: dict[str, int] = {}
    of_file: dict[Path, int] = {}
    seen: set[tuple[Path, int | None]] = set()
    shared = Counter(target.path for target in targets)
    numbers = []
    for target in targets:
        base = result_name(target.path).casefold()
        picture = (target.path, _picture(target) if shared[target.path] > 1 else None)
        # another picture of the same file has a name of its own already
        taken_too = picture in seen or (target.path, None) in seen or picture[1] is None
        number = None if taken_too else of_file.get(target.path)
        if number is None:
            number = free.get(base, 1)
            while _numbered(base, number) in taken:
                number += 1
            taken.add(_numbered(base, number))
            free[base] = number + 1
        seen.add(picture)
        of_file[target.path] = number
        numbers.append(number)
    return numbers


def _picture(target: Target) -> int | None:
    """Return which picture of its file QuPath shows; None where all of them are meant."""
    from napari_xmag.qupath.server import shown_number

    if target.shown is None:
        return None
    try:
        return shown_number(target.shown) or 1
    except Exception:  # noqa: BLE001 - opening it says what is wrong with it
        return target.shown.series or 0


def _numbered(base: str, number: int) -> str:
    return base if number == 1 else f"{base}-{number}"


def _looks(target: Target) -> tuple[str, int]:
    """Return what copies of a slide have in common at first sight."""
    try:
        size = target.path.stat().st_size if target.path.is_file() else -1
    except OSError:
        size = -2
    return result_name(target.path).casefold(), size


def _mark(path: Path) -> str:
    try:
        return slide_fingerprint(path) if path.is_file() or path.is_dir() else str(path)
    except Exception:  # noqa: BLE001 - opening it says what is wrong with it
        return str(path)
