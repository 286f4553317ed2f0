"""The cohort of the Train widget: rows come, change and go, and are checked behind the window."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_xmag._gui.shared.jobs import Job, Jobs
from napari_xmag._gui.train import tasks
from napari_xmag._gui.train.state import TrainState
from napari_xmag.cohort.cells import is_missing
from napari_xmag.cohort.cohort import write_cohort
from napari_xmag.cohort.problems import CheckedSlide, Problem, copied_slides
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import GeometryError, XmagError
from napari_xmag.files import is_same_file
from napari_xmag.slide.mpp import typed_mpp

_MOST_LEFT_OUT = 3


class CohortKeeper:
    """Keeps the rows of a state and everything that is known of them.

    Parameters
    ----------
    state
        Whose cohort it is; this class alone changes it.
    jobs
        Runs the checks.
    """

    def __init__(self, state: TrainState, jobs: Jobs) -> None:
        self._state = state
        self._jobs = jobs
        self._job: Job | None = None
        self._making: Job | None = None
        self._seen: dict[tasks.SlideKey, CheckedSlide] = {}
        self._regions: dict[tasks.SlideKey, int] = {}
        self._plain: tuple[Problem, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing is read or checked any more."""
        return self._job is None and not self._state.busy_words

    # rows

    def open_table(self, path: Path) -> None:
        """Read a table in place of what is there."""
        self._begin(f"Reading {path.name} …", tasks.open_cohort(path))

    def make_examples(self, folder: Path) -> None:
        """Make example slides and take their table."""
        self._state.made = 0, 0
        self._making = self._begin("Creating example slides …", tasks.make_examples(folder))

    def stop_making(self) -> None:
        """Make no more example slides; those that lie there are kept."""
        if self._making is not None:
            self._making.stop()

    def _begin(self, words: str, work: Generator[object, None, None]) -> Job:
        self._state.busy_words = words
        self._state.note = ""
        return self._jobs.start(work, self._hear_rows, self._rows_end, self._tell)

    def _hear_rows(self, event: object) -> None:
        if isinstance(event, tasks.ExampleMade):
            self._state.made = event.done, event.total
            self._state.busy_words = f"Creating example slides: {event.done} of {event.total}"
        elif isinstance(event, tasks.CohortRead):
            self._seen.clear()  # whoever opens a table again may have mended its slides
            self._state.table = event.path
            self._state.note = _left_out(event.left_out)
            self.take(event.rows)

    def _rows_end(self) -> None:
        if self._making is not None and self._making.stopping and self._state.made is not None:
            done, total = self._state.made
            self._state.note = f"Cancelled. {done} of {total} example slides were created."
        self._making, self._state.made = None, None
        self._state.busy_words = ""

    def _tell(self, error: Exception) -> None:
        found = error.found if isinstance(error, XmagError) else str(error)
        hint = error.hint if isinstance(error, XmagError) else ""
        self._state.note = f"{found[:1].upper()}{found[1:].rstrip('.')}. {hint}".strip()

    def save_table(self, path: Path) -> None:
        """Write the table; its rows are numbered anew, as a spreadsheet will count them."""
        try:
            write_cohort(path, self._state.rows)
        except XmagError as error:
            self._tell(error)
            return
        self._state.table = path
        self._state.note = f"Saved as {path.name}."
        self.take(replace(row, row=line) for line, row in enumerate(self._state.rows, 2))

    def add(self, slide: Path, label: str, mpp: float | None = None) -> CohortRow:
        """Add a slide, or give its row the new label where it is there already."""
        rows = self._state.rows
        place = next((i for i, row in enumerate(rows) if is_same_file(row.slide, slide)), None)
        if place is None:
            number = max((row.row for row in rows), default=1) + 1
            added = CohortRow(number, slide, label, mpp=mpp)
            self.take((*rows, added))
        else:
            added = replace(rows[place], label=label)
            self.take((*rows[:place], added, *rows[place + 1 :]))
        return added

    def edit(self, number: int, column: str, text: str) -> None:
        """Change one cell; what cannot be a pixel size is refused in words."""
        value: str | float | Path | None = text
        if column == "mpp":
            try:
                value = None if is_missing(text) else typed_mpp(text)
            except GeometryError as error:
                self._state.note = f"“{text}” is not a pixel size. {error.hint}"
                return
        if column == "regions":
            folder = self._state.table.parent if self._state.table else Path()
            value = None if is_missing(text) else folder / text
        change: dict[str, Any] = {column: value}
        rows = self._state.rows
        changed = {row.row: replace(row, **change) for row in rows if row.row == number}
        if column == "regions":  # whoever names a file again may have mended it
            for row in changed.values():
                self._seen.pop(tasks.key_of(row), None)
        self.take(changed.get(row.row, row) for row in rows)

    def remove(self, numbers: Sequence[int]) -> None:
        """Take rows out; the slides themselves stay where they are."""
        self.take(row for row in self._state.rows if row.row not in set(numbers))

    def take(self, rows: Iterable[CohortRow]) -> None:
        """Make these the rows, and look for problems."""
        self._state.rows = tuple(rows)
        self.examine()

    # problems

    def examine(self) -> None:
        """Look for problems anew; slides that were opened before are not opened again."""
        if self._job is not None:
            self._job.stop()
        state = self._state
        job = self._jobs.start(
            tasks.examine(state.rows, state.config, dict(self._seen)),
            self._hear_check,
            lambda: self._check_ends(job),
        )
        self._job = job
        self._show()

    def _check_ends(self, job: Job) -> None:
        if self._job is job:
            self._job = None

    def _hear_check(self, event: object) -> None:
        if isinstance(event, tasks.CohortChecked):
            self._plain = event.problems
            self._state.drawn = event.drawn
            self._state.draw_problem = event.draw_problem
        elif isinstance(event, tasks.SlidesChecked):
            self._seen.update(event.found)
            self._regions.update(event.regions)
        self._show()

    def _show(self) -> None:
        state = self._state
        opened = [row for row in state.rows if tasks.key_of(row) in self._seen]
        numbers = {row.row for row in state.rows}
        problems = [problem for problem in self._plain if problem.row in numbers | {0}]
        seen = [(row, self._seen[tasks.key_of(row)]) for row in opened]
        problems += [replace(p, row=row.row) for row, slide in seen for p in slide.problems]
        # Rows come and go, so which one is a copy of which is asked anew.
        problems += copied_slides((row, slide.fingerprint) for row, slide in seen)
        state.unused = _left_out(
            [replace(p, row=row.row) for row, slide in seen for p in slide.left_out]
        )
        state.regions = {
            row.row: self._regions[tasks.key_of(row)]
            for row in state.rows
            if tasks.key_of(row) in self._regions
        }
        state.problems = tuple(sorted(problems, key=lambda problem: problem.row))
        state.checked = (len(opened), len(state.rows))


def _left_out(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    lines = [str(problem) for problem in problems[:_MOST_LEFT_OUT]]
    more = len(problems) - len(lines)
    lines += [f"and {more} more"] if more else []
    return "Left out: " + "; ".join(lines)
