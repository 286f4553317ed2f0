"""A table of labelled slides, and everything that is wrong with it, row by row."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.errors import CohortError, XmagError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One labelled slide.

    Attributes
    ----------
    row
        Line of the table, as a spreadsheet counts (the heading is line 1).
    slide
        Path of the slide.
    label
        Its class.
    patient
        Whom it belongs to; the slide itself where the table names nobody.
    split
        ``train``, ``validation``, ``test``, or empty when it is to be drawn.
    mpp
        Pixel size given in the table, or None.
    """

    row: int
    slide: Path
    label: str
    patient: str
    split: str = ""
    mpp: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a line of the table (0: in all of it), and what to do."""

    row: int
    words: str
    remedy: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{f'row {self.row}: ' if self.row else ''}{self.words}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labelled slides and the problems of their table."""

    rows: tuple[CohortRow, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted."""
        return tuple(sorted({row.label for row in self.rows}))

    def require_good(self) -> None:
        """Do nothing when the table has no problem.

        Raises
        ------
        CohortError
            Naming every problem by its row.
        """
        if self.problems:
            raise CohortError(
                wanted="a table of labelled slides without problems",
                found="; ".join(str(problem) for problem in self.problems),
                remedy="Correct these rows.",
            )


def read_cohort(path: Path, *, open_slides: bool = True) -> Cohort:
    """Read a CSV table ``slide, label[, patient, split, mpp]`` and look for problems.

    Parameters
    ----------
    path
        The table; relative slide paths mean those beside it.
    open_slides
        Whether each slide is opened to see that it can be and has a pixel size.

    Raises
    ------
    CohortError
        When the table itself cannot be read or lacks the columns slide and label.
    """
    rows, problems = [], []
    for line, cells in _table(path):
        row, wrong = _row(line, cells, path.parent)
        problems += wrong
        if row is not None:
            rows.append(row)
    problems += _conflicts(rows)
    if open_slides:
        problems += [problem for row in rows for problem in _slide_problems(row)]
    return Cohort(tuple(rows), tuple(sorted(problems, key=lambda problem: problem.row)))


def _table(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(
            wanted=f"a table of labelled slides at {path}",
            found=str(error),
            remedy="Save it as CSV with the columns slide, label[, patient, split, mpp].",
            causes=[error],
        ) from error
    if missing := {"slide", "label"} - set(names):
        raise CohortError(
            wanted="the columns slide and label",
            found=f"no {' and no '.join(sorted(missing))} among {', '.join(names) or 'none'}",
            remedy="Name the columns in the first row.",
        )
    return [
        (line, {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)})
        for line, row in lines
    ]


def _row(
    line: int, cells: Mapping[str, str], parent: Path
) -> tuple[CohortRow | None, list[Problem]]:
    if not cells["slide"] or not cells["label"]:
        empty = "slide" if not cells["slide"] else "label"
        return None, [Problem(line, f"no {empty}", "Fill it in or delete the row")]
    problems = []
    split = cells.get("split", "").lower()
    if split and split not in SPLITS:
        problems.append(
            Problem(line, f"unknown split {split!r}", f"Write {', '.join(SPLITS)} or nothing")
        )
    mpp = _mpp(cells.get("mpp", ""))
    if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
        problems.append(
            Problem(line, f"mpp {cells['mpp']!r}", "Write µm per pixel, such as 0.25, or nothing")
        )
        mpp = None
    slide = parent / cells["slide"]
    return CohortRow(
        line, slide, cells["label"], cells.get("patient") or cells["slide"], split, mpp
    ), problems


def _mpp(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return math.nan


def _conflicts(rows: list[CohortRow]) -> list[Problem]:
    problems = []
    first: dict[Path, CohortRow] = {}
    for row in rows:
        before = first.setdefault(row.slide.resolve(), row)
        if before is not row:
            words = f"{row.slide.name} stands in row {before.row} already"
            problems.append(Problem(row.row, words, "Delete one of them"))
    problems += _one_each(rows, {row.row: row.label for row in rows}, "labels")
    problems += _one_each(rows, {row.row: row.split for row in rows if row.split}, "splits")
    classes = {row.label for row in rows}
    if len(classes) < 2:
        found = f"only the label {classes.pop()!r}" if classes else "no rows"
        problems.append(Problem(0, found, "Add slides of at least two classes"))
    return problems


def _one_each(rows: Iterable[CohortRow], values: Mapping[int, str], what: str) -> Iterable[Problem]:
    """A patient has one label, and lies on one side of the split."""
    seen: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row.row in values:
            seen[row.patient].setdefault(values[row.row], row.row)
    remedy = (
        "Put all slides of a patient in one split"
        if what == "splits"
        else "Correct the label, or the patient's name"
    )
    return [
        Problem(
            max(found.values()),
            f"patient {patient} has {len(found)} {what} ({', '.join(found)})",
            remedy,
        )
        for patient, found in seen.items()
        if len(found) > 1
    ]


def _slide_problems(row: CohortRow) -> list[Problem]:
    from napari_xmag.slide.open import open_slide

    if not row.slide.exists():
        return [Problem(row.row, f"{row.slide.name} is not there", "Correct the path")]
    try:
        slide = open_slide(row.slide, mpp=row.mpp)
    except XmagError as error:
        return [Problem(row.row, f"{row.slide.name} does not open", error.remedy)]
    try:
        if slide.mpp is None:
            words = f"{row.slide.name} states no pixel size"
            return [Problem(row.row, words, "Fill in the column mpp (µm per pixel)")]
    finally:
        slide.close()
    return []
