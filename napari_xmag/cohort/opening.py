"""A table of labelled slides read and checked, slide by slide, by runs that tell of it."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_xmag.cohort.cohort import Cohort, check_slides, copied_slides, read_cohort
from napari_xmag.cohort.problems import Problem
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, Steps, run_steps, run_with_progress


def open_cohort(
    path: Path,
    read: Callable[..., Cohort] = read_cohort,
    override_mpp: float | None = None,
) -> Generator[Progress, None, Cohort]:
    """Read a table and open each of its slides, as `read_cohort` does.

    Parameters
    ----------
    read
        Reads what is no table; called like `read_cohort`.
    override_mpp
        µm per pixel of all slides, in place of what table and files state.

    Raises
    ------
    CohortError
        When the table itself cannot be read or lacks the columns slide and label.
    """
    meter = ProgressMeter(Stage.CHECKING, 0, "slides")
    cohort = yield from run_with_progress(partial(read, path, open_slides=False), meter)
    if override_mpp is not None:
        rows = tuple(replace(row, mpp=override_mpp) for row in cohort.rows)
        cohort = replace(cohort, rows=rows)
    meter.total = len(cohort.rows)
    found, left_out = yield from run_steps(_found(cohort, override_mpp is not None), meter)
    problems = sorted((*cohort.problems, *found), key=lambda problem: problem.row)
    return replace(cohort, problems=tuple(problems), left_out=(*cohort.left_out, *left_out))


def _found(cohort: Cohort, override_mpp: bool) -> Steps[tuple[list[Problem], list[Problem]]]:
    checked = []
    with closing(check_slides(cohort.rows, override_mpp=override_mpp)) as slides:
        for slide in slides:
            checked.append(slide)
            yield 1
    copies = copied_slides((slide.row, slide.fingerprint) for slide in checked)
    problems = [problem for slide in checked for problem in slide.problems] + copies
    return problems, [words for slide in checked for words in slide.left_out]
