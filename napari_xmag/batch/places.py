"""Which folder is whose, planned before the run: no race between workers decides it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from napari_xmag.batch.targets import Target
from napari_xmag.export.result_folders import folder_number, owned_folders, result_name
from napari_xmag.slide.fingerprint import slide_fingerprint


@dataclass(frozen=True, slots=True)
class Place:
    """Where the result of a file goes, as `ResultFolders.reserve` takes it.

    Attributes
    ----------
    number
        Which of the files of its name it is, from 1.
    copy
        Which it is of several files of this name with the same content, from 0; None of one file.
    earlier
        Of a copy: the folders that were there before the run, by name, and whose they are.
    """

    number: int = 1
    copy: int | None = None
    earlier: tuple[tuple[str, str], ...] = ()

    def own(self, name: str, owners: Collection[str]) -> list[int] | None:
        """Return the numbers of the folders that are its own, and of none of its copies.

        Parameters
        ----------
        name
            Of the picture, as of `result_name`.
        owners
            What is said of its folders, as of `owner_name`; the same of those of its copies.

        Returns
        -------
        One number, or none; None where it has no copies and any folder of these owners is its own.
        """
        if self.copy is None:
            return None
        numbers = (folder_number(item, name) for item, owner in self.earlier if owner in owners)
        return sorted(number for number in numbers if number)[self.copy : self.copy + 1]


def plan_places(targets: Sequence[Target], out: Path) -> list[Place]:
    """Return the place of each target: as if they were done one after another.

    Parameters
    ----------
    out
        Holds the folders of all results; those of earlier runs are dealt out to copies in order.
    """
    numbers = _numbers(targets)
    looks = [_looks(target) for target in targets]
    alike = Counter(looks)
    keys: list[object] = []
    for target, number, look in zip(targets, numbers, looks, strict=True):
        # only what may be a copy is read: others cannot be mistaken for it
        mark = _mark(target.path) if alike[look] > 1 else number
        keys.append((look, mark, target.entry))
    counts, copies = Counter(keys), defaultdict[object, Iterator[int]](count)
    return [
        Place(number, next(copies[key]), owned_folders(out, result_name(target.path)))
        if counts[key] > 1
        else Place(number)
        for target, key, number in zip(targets, keys, numbers, strict=True)
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
