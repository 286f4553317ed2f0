"""A table of labelled slides, read and written, with everything that is wrong with it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from napari_xmag.cohort.cells import is_missing
from napari_xmag.cohort.problems import (
    Problem,
    TableError,
    check_slides,
    copied_slides,
    no_patient,
    row_problems,
    table_problems,
    wrong_mpp,
)
from napari_xmag.cohort.rows import SPLITS, TEST, TRAIN, VALIDATION, CohortRow
from napari_xmag.cohort.table import read_table, write_table
from napari_xmag.errors import GeometryError
from napari_xmag.files import joined_path, relative_path
from napari_xmag.slide.mpp import typed_mpp

__all__ = [
    "SPLITS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Cohort",
    "CohortRow",
    "Problem",
    "check",
    "check_slides",
    "copied_slides",
    "read_cohort",
    "write_cohort",
]

_NEEDED = ("slide", "label")
_OPTIONAL = ("patient", "split", "site", "mpp", "regions")
_SHORT = {"val": VALIDATION}
_ALIKE = 0.8
"""How alike two names are that differ by a letter or two, for `difflib`."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labelled slides and the problems of their table.

    Attributes
    ----------
    rows
        The slides.
    problems
        What must be mended before anything can be learned from them.
    left_out
        What takes no part, and why: unusable images of a project, further images of a file,
        columns whose names are spelled otherwise.
    """

    rows: tuple[CohortRow, ...]
    problems: tuple[Problem, ...] = ()
    left_out: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        counts = Counter(row.label or "no label" for row in self.rows)
        labels = ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))
        words = f"<{type(self).__name__} of {len(self.rows)} slides: {labels}"
        return f"{words}; {len(self.problems)} problems>" if self.problems else f"{words}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted."""
        return tuple(sorted({row.label for row in self.rows if row.label}))

    def require_good(self) -> None:
        """Do nothing when the table has no problem.

        Raises
        ------
        TableError
            Naming every problem by its row.
        """
        if self.problems:
            raise TableError.of(self.problems, "a table of labelled slides without problems")


def read_cohort(
    path: Path | str, *, open_slides: bool = True, classes: Sequence[str] = ()
) -> Cohort:
    """Read a table ``slide, label[, patient, split, site, mpp, regions]`` and look for problems.

    Parameters
    ----------
    path
        The table, CSV or ``.xlsx``; relative paths of slides and regions mean those beside it.
    open_slides
        Whether each slide is opened to see that it can be and has a pixel size. For a thousand
        slides that takes a while; `check_slides` does it slide by slide.
    classes
        The only labels that may stand there; empty: any.

    Raises
    ------
    CohortError
        When the table itself cannot be read or lacks the columns slide and label.
    """
    path = Path(path)
    rows, unread = [], []
    lines = read_table(path, _NEEDED)
    for line, cells in lines:
        if is_missing(cells.get("slide", "")):
            unread.append(Problem(line, "no slide", "Fill it in or delete the row"))
            continue
        if "\0" in cells["slide"]:
            unread.append(Problem(line, "a slide with an impossible file name", "Correct the path"))
            continue
        row, wrong = _row(line, cells, path.parent)
        rows.append(row)
        unread += wrong
    cohort = _judged(rows, unread, open_slides=open_slides, classes=classes)
    columns = {name for _, cells in lines for name in cells}
    return replace(cohort, left_out=(*_misspelt(columns), *cohort.left_out))


def _misspelt(columns: Set[str]) -> list[Problem]:
    """Return columns that nothing reads, but whose names look like those that are read."""
    unread = [name for name in _OPTIONAL if name not in columns]
    looks = {
        name: get_close_matches(name, unread, n=1, cutoff=_ALIKE)
        for name in sorted(columns - {*_NEEDED, *_OPTIONAL})
    }
    return [
        Problem(0, f"the column {name!r} is not read", f"If it holds the {our}, rename it to {our}")
        for name, near in looks.items()
        for our in near
    ]


def check(
    rows: Iterable[CohortRow], *, open_slides: bool = True, classes: Sequence[str] = ()
) -> Cohort:
    """Look for problems in rows that were made elsewhere, as `read_cohort` does."""
    return _judged(list(rows), [], open_slides=open_slides, classes=classes)


def write_cohort(path: Path, rows: Iterable[CohortRow]) -> None:
    """Write a table that `read_cohort` reads, as ``.xlsx`` or CSV.

    Slides get their paths from the table, so that both can be moved together. Optional columns are
    there when a row fills them.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    records = [_cells(row, path.parent) for row in rows]
    columns = [*_NEEDED, *(name for name in _OPTIONAL if any(cells[name] for cells in records))]
    write_table(path, columns, [[cells[name] for name in columns] for cells in records])


def _judged(
    rows: list[CohortRow], unread: list[Problem], *, open_slides: bool, classes: Sequence[str]
) -> Cohort:
    problems = [*unread, *table_problems(rows)]
    left_out: list[Problem] = []
    problems += [problem for row in rows for problem in row_problems(row, classes)]
    if open_slides:
        checked = list(check_slides(rows))
        problems += [problem for slide in checked for problem in slide.problems]
        left_out = [words for slide in checked for words in slide.left_out]
        problems += copied_slides((slide.row, slide.fingerprint) for slide in checked)
    each_once = dict.fromkeys(sorted(problems, key=lambda problem: problem.row))
    return Cohort(tuple(rows), tuple(each_once), tuple(left_out))


def _row(line: int, cells: Mapping[str, str], parent: Path) -> tuple[CohortRow, list[Problem]]:
    mpp, wrong = _mpp(line, cells.get("mpp", ""))
    patient, split = cells.get("patient", ""), cells.get("split", "").lower()
    regions = cells.get("regions", "")
    if patient and is_missing(patient):
        # Whoever wrote that it is not known did not mean a patient of that slide's own.
        wrong.append(no_patient(line))
    row = CohortRow(
        line,
        joined_path(parent, cells["slide"]),
        cells.get("label", ""),
        patient,
        "" if is_missing(split) else _SHORT.get(split, split),
        mpp,
        cells.get("site", ""),
        None if is_missing(regions) else joined_path(parent, regions),
    )
    return row, wrong


def _mpp(line: int, text: str) -> tuple[float | None, list[Problem]]:
    if is_missing(text):
        return None, []
    try:
        return typed_mpp(text), []
    except GeometryError:
        return None, [wrong_mpp(line, text)]


def _cells(row: CohortRow, parent: Path) -> dict[str, str | float]:
    return {
        "slide": relative_path(row.slide, parent),
        "label": row.label,
        "patient": row.named_patient,
        "split": row.split,
        "site": row.site,
        "mpp": "" if row.mpp is None else row.mpp,
        "regions": "" if row.regions is None else relative_path(row.regions, parent),
    }
