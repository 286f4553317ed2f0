"""Everything that is wrong with labelled slides, row by row, and what to do about it."""

import errno
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.cohort.cells import spreadsheet_accident
from napari_xmag.cohort.labels import class_key
from napari_xmag.cohort.rows import SPLITS, CohortRow
from napari_xmag.errors import CohortError, XmagError
from napari_xmag.files import is_same_file, real_path
from napari_xmag.geometry import Mpp
from napari_xmag.nets.info import name_problem
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.mpp import AGREEMENT, agree, describe_mpp, plausible

if TYPE_CHECKING:
    from napari_xmag.slide.base import Slide

_AT_ONCE = 4
_FILL_IN = "Fill it in or delete the row"
_LEAST_LETTERS = 5
_OFTEN = 5
# What systems answer where links lead round in a circle: POSIX, and Windows.
_LOOPS = frozenset((errno.ELOOP, 1921))
# A letter before a colon is a disk.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
# One spreadsheet writes truth in numbers, another in words, of the language it speaks.
_TRUTHS = {
    **dict.fromkeys(("true", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar"), "1"),
    **dict.fromkeys(("false", "falsch", "faux", "falso", "onwaar"), "0"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a line of the table (0: in all of it), and what to do.

    Attributes
    ----------
    row
        The line.
    words
        What is wrong.
    hint
        What to do.
    name
        Of the image, where the lines are those of a QuPath project.
    """

    row: int
    words: str
    hint: str
    name: str = ""

    @classmethod
    def of(cls, row: CohortRow, words: str, hint: str) -> "Problem":
        """Return what is wrong with a row."""
        return cls(row.row, words, hint, row.name)

    def __str__(self) -> str:
        """One line for a person."""
        place = self.name or (f"row {self.row}" if self.row else "")
        return f"{f'{place}: ' if place else ''}{self.words}. {self.hint}"


class TableError(CohortError):
    """A table of labelled slides whose rows have problems.

    Attributes
    ----------
    problems
        All of them.
    """

    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(
        cls, problems: Sequence[Problem], expected: str, hint: str = "Correct these rows."
    ) -> "TableError":
        """Name every problem by its row."""
        error = cls(expected=expected, found="; ".join(map(str, problems)), hint=hint)
        error.problems = tuple(problems)
        return error


def row_problems(row: CohortRow, classes: Sequence[str] = ()) -> list[Problem]:
    """Return what is wrong with a row by itself, its slide unopened.

    Parameters
    ----------
    classes
        The only labels that may stand there; empty: any.
    """
    problems = []
    if not row.label:
        hint = "Add that metadata to the image in QuPath" if row.name else _FILL_IN
        problems.append(Problem.of(row, "no label", hint))
    elif classes and row.label not in classes:
        hint = f"Write one of {', '.join(classes)}"
        problems.append(Problem.of(row, f"unknown label {row.label!r}", hint))
    if row.split and row.split not in SPLITS:
        hint = f"Write {', '.join(SPLITS)} or nothing"
        problems.append(Problem.of(row, f"unknown split {row.split!r}", hint))
    if row.mpp is not None and plausible(row.mpp, row.mpp) is None:
        problems.append(replace(wrong_mpp(row.row, f"{row.mpp:g}"), name=row.name))
    if row.regions is not None and (wrong := _no_file(row.regions)):
        words, hint = f"the regions file {row.regions.name} {wrong}", _path_hint(row.regions)
        problems.append(Problem.of(row, words, f"{hint}, or leave the cell empty"))
    for what, name in (("label", row.label), ("patient", row.named_patient), ("site", row.site)):
        if name and (problem := name_problem(name)):
            problems.append(Problem.of(row, f"a {what} that is {problem}", "Write a short name"))
    for what, name in (("label", row.label), ("patient", row.named_patient), ("site", row.site)):
        if accident := spreadsheet_accident(name):
            hint = "Format the column as text and enter the original value"
            problems.append(Problem.of(row, f"{what} {accident}", hint))
    return problems


def _no_file(path: Path, *, or_folder: bool = False) -> str:
    """Return why a path leads to no file, as is said after its name; empty where it does.

    Parameters
    ----------
    or_folder
        A folder will do, too: that is what a slide of several files is.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno in _LOOPS or getattr(error, "winerror", None) in _LOOPS:
            return "cannot be reached (symbolic links that lead round in a circle)"
        if isinstance(error, PermissionError):
            return "cannot be reached (you may not read the folder that it is in)"
        scheme = _scheme(path)
        return f"is an address ({scheme}//…)" if scheme else "does not exist"
    except ValueError:  # characters that no system has in a name
        return "does not exist"
    if stat.S_ISREG(mode) or (or_folder and stat.S_ISDIR(mode)):
        return ""
    return "is a folder" if stat.S_ISDIR(mode) else "is not a file"


def _path_hint(path: Path) -> str:
    scheme = _scheme(path)
    if not scheme:
        return "Correct the path"
    if scheme.lower() == "file:":
        return f"Write a plain path, without {scheme}//"
    return "Download it, and write the path of the file"


def _scheme(path: Path) -> str:
    """Return with what a path begins that was written as an address; empty where it was not.

    A `Path` keeps one of the slashes.
    """
    return next((part for part in path.parts if _SCHEME.fullmatch(part)), "")


def wrong_mpp(row: int, text: str) -> Problem:
    """Return the problem of a pixel size that is none."""
    return Problem(row, f"mpp {text!r}", "Write µm per pixel, such as 0.25, or nothing")


def no_patient(row: int) -> Problem:
    """Return the problem of a slide of which nobody knows whose it is."""
    hint = "Enter the patient (or a unique name if the patient is unknown)"
    return Problem(row, "no patient", hint)


def table_problems(rows: Sequence[CohortRow]) -> list[Problem]:
    """Return what is wrong between rows: copies, leaks, names that mean the same, one class."""
    labelled = [row for row in rows if row.label]
    problems = [*_copies(rows), *_shared_regions(rows), *_variants(labelled), *_patients(rows)]
    problems += _one_each(labelled, "labels", lambda row: row.label)
    problems += _one_each(rows, "splits", lambda row: row.split)
    classes = {row.label for row in labelled}
    if len(classes) < 2:
        found = f"only the label {classes.pop()!r}" if classes else "no labelled slides"
        problems.append(Problem(0, found, "Add slides of at least two classes"))
    return problems


@dataclass(frozen=True, slots=True)
class CheckedSlide:
    """What was found in the slide of a row.

    Attributes
    ----------
    fingerprint
        Of its contents, the same for each copy; empty where it cannot be read.
    left_out
        What of its file takes no part.
    """

    row: CohortRow
    problems: tuple[Problem, ...]
    fingerprint: str
    left_out: tuple[Problem, ...] = ()


def check_slides(
    rows: Sequence[CohortRow], *, override_mpp: bool = False
) -> Generator[CheckedSlide, None, None]:
    """Open slide after slide, several at once; yield what is found of each, in order.

    Closing the generator ends the work after the slides that are open now.

    Parameters
    ----------
    override_mpp
        Whether the pixel size of a row counts, whatever the slide states.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [pool.submit(_opened, row, override_mpp) for row in rows]
        try:
            for future in found:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _opened(row: CohortRow, override_mpp: bool) -> CheckedSlide:
    from napari_xmag.slide.fingerprint import slide_fingerprint

    problems, left_out = _looked_at(row, override_mpp)
    try:
        fingerprint = slide_fingerprint(row.slide)
    except OSError:  # opening it said why
        fingerprint = ""
    return CheckedSlide(row, tuple(problems), fingerprint, tuple(left_out))


def copied_slides(checked: Iterable[tuple[CohortRow, str]]) -> list[Problem]:
    """Return which slides are copies of one in an earlier row, by their fingerprints."""
    problems = []
    first: dict[str, CohortRow] = {}
    for row, fingerprint in checked:
        before = first.setdefault(fingerprint, row) if fingerprint else row
        # One file twice is told without opening it.
        if not is_same_file(before.slide, row.slide):
            words = f"{row.slide.name} is a copy of {before.slide.name} in {before.place}"
            problems.append(Problem.of(row, words, "Delete one of them"))
    return problems


def _looked_at(row: CohortRow, override_mpp: bool) -> tuple[list[Problem], list[Problem]]:
    """Open a slide; return what is wrong with it, and what of its file takes no part."""
    from napari_xmag.slide.open import open_slide

    if wrong := _no_file(row.slide, or_folder=True):
        return [Problem.of(row, f"{row.slide.name} {wrong}", _path_hint(row.slide))], []
    try:
        slide = open_slide(row.slide)
    except XmagError as error:
        return [Problem.of(row, f"{row.slide.name} cannot be opened", error.hint)], []
    with closing(slide):
        return [] if override_mpp else _mpp_problems(row, slide), _further_images(row, slide)


def _further_images(row: CohortRow, slide: "Slide") -> list[Problem]:
    """Say that training reads one picture of a file; images of QuPath are told elsewhere."""
    if len(slide.images) < 2 or row.name:
        return []
    words = f"{row.slide.name} contains {len(slide.images)} images, of which the first is used"
    return [Problem.of(row, words, "To use the others, save them as files of their own")]


def _mpp_problems(row: CohortRow, slide: "Slide") -> list[Problem]:
    if slide.mpp is None and row.mpp is None:
        words = f"{row.slide.name} states no pixel size"
        return [Problem.of(row, words, "Fill in the column mpp (µm per pixel)")]
    stated = None if slide.mpp_source == MppSource.REMEMBERED else slide.mpp
    if stated is None or row.mpp is None or plausible(row.mpp, row.mpp) is None:
        return []
    if agree(stated, Mpp(row.mpp, row.mpp)):
        return []
    words = (
        f"mpp {row.mpp:g}, but {row.slide.name} states {describe_mpp(stated)} ({slide.mpp_source})"
    )
    hint = f"Empty the cell, or correct it to within {AGREEMENT:.0%}"
    return [Problem.of(row, words, hint)]


def _copies(rows: Sequence[CohortRow]) -> list[Problem]:
    problems = []
    first: dict[Path, CohortRow] = {}
    for row in rows:
        before = first.setdefault(real_path(row.slide), row)
        if before is row:
            continue
        words = f"{row.slide.name} is already in {before.place}"
        if before.split and row.split and before.split != row.split:
            words += f", with split {before.split} there and {row.split} here"
        problems.append(Problem.of(row, words, "Delete one of them"))
    return problems


def _shared_regions(rows: Sequence[CohortRow]) -> list[Problem]:
    """Find a file of regions that stands beside two slides: it was drawn on one of them."""
    problems = []
    first: dict[Path, CohortRow] = {}
    for row in rows:
        if row.regions is None:
            continue
        before = first.setdefault(real_path(row.regions), row)
        # One slide twice is told as such.
        if not is_same_file(before.slide, row.slide):
            words = f"the regions file {row.regions.name} is that of {before.place}, too"
            problems.append(Problem.of(row, words, "Name the regions of this slide, or nothing"))
    return problems


def _patients(rows: Sequence[CohortRow]) -> list[Problem]:
    """Ask for patients where some are named, and find one who is written in two ways."""
    named = [row for row in rows if row.named_patient]
    problems = [
        replace(no_patient(row.row), name=row.name)
        for row in rows
        if named and not row.named_patient
    ]
    first: dict[str, CohortRow] = {}
    for row in named:
        before = first.setdefault(_patient_key(row.patient), row)
        if before.patient != row.patient:
            words = f"patient {row.patient!r} looks like {before.patient!r} in {before.place}"
            problems.append(Problem.of(row, words, "Write both alike"))
    return problems


def _patient_key(name: str) -> str:
    """Return what forms of one patient's name have in common: P-07, p_7 and P 7 are one."""
    words = re.findall(r"[^\W\d_]+|\d+|[^\w\s-]", class_key(name))
    return " ".join(word.lstrip("0") or "0" if word.isdecimal() else word for word in words)


def _variants(rows: Sequence[CohortRow]) -> list[Problem]:
    """Find labels that are another label in other letters, or a slip of the pen."""
    slides = Counter(row.label for row in rows)
    patients = Counter(label for label, _ in {(row.label, row.patient) for row in rows})
    often = [label for label, _ in slides.most_common() if patients[label] >= _OFTEN]
    spelled: dict[str, str] = {}
    meant: dict[str, tuple[str, str]] = {}
    for label, _ in slides.most_common():
        first = spelled.setdefault(_plain(label), label)
        if first != label:
            meant[label] = (first, "Write both alike")
        elif patients[label] == 1:
            near = next((other for other in often if _mistyped(_plain(label), _plain(other))), "")
            meant[label] = (near, "Correct it, or add patients with this label")
    return [
        Problem.of(row, f"label {row.label!r} looks like {other!r} ({slides[other]} ×)", hint)
        for row in rows
        for other, hint in [meant.get(row.label, ("", ""))]
        if other
    ]


def _plain(label: str) -> str:
    label = _TRUTHS.get(label.casefold(), label)
    try:
        return str(Decimal(label.replace(",", ".")).normalize())  # 01 is 1, 1.50 is 1.5
    except InvalidOperation:
        return class_key(label)


def _mistyped(label: str, other: str) -> bool:
    """Say whether one long word differs by a letter: "grade I" and "grade V" are two classes."""
    words = list(zip(label.split(), other.split(), strict=False))
    differ = [pair for pair in words if pair[0] != pair[1]]
    if label.count(" ") != other.count(" ") or len(differ) != 1:
        return False
    one, two = differ[0]
    letters = (one + two).isalpha() and min(len(one), len(two)) >= _LEAST_LETTERS
    return letters and _one_letter_apart(one, two)


def _one_letter_apart(one: str, two: str) -> bool:
    """Say whether a letter is missing, added or another, or two neighbours are swapped."""
    same = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if same is None:
        return abs(len(one) - len(two)) <= 1
    rest, other = one[same:], two[same:]
    swapped = rest[1::-1] == other[:2] and rest[2:] == other[2:]
    return swapped or rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]


def _one_each(
    rows: Iterable[CohortRow], what: str, value_of: Callable[[CohortRow], str]
) -> list[Problem]:
    """Find patients with several labels, or on several sides of the split."""
    seen: dict[str, dict[str, CohortRow]] = defaultdict(dict)
    for row in rows:
        if value := value_of(row):
            seen[row.patient].setdefault(value, row)
    hint = (
        "Put all slides of a patient in one split"
        if what == "splits"
        else "Correct the label, or the patient's name"
    )
    return [
        Problem.of(
            max(found.values(), key=lambda row: row.row),
            f"patient {patient} has {len(found)} {what} ({', '.join(found)})",
            hint,
        )
        for patient, found in seen.items()
        if len(found) > 1
    ]
