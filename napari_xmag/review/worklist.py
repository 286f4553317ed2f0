"""A list of slides to go through: what became of each, in which order to look, saved as a file."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_xmag._about import NOTICE
from napari_xmag.analyze.result import SlideResult
from napari_xmag.cohort.table import write_table
from napari_xmag.errors import ResultError
from napari_xmag.files import json_text, real_path, relative_path
from napari_xmag.locks import alone
from napari_xmag.review.worklist_file import (
    Stamp,
    merged,
    read_rows,
    stamp_of,
    write_lines,
)
from napari_xmag.review.worklist_row import (
    KEPT,
    RowKey,
    RowStatus,
    WorklistRow,
    begun,
    brought_up,
    ended,
    freed,
    row_json,
)
from napari_xmag.spreadsheets import as_text

_log = logging.getLogger(__name__)

COLUMNS = (
    *("name", "status", "headline", "suspicion", "flags", "area_mm2", "seconds", "reviewed"),
)
"""By which a list can be sorted."""


_NOT_FOR_PEOPLE = {"result", "entry", "marks", "runner", "began"}
_ORDER = {status: place for place, status in enumerate(RowStatus)}


class Worklist:
    """Slides in the order in which they were added, each once; every change is saved.

    Parameters
    ----------
    rows
        The slides.
    path
        The file that follows every change; None keeps the list in memory.
    """

    def __init__(self, rows: Iterable[WorklistRow] = (), path: Path | None = None) -> None:
        self._rows: dict[RowKey, WorklistRow] = {}
        self.path = path
        self._lines: dict[WorklistRow, str] = {}
        self._real: dict[Path, Path] = {}
        self._stamp: Stamp | None = None
        self._take(rows)
        self._in_file: dict[RowKey, WorklistRow] = {}

    # files

    @classmethod
    def load(cls, path: Path | str) -> "Worklist":
        """Read a list; a slide that was being analyzed when its program ended waits again.

        Raises
        ------
        ResultError
            When the file is no worklist, or an altered or newer one.
        """
        path = Path(path)
        stamp = stamp_of(path)
        found = cls(path=path)
        found._rows = {row.key: row for row in read_rows(path)}
        found._stamp, found._in_file = stamp, dict(found._rows)
        return found

    def save(self, path: Path | None = None) -> None:
        """Write the list, whole or not at all; from now on, changes are saved there.

        What other windows and commands wrote to the same file since is taken in.

        Parameters
        ----------
        path
            Another file, which is replaced; it is followed only when it could be written.

        Raises
        ------
        ExportError
            When the file cannot be written.
        """
        to = self.path if path is None else path
        if to is None:
            return
        moves = to != self.path
        with alone(to):
            if not moves:
                try:
                    self._take_others_changes(to)
                except ResultError as error:
                    _log.warning("%s is replaced. %s", to, error)
            lines = self._written(to.absolute().parent, {} if moves else self._lines)
            write_lines(to, lines.values())
            self.path, self._lines = to, lines
            self._stamp, self._in_file = stamp_of(to), dict(self._rows)

    def _written(self, folder: Path, known: Mapping[WorklistRow, str]) -> dict[WorklistRow, str]:
        """Return each row as a line, made once for each change: a long list is saved often."""
        return {
            row: known.get(row) or json_text(row_json(row, folder), compact=True)
            for row in self._rows.values()
        }

    def follow(self) -> bool:
        """Take in what others wrote to the file since; what their programs left waits again.

        Returns
        -------
        Whether anything is different now.
        """
        before = dict(self._rows)
        self._free_abandoned()
        if self.path is not None:
            try:
                self._take_others_changes(self.path)
            except ResultError as error:  # perhaps it is being written by hand
                _log.info("%s", error)
        return self._rows != before

    def _free_abandoned(self) -> None:
        """Let slides wait again whose analysis ended with its program, for all that read them."""
        for rows in (self._rows, self._in_file):
            running = [row for row in rows.values() if row.status is RowStatus.RUNNING]
            rows.update({row.key: freed(row) for row in running if row.has_ended})

    def _take_others_changes(self, path: Path) -> None:
        stamp = stamp_of(path)
        if stamp is None or stamp == self._stamp:
            return
        theirs = {row.key: row for row in read_rows(path, live=True)}
        self._rows = merged(self._in_file, self._rows, theirs)
        self._stamp, self._in_file = stamp, theirs

    def write_summary(self, path: Path | str) -> None:
        """Write the list as a table for people, in its present order: ``.csv`` or ``.xlsx``.

        Slides get their paths from the table.

        Raises
        ------
        ExportError
            When the file cannot be written.
        """
        names = ["slide", *(name for name in KEPT if name not in _NOT_FOR_PEOPLE)]
        folder, lines = Path(path).parent, []
        for row in self.sorted():
            slide = as_text(relative_path(row.slide, folder))
            values = [getattr(row, name) for name in names[1:]]
            lines.append([slide, *map(_cell, values), NOTICE])
        write_table(Path(path), [*names, "notice"], lines)

    # rows

    @property
    def rows(self) -> tuple[WorklistRow, ...]:
        """All rows, in the order in which they were added."""
        return tuple(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: RowKey) -> WorklistRow:
        return self._rows[key]

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def add(self, rows: Iterable[WorklistRow]) -> int:
        """Add slides that are not in the list yet; return how many there were.

        Of those that are, images of a project that was moved since among them, the list takes up
        what is new: where they lie, and whether they can be read. What failed before waits again
        then; a result stays.
        """
        before = dict(self._rows)
        self._take(rows)
        if self._rows != before:
            self.save()
        return len(self._rows) - len(before)

    def _take(self, rows: Iterable[WorklistRow]) -> None:
        images = {row.entry: row.key for row in self._rows.values() if row.entry}
        places = _Places(self)
        for found in rows:
            row = places.as_listed(found)
            marks = (mark for mark in (row.entry, *row.marks) if mark in images)
            key = images.get(next(marks, ""), row.key)
            listed = self._rows.get(key)
            if listed is not None and listed.status is RowStatus.RUNNING:
                continue  # whoever analyzes it knows it by its key
            new = row if listed is None else brought_up(listed, row)
            self._replace(key, new)
            if new.entry:
                images[new.entry] = new.key

    def _replace(self, key: RowKey, row: WorklistRow) -> None:
        """Put a row in the place of the one of this key, or at the end."""
        if key in self._rows and row.key != key:
            rows = (row if other.key == key else other for other in self._rows.values())
            self._rows = {other.key: other for other in rows}
        else:
            self._rows[row.key] = row

    def remove(self, key: RowKey) -> None:
        """Take a slide off the list; its results and what was said of it stay in its store."""
        if self._rows.pop(key, None) is not None:
            self.save()

    def counts(self) -> dict[RowStatus, int]:
        """Return how many slides there are of each status."""
        found = Counter(row.status for row in self._rows.values())
        return {status: found[status] for status in RowStatus}

    def showing(self, picture: tuple[Path, int]) -> tuple[WorklistRow, ...]:
        """Return the rows that show a picture of a file, by whatever path it is named."""
        path, image = picture
        rows = [row for row in self._rows.values() if row.image == image]
        same = [row for row in rows if row.slide == path]
        if not same:
            real = real_path(path)
            same = [row for row in rows if self.real_slide(row) == real]
        return tuple(same)

    def real_slide(self, row: WorklistRow) -> Path:
        """Return where the path of a slide leads, looked up once: a network takes its time."""
        found = self._real.get(row.slide)
        if found is None:
            found = self._real[row.slide] = real_path(row.slide)
        return found

    # a run through the list

    def next_waiting(self) -> WorklistRow | None:
        """Return the slide to analyze next; None when none waits."""
        waiting = (row for row in self._rows.values() if row.status is RowStatus.WAITING)
        return next(waiting, None)

    def begin(self, key: RowKey) -> None:
        """Note that a slide is being analyzed."""
        self._set(begun(self._rows[key]))

    def stop(self, key: RowKey) -> None:
        """Note that its analysis was cancelled: it waits again."""
        self._set(ended(self._rows[key], RowStatus.WAITING))

    def finish(self, key: RowKey, result: SlideResult, result_id: str = "") -> None:
        """Take in a result.

        Parameters
        ----------
        result_id
            Its id in the slide's `ReviewStore`.
        """
        abstained = result.answer is None
        row = ended(
            self._rows[key],
            RowStatus.ABSTAINED if abstained else RowStatus.DONE,
            reason=" ".join(result.abstained),
            headline=result.headline,
            answer=result.answer or "",
            suspicion=suspicion(result),
            flags=tuple(str(flag.code) for flag in result.flags),
            area_mm2=result.tissue.get("area_mm2"),
            seconds=result.seconds.get("total"),
            model=result.model_words,
            fingerprint=str(result.slide["fingerprint"]),
            result=result_id,
        )
        self._set(row)

    def fail(self, key: RowKey, reason: str) -> None:
        """Note why a slide failed."""
        self._set(ended(self._rows[key], RowStatus.FAILED, reason=reason))

    def retry_failed(self) -> int:
        """Let failed slides wait again; return how many there were."""
        failed = [row for row in self._rows.values() if row.status is RowStatus.FAILED]
        for row in failed:
            self._rows[row.key] = replace(row, status=RowStatus.WAITING, reason="")
        if failed:
            self.save()
        return len(failed)

    def mark_reviewed(self, key: RowKey, reviewed: bool = True) -> None:
        """Note that somebody has looked at a slide, or has yet to."""
        self._set(replace(self._rows[key], reviewed=reviewed))

    def _set(self, row: WorklistRow) -> None:
        if self._rows[row.key] != row:
            self._rows[row.key] = row
            self.save()

    # order

    def sorted(
        self, column: str = "suspicion", *, descending: bool = True
    ) -> tuple[WorklistRow, ...]:
        """Return the rows in an order; those that have nothing in the column come last.

        Parameters
        ----------
        column
            One of `COLUMNS`. By ``suspicion``, slides with an answer come first, then those whose
            result abstains, then the failed, the running and the waiting ones.
        """
        rows = sorted(self._rows.values(), key=lambda row: row.shown_name.casefold())
        known = [row for row in rows if _known(row, column)]
        known.sort(key=lambda row: _sort_key(row, column), reverse=descending)
        unknown = [row for row in rows if not _known(row, column)]
        if column == "suspicion":
            unknown.sort(key=lambda row: _ORDER[row.status])
        return (*known, *unknown)

    def neighbour(
        self, key: RowKey | None, step: int, rows: Iterable[WorklistRow] | None = None
    ) -> WorklistRow | None:
        """Return the slide so many steps on, or back; None beyond an end.

        Parameters
        ----------
        key
            The present slide; None, or one that is not shown, stands before the first.
        rows
            As they are shown; sorted by suspicion by default.
        """
        shown = list(self.sorted() if rows is None else rows)
        places = {row.key: place for place, row in enumerate(shown)}
        place = places.get(key, -1) if key is not None else -1
        wanted = place + step
        return shown[wanted] if 0 <= wanted < len(shown) else None


class _Places:
    """Finds slides of a list by where their paths lead: a relative path or a link is no other one.

    Links are followed only where a path is not in the list, which may take long on a network.
    """

    def __init__(self, worklist: Worklist) -> None:
        self._worklist = worklist
        self._paths: dict[Path, Path] | None = None

    def as_listed(self, row: WorklistRow) -> WorklistRow:
        """Return a row with the path by which its file is in the list, if it is."""
        if row.entry or row.key in self._worklist or not len(self._worklist):
            return row
        if self._paths is None:
            listed = self._worklist
            self._paths = {listed.real_slide(each): each.slide for each in listed.rows}
        return replace(row, slide=self._paths.setdefault(real_path(row.slide), row.slide))


def suspicion(result: SlideResult) -> float | None:
    """Return the probability that a slide is not of the model's first class, 0 to 1.

    None where the result abstains.
    """
    return None if result.answer is None else 1 - result.probabilities[0]


def _known(row: WorklistRow, column: str) -> bool:
    return getattr(row, column, "") not in (None, "", ()) or column == "name"


def _sort_key(row: WorklistRow, column: str) -> Any:
    if column == "name":
        return row.shown_name.casefold()
    value = getattr(row, column)
    return _ORDER[row.status] if column == "status" else value


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return (
        value if isinstance(value, (int, float)) else as_text("" if value is None else str(value))
    )
