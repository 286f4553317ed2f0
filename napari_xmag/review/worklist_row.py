"""One slide of a worklist: which it is, what became of it, and how it is written to a file."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from pydantic import TypeAdapter

from napari_xmag.files import is_same_file
from napari_xmag.leftovers import has_ended, owner
from napari_xmag.slide.fingerprint import slide_fingerprint

_SLIDE = "slide"
KEPT = (
    *("image", "mpp", "name", "status", "reason", "headline", "answer", "suspicion"),
    *("flags", "area_mm2", "seconds", "model", "fingerprint", "result", "reviewed"),
    *("entry", "marks", "runner", "began"),
)
"""What a list's file holds of a slide beside its path."""

_under_way: set[tuple[object, ...]] = set()
"""What this process analyzes now, by whatever file a list of it is read."""


class RowStatus(StrEnum):
    """What became of a slide, in the order in which a list shows them."""

    DONE = "done"
    ABSTAINED = "abstained"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One slide.

    Attributes
    ----------
    slide
        Its file or folder.
    image
        Which picture of the file, from 1.
    mpp
        Pixel size from the table, for a slide that states none.
    name
        What it is called where it comes from (QuPath); empty for its file's name.
    status
        What became of it.
    reason
        Why it failed, or why its result abstains.
    headline, answer
        Of its result; the answer is empty where there is none.
    suspicion
        Probability that the slide is not of the model's first class, 0 to 1.
    flags
        Codes of the warnings.
    area_mm2, seconds
        Tissue, and how long the analysis took.
    model
        Name and version.
    fingerprint, result
        Of the slide, and the id of its result in the slide's `ReviewStore`.
    reviewed
        Whether somebody has looked at it and said so.
    entry
        Which image of QuPath it is: tells images that show one picture apart, those of several
        projects too. Empty for a plain slide.
    marks
        By what else the image is known: where its project lay before.
    runner, began
        Which process analyzes it, as of `napari_xmag.leftovers.owner`, and since when in seconds
        since 1970; empty while nobody does.
    """

    slide: Path
    image: int = 1
    mpp: float | None = None
    name: str = ""
    status: RowStatus = RowStatus.WAITING
    reason: str = ""
    headline: str = ""
    answer: str = ""
    suspicion: float | None = None
    flags: tuple[str, ...] = ()
    area_mm2: float | None = None
    seconds: float | None = None
    model: str = ""
    fingerprint: str = ""
    result: str = ""
    reviewed: bool = False
    entry: str = ""
    marks: tuple[str, ...] = ()
    runner: str = ""
    began: float | None = None

    @property
    def key(self) -> "RowKey":
        """What the row is about."""
        return (self.slide, self.image, self.entry) if self.entry else self.picture

    @property
    def picture(self) -> tuple[Path, int]:
        """File and picture, which several images of QuPath may show."""
        return self.slide, self.image

    @property
    def shown_name(self) -> str:
        """What the slide is called."""
        number = f" #{self.image}" if self.image > 1 else ""
        return f"{self.name or self.slide.name}{number}"

    @property
    def has_ended(self) -> bool | None:
        """Whether its analysis, or the program that did it, has ended; None if not known."""
        if self.runner == owner():
            return _work_of(self) not in _under_way
        return has_ended(self.runner, self.began)

    def shows(self, picture: tuple[Path, int]) -> bool:
        """Return whether it is this picture of a file, by whatever path that is named."""
        path, image = picture
        return self.image == image and is_same_file(self.slide, path)


def telling_names(rows: Iterable[WorklistRow]) -> dict["RowKey", str]:
    """Return what each slide is called; those of one name with the folders that tell them apart."""
    called: dict[str, list[WorklistRow]] = {}
    for row in rows:
        called.setdefault(row.shown_name, []).append(row)
    names: dict[RowKey, str] = {}
    for name, same in called.items():
        for row, folders in zip(same, _folders_apart(same), strict=True):
            names[row.key] = "/".join((*folders, name))
    return names


def _folders_apart(rows: Sequence[WorklistRow]) -> list[tuple[str, ...]]:
    """Return, for each, its last folders, as many as tell all of them apart; none where none do."""
    folders = [row.slide.parent.parts for row in rows]
    for depth in range(max(map(len, folders)) + 1):
        ends = [parts[-depth:] if depth else () for parts in folders]
        if len(set(ends)) == len(rows):
            return ends
    return [()] * len(rows)  # images of one slide


def begun(row: WorklistRow) -> WorklistRow:
    """Return a row whose analysis begins in this process."""
    row = replace(row, status=RowStatus.RUNNING, reason="", runner=owner(), began=time.time())
    _under_way.add(_work_of(row))
    return row


def ended(row: WorklistRow, status: RowStatus, **outcome: Any) -> WorklistRow:
    """Return a row whose analysis has ended here, with what came of it."""
    _under_way.discard(_work_of(row))
    return replace(row, status=status, runner="", began=None, **outcome)


def freed(row: WorklistRow) -> WorklistRow:
    """Return a row that waits, where it is said to be analyzed and nobody does it for its list."""
    if row.status is not RowStatus.RUNNING:
        return row
    return replace(row, status=RowStatus.WAITING, runner="", began=None)


def _work_of(row: WorklistRow) -> tuple[object, ...]:
    """Return what tells an analysis of this process from others; lists may lie in any folder."""
    return row.slide.name, row.image, row.entry, row.began


def brought_up(listed: WorklistRow, found: WorklistRow) -> WorklistRow:
    """Return a row of a list with what its source says of the slide now; a result stays."""
    earlier = (*found.marks, listed.entry, *listed.marks)
    now = replace(
        found,
        # of a slide that cannot be read nobody knows which picture was shown
        image=listed.image if found.status is RowStatus.FAILED else found.image,
        mpp=listed.mpp if found.mpp is None else found.mpp,
        name=found.name or listed.name,
        reviewed=listed.reviewed or found.reviewed,
        marks=tuple(dict.fromkeys(mark for mark in earlier if mark and mark != found.entry)),
    )
    without_result = listed.status in (RowStatus.WAITING, RowStatus.FAILED)
    if without_result or not _shows_same(listed, now):
        return now
    places = {name: getattr(now, name) for name in ("slide", "image", "mpp", "name")}
    return replace(listed, **places, reviewed=now.reviewed, entry=now.entry, marks=now.marks)


def _shows_same(listed: WorklistRow, now: WorklistRow) -> bool:
    """Return whether the slide is still the one that was analyzed, as far as it can be read."""
    if listed.picture == now.picture or not listed.fingerprint:
        return True
    try:
        return slide_fingerprint(now.slide, now.image) == listed.fingerprint
    except OSError:
        return True


RowKey = tuple[Path, int] | tuple[Path, int, str]
"""File and picture of a plain slide; for an image of QuPath, which one too."""


def row_json(row: WorklistRow, folder: Path) -> dict[str, Any]:
    """Return a row as the file of a list in this folder holds it."""
    kept = {name: getattr(row, name) for name in KEPT}
    return {_SLIDE: _portable(row.slide, folder), **kept}


def _portable(slide: Path, folder: Path) -> str:
    """Return a path relative to the list where both lie together, so that they can move."""
    slide = Path(os.path.abspath(slide))  # noqa: PTH100 - a link is called by its own name
    if slide.is_relative_to(folder.parent) and folder.parent != Path(folder.anchor):
        return PurePath(os.path.relpath(slide, folder)).as_posix()
    return str(slide)


def read_row(item: Mapping[str, Any], folder: Path, *, live: bool = False) -> WorklistRow:
    """Read what `row_json` made.

    Parameters
    ----------
    live
        Take a slide that is being analyzed as such, also where it is not known by whom; else it
        waits again unless its program is still there.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        When it is none.
    """
    known = {field.name for field in fields(WorklistRow)}
    values = {name: value for name, value in item.items() if name in known and name != _SLIDE}
    values |= {name: tuple(values.get(name, ())) for name in ("flags", "marks")}
    values["status"] = RowStatus(values.get("status", RowStatus.WAITING))
    slide = Path(os.path.normpath(folder.absolute() / item[_SLIDE]))
    row = _checked().validate_python({_SLIDE: slide, **values})
    return row if row.status is not RowStatus.RUNNING else _as_it_runs(row, live=live)


def _as_it_runs(row: WorklistRow, *, live: bool) -> WorklistRow:
    """Return a row under way, which waits again where whoever analyzed it has ended."""
    stopped = row.has_ended
    if stopped is None:
        stopped = not live
    return freed(row) if stopped else row


@cache
def _checked() -> TypeAdapter[WorklistRow]:
    """Return what checks the kinds of all values of a row."""
    return TypeAdapter(WorklistRow)
