"""The work that threads do for the Train widget: generators that know no widget."""

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag._gui.shared.jobs import awaited
from napari_xmag._gui.shared.subprocess_worker import in_child
from napari_xmag._gui.train.worker_entry import TrainRequest, trained
from napari_xmag.analyze.events import Waiting
from napari_xmag.cohort.cohort import check, check_slides, read_cohort
from napari_xmag.cohort.problems import CheckedSlide, Problem
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.cohort.splits import draw_split
from napari_xmag.errors import TissueError, XmagError
from napari_xmag.filenames import COHORT
from napari_xmag.progress.events import Stage
from napari_xmag.progress.heartbeat import BEAT_SECONDS
from napari_xmag.slide.sample_cohort import write_sample_cohort

if TYPE_CHECKING:
    from napari_xmag.progress.events import RunEvent
    from napari_xmag.train.config import TrainConfig
    from napari_xmag.train.report.record import RunRecord
    from napari_xmag.zoo import ModelEntry


SlideKey = tuple[Path, float | None, Path | None]
"""A slide with the pixel size and the regions that its row gives: what its check depends on."""


@dataclass(frozen=True, slots=True)
class CohortRead:
    """A table was read; ``left_out`` says which of its lines cannot be shown as rows."""

    path: Path
    rows: tuple[CohortRow, ...]
    left_out: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class CohortChecked:
    """All problems known by now, and the splits that a training would draw.

    Attributes
    ----------
    drawn
        By row number, for rows without a split; empty with folds: there each is a test row once.
    """

    problems: tuple[Problem, ...]
    drawn: Mapping[int, str]
    draw_problem: str


@dataclass(frozen=True, slots=True)
class SlidesChecked:
    """Slides that were opened; none of the window's other questions can be answered so slowly.

    Attributes
    ----------
    found
        What was found in each.
    regions
        How many regions each has, of those that name any.
    """

    found: Mapping[SlideKey, CheckedSlide]
    regions: Mapping[SlideKey, int]


@dataclass(frozen=True, slots=True)
class ExampleMade:
    """So many of the example slides lie there."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Slides and settings of a training that can go on."""

    rows: tuple[CohortRow, ...]
    config: "TrainConfig"


def key_of(row: CohortRow) -> SlideKey:
    """Return what the check of a slide depends on."""
    return row.slide, row.mpp, row.regions


def open_cohort(path: Path) -> Generator[Waiting | CohortRead, None, None]:
    """Read a table; its slides are not opened yet."""
    cohort = yield from awaited(lambda: read_cohort(path, open_slides=False), "Reading")
    kept = {row.row for row in cohort.rows}
    lost = tuple(p for p in cohort.problems if p.row and p.row not in kept)
    yield CohortRead(path, cohort.rows, (*cohort.left_out, *lost))


def examine(
    rows: Sequence[CohortRow],
    config: "TrainConfig | None",
    known: Mapping[SlideKey, CheckedSlide],
) -> Generator[CohortChecked | SlidesChecked, None, None]:
    """Look for problems: first those that need no slide, then slide by slide those not known."""
    yield _checked(rows, config)
    waiting = [row for row in rows if key_of(row) not in known]
    found: dict[SlideKey, CheckedSlide] = {}
    regions: dict[SlideKey, int] = {}
    told = time.monotonic()
    with closing(check_slides(waiting)) as slides:
        for slide in slides:
            number, unread = _regions_of(slide.row)
            found[key_of(slide.row)] = replace(slide, problems=(*slide.problems, *unread))
            if slide.row.regions is not None:
                regions[key_of(slide.row)] = number
            if time.monotonic() - told > BEAT_SECONDS:
                yield SlidesChecked(found, regions)
                found, regions, told = {}, {}, time.monotonic()
    yield SlidesChecked(found, regions)


def _regions_of(row: CohortRow) -> tuple[int, list[Problem]]:
    """Count the regions of a slide; return what is wrong with their file, too."""
    from napari_xmag.train.regions import count_regions, unusable

    # That a file is not there, or not to be reached, is told without opening it.
    if row.regions is None or not os.path.isfile(row.regions):
        return 0, []
    try:
        return count_regions(row), []
    except TissueError as error:
        return 0, [unusable(row, error)]
    except XmagError:  # a slide that does not open is told as such
        return 0, []


def _checked(rows: Sequence[CohortRow], config: "TrainConfig | None") -> CohortChecked:
    problems = check(rows, open_slides=False).problems
    if config is None or problems or not rows:
        return CohortChecked(problems, {}, "")
    try:
        divisions = draw_split(
            rows,
            by=config.split_by,
            folds=config.folds,
            validation=config.validation,
            test=config.test,
            seed=config.seed,
        )
    except XmagError as error:
        return CohortChecked(problems, {}, f"{error.found}. {error.hint}")
    if len(divisions) > 1:
        return CohortChecked(problems, {}, "")
    drawn = {
        after.row: after.split
        for before, after in zip(rows, divisions[0], strict=True)
        if not before.split
    }
    return CohortChecked(problems, drawn, "")


def make_examples(folder: Path) -> Generator[Waiting | ExampleMade | CohortRead, None, None]:
    """Make labelled example slides, then read their table."""
    with closing(write_sample_cohort(folder)) as slides:
        for done, _ in enumerate(slides, 1):
            yield ExampleMade(done, 32)
    yield from open_cohort(folder / COHORT)


def survey() -> Generator[tuple["ModelEntry", ...], None, None]:
    """List the models whose encoder can be taken."""
    from napari_xmag.zoo import list_models

    yield tuple(entry for entry in list_models() if not entry.problem)


def run(request: TrainRequest) -> Generator["Waiting | RunEvent", None, None]:
    """Train in a process of its own; the last event is `RunFinished`."""
    return in_child(trained, request, stage=Stage.LOADING.words)


def read_unfinished(folder: Path) -> Generator[Waiting | Unfinished, None, None]:
    """Read slides and settings of a training that has not ended."""

    def read() -> Unfinished:
        from napari_xmag.train.config import TrainConfig
        from napari_xmag.train.run_folder import read_config

        whole = folder if (folder / COHORT).exists() else folder / "fold-1"
        config = TrainConfig.model_validate(read_config(whole)["config"])
        rows = read_cohort(whole / COHORT, open_slides=False).rows
        if config.folds > 1:  # each fold has divided them differently
            rows = tuple(replace(row, split="") for row in rows)
        return Unfinished(rows, config)

    yield (yield from awaited(read, "Reading the training"))


def read_record(folder: Path) -> Generator["Waiting | RunRecord", None, None]:
    """Read what a training has written."""

    def read() -> "RunRecord":
        from napari_xmag.train.report.record import read_run

        return read_run(folder)

    yield (yield from awaited(read, "Reading the training"))


def add_model(folder: Path) -> Generator["Waiting | ModelEntry", None, None]:
    """Copy a model among the user's own, in place of one of its name."""
    from napari_xmag import zoo

    yield (yield from awaited(lambda: zoo.add_model(folder, replace=True), "Adding the model"))
