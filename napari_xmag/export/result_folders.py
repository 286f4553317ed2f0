"""Which folder the result of a slide goes to: one of its own, found again by its fingerprint."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

from napari_xmag.errors import ExportError
from napari_xmag.filenames import RESULT
from napari_xmag.files import parse_json, real_path, safe_name
from napari_xmag.leftovers import is_abandoned, owner, remove_leftovers
from napari_xmag.result_keys import entry_of

_MOST_OF_ONE_NAME = 10_000
_CLAIM = ".claim"
_OF_ENTRY = "/"


def result_name(slide: Path, image: int = 1) -> str:
    """Return what the result of a slide is called, before other slides of its name are known.

    That is its stem (a folder's whole name), and of a further picture of a file its number too:
    ``case#2``.
    """
    slide = slide.absolute()
    # ``..`` is called as the folder that it means
    stem = real_path(slide).name if os.path.isdir(slide) else slide.name.removesuffix(slide.suffix)
    return safe_name(stem if image == 1 else f"{stem}#{image}")


def free_name(name: str, fingerprint: str, taken: Iterable[str], entry: str = "") -> str:
    """Return what the files of a slide are called in a folder for the files of many slides.

    Slides of several folders may share a name: their content tells them apart.

    Parameters
    ----------
    name
        As of `result_name`.
    fingerprint
        As of `slide_fingerprint`.
    taken
        Names of other slides; case does not tell them apart.
    entry
        What tells an image of QuPath from others; empty for the slide itself.
    """
    more = [f" [ID {entry}]"] if entry else []
    ends = chain(["", *more, f"-{fingerprint[:8]}"], map("-{}".format, count(2)))
    used = {other.casefold() for other in taken}
    return next(name + end for end in ends if (name + end).casefold() not in used)


def owner_name(fingerprint: str, entry: str = "") -> str:
    """Return whose a folder is: a slide's, or that of one image of QuPath that shows the slide.

    Several images of a project may show one slide, each with an answer of its own.

    Parameters
    ----------
    fingerprint
        As of `slide_fingerprint`.
    entry
        What tells the image from others; empty for the slide itself.
    """
    return f"{fingerprint}{_OF_ENTRY}{entry}" if entry else fingerprint


def result_owner(slide: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return whose a result of this slide and with these settings is, as `owner_name` says it."""
    return owner_name(str(slide["fingerprint"]), entry_of(settings))


class ResultFolders:
    """Gives each slide a folder of its own below one parent.

    The first slide of a name gets ``<name>``, others ``<name>-2``, ``<name>-3``, …; the fingerprint
    in a result tells whose folder it is, so that a slide finds its own again, wherever it is.
    Processes that write below one parent at once stay out of one another's folders.

    Parameters
    ----------
    parent
        Holds the folders of all slides; made when the first is reserved.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._given: set[Path] = set()
        self._is_clean = False

    @contextmanager
    def reserve(
        self,
        name: str,
        fingerprint: str,
        number: int = 1,
        earlier: str = "",
        own: Collection[int] | None = None,
    ) -> Iterator[Path]:
        """Give the folder for the result of a slide, which need not exist yet.

        Parameters
        ----------
        name
            As of `result_name`.
        fingerprint
            As of `owner_name`.
        number
            Which slide of this name it is, from 1: where it has no folder yet, it gets the first
            free one from there on.
        earlier
            What `owner_name` said of it at an earlier run: a folder of that name is its own too,
            where it has none of its present one.
        own
            Numbers of its folders, of a slide whose copies have folders too: all others are theirs.
            Found by the fingerprint when None.

        Raises
        ------
        ExportError
            When nothing can be written there.
        """
        self._make_parent()
        owners = [owner for owner in (fingerprint, earlier) if owner]
        for folder, whose in self._candidates(name, owners, number, own):
            with self._claimed(folder, fingerprint, whose) as free:
                if free:
                    self._given.add(folder)
                    yield folder
                    return

    def suggest(self, name: str, fingerprint: str) -> Path:
        """Return the folder that would be reserved now, without reserving it."""
        candidates = self._candidates(name, [fingerprint], 1, None)
        return next(folder for folder, whose in candidates if self._is_free(folder, whose))

    def _candidates(
        self, name: str, owners: Sequence[str], first: int, own: Collection[int] | None
    ) -> Iterator[tuple[Path, Sequence[str]]]:
        """Yield the slide's own folders, then those that may be free, and who may lie there."""
        known = self._numbers(name, first) if own is None else own
        folders = [self._numbered(name, number) for number in known]
        for whose in owners:
            yield from ((item, owners) for item in folders if _owner_of_result(item) == whose)
        # what copies have written by now is theirs
        may_lie_there = owners if own is None else ()
        for number in range(first, _MOST_OF_ONE_NAME):
            yield self._numbered(name, number), may_lie_there
        raise _no_room(self._parent, name)

    def _numbered(self, name: str, number: int) -> Path:
        return self._parent / (name if number == 1 else f"{name}-{number}")

    def _numbers(self, name: str, first: int) -> list[int]:
        """Return the numbers of all folders of a name, that of ``first`` before others."""
        if not self._parent.is_dir():
            return []
        found = (item.name for item in self._parent.iterdir())
        numbers = {folder_number(item, name) for item in found if item.startswith(name)} - {0}
        return sorted(numbers, key=lambda number: (number != first, number))

    @contextmanager
    def _claimed(self, folder: Path, mark: str, owners: Sequence[str]) -> Iterator[bool]:
        """Claim a folder for the time of the block, unless it is of none of these owners."""
        # Two names that differ in case only are one folder on many systems.
        claim = self._parent / f".{folder.name.casefold()}{_CLAIM}"
        claimed = self._write_claim(claim, mark) or (bool(owners) and _claimed_by(claim) == mark)
        try:
            yield claimed and folder not in self._given and self._is_free(folder, owners)
        finally:
            if claimed:
                claim.unlink(missing_ok=True)

    def _write_claim(self, claim: Path, fingerprint: str) -> bool:
        try:
            self._make_parent()
            with claim.open("x", encoding="utf-8") as stream:
                stream.write(f"{fingerprint}\n{owner()}")
        except FileExistsError:
            return False  # another process has it
        except OSError as error:
            raise _no_folder(self._parent, error.strerror or str(error)) from error
        return True

    def _make_parent(self) -> None:
        """Make the parent folder; the first time, remove what killed processes left in it."""
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise _no_folder(self._parent, "a file of that name") from None
        except OSError as error:
            raise _no_folder(self._parent, error.strerror or str(error)) from error
        if self._is_clean:
            return
        self._is_clean = True
        remove_leftovers(self._parent)
        for claim in self._parent.glob(f".*{_CLAIM}"):
            if is_abandoned(_text_of(claim).partition("\n")[2], claim):
                claim.unlink(missing_ok=True)

    def _is_free(self, folder: Path, owners: Sequence[str]) -> bool:
        if not self._parent.is_dir():
            return True
        same = [item for item in self._parent.iterdir() if _same_name(item, folder)]
        return all(item == folder and owner_of(item) in ("", *owners) for item in same)


def owned_folders(parent: Path, name: str) -> tuple[tuple[str, str], ...]:
    """Return name and owner of each folder with a result of a slide of this name.

    Parameters
    ----------
    parent
        Holds them.
    name
        As of `result_name`; the other pictures of such a file count too.
    """
    if not parent.is_dir():
        return ()
    begin = re.compile(re.escape(name) + r"(#.*|-[1-9]\d*)?", re.IGNORECASE)
    folders = [item for item in parent.iterdir() if begin.fullmatch(item.name)]
    owners = [(item.name, _owner_of_result(item)) for item in folders]
    return tuple(sorted((item, owner) for item, owner in owners if owner))


def folder_number(folder: str, name: str) -> int:
    """Return the number of a folder of a name, in whatever case; 0 of what is none."""
    match = re.fullmatch(re.escape(name.casefold()) + r"(?:-([1-9]\d*))?", folder.casefold())
    return int(match[1] or 1) if match else 0


def _same_name(one: Path, other: Path) -> bool:
    return one.name.casefold() == other.name.casefold()


def _claimed_by(claim: Path) -> str:
    return _text_of(claim).partition("\n")[0]


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def owner_of(folder: Path) -> str:
    """Return whose result lies in a folder, as of `owner_name`; empty for none."""
    if not folder.is_dir() or (folder / RESULT).exists() or any(folder.iterdir()):
        return _owner_of_result(folder) or "something else"
    return ""


def slide_of(folder: Path) -> str:
    """Return the fingerprint of the slide whose result lies in a folder; empty for none."""
    return owner_of(folder).partition(_OF_ENTRY)[0]


def _owner_of_result(folder: Path) -> str:
    try:
        result = parse_json((folder / RESULT).read_text(encoding="utf-8"))
        return result_owner(result["slide"], result.get("settings") or {})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ""


def _no_folder(folder: Path, found: str) -> ExportError:
    return ExportError(
        expected=f"a folder for results at {folder}",
        found=found,
        hint="Choose a folder that you may write to.",
    )


def _no_room(folder: Path, name: str) -> ExportError:
    return ExportError(
        expected=f"a free name for the result of {name} in {folder}",
        found=f"{_MOST_OF_ONE_NAME} folders of that name",
        hint="Choose another folder.",
    )
