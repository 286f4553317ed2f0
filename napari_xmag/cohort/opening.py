"""A table of labelled slides read and checked, slide by slide, by runs that tell of it."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_xmag.cohort.cohort import Cohort, check_slides, read_cohort
from napari_xmag.cohort.problems import Problem
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, Steps, run_steps, run_with_progress


def open_cohort(
    path: Path, read: Callable[..., Cohort] = read_cohort
) -> Generator[Progress, None, Cohort]:
    """Read a table and open each of its slides, as `read_cohort` does.

    Parameters
    ----------
    read
        Reads what is no table; called like `read_cohort`.

    Raises
    ------
    CohortError
        When the table itself cannot be read or lacks the columns slide and label.
    """
    meter = ProgressMeter(Stage.CHECKING, 0, "slides")
    cohort = yield from run_with_progress(partial(read, path, open_slides=False), meter)
    meter.total = len(cohort.rows)
    found = yield from run_steps(_found(cohort), meter)
    problems = sorted((*cohort.problems, *found), key=lambda problem: problem.row)
    return replace(cohort, problems=tuple(problems))


def _found(cohort: Cohort) -> Steps[list[Problem]]:
    found: list[Problem] = []
    with closing(check_slides(cohort.rows)) as checked:
        for _, problems in checked:
            found += problems
            yield 1
    return found
