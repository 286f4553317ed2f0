"""Many slides: one after another, in supervised processes, or by workers of a dask cluster."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from napari_xmag.batch.events import (
    BatchEvent,
    BatchMoved,
    Image,
    SlideBegun,
    SlideDone,
    SlideEncoded,
    SlideEvent,
    SlideFailed,
    SlideLabel,
    SlideMoved,
    SlideWarned,
)
from napari_xmag.batch.slide_job import BatchTask
from napari_xmag.errors import WorkerError, XmagError
from napari_xmag.progress.heartbeat import BEAT_SECONDS
from napari_xmag.workers.pool import Ended, Lost, Pool

Job = Callable[[BatchTask], Iterator[SlideEvent]]

PATIENCE_SECONDS = 30 * 60.0
"""A worker on whose slide nothing moves for so long is ended."""

_MOST_DEATHS = 2
_EARLY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Workers:
    """Who works.

    Attributes
    ----------
    count
        Processes on this machine; 0 for this process itself.
    threads
        Cores for each of them.
    scheduler
        Address of a dask scheduler whose workers do it all.
    patience
        Seconds; see `Pool`.
    """

    count: int = 0
    threads: int = 1
    scheduler: str | None = None
    patience: float = PATIENCE_SECONDS


def run_batch(
    job: Job, tasks: Sequence[BatchTask], workers: Workers
) -> Generator[tuple[int, BatchEvent], None, None]:
    """Do all tasks.

    Closing the generator ends the work; a slide that is worked on is left as it was.

    Yields
    ------
    Each event with the position of its task (that of the last one for a `BatchMoved`, which comes
    four times a second where several slides are worked on at once).

    Raises
    ------
    WorkerError
        When no process can be started.
    ConfigError
        When the scheduler does not answer, or goes away.
    """
    if workers.scheduler is not None:
        yield from _on_cluster(job, tasks, workers.scheduler)
    elif workers.count == 0:
        for number, task in enumerate(tasks):
            for event in job(task):
                yield number, event
    else:
        yield from _Supervisor(job, tasks, workers).events()


class _Supervisor:
    """Sees to it that each picture of each file is reported once, whatever dies."""

    def __init__(self, job: Job, tasks: Sequence[BatchTask], workers: Workers) -> None:
        self._tasks = tasks
        self._pool: Pool[BatchTask] = Pool(
            job, workers.count, threads=workers.threads, patience=workers.patience
        )
        self._counts = _Counts(len(tasks))
        self._begun: dict[int, SlideBegun] = {}
        self._reported: dict[int, set[Image]] = {number: set() for number in range(len(tasks))}
        self._deaths: Counter[tuple[int, Image]] = Counter()

    def events(self) -> Generator[tuple[int, BatchEvent], None, None]:
        for number, task in enumerate(self._tasks):
            self._pool.submit(number, task)
        number = 0
        for word in self._pool.events():
            if word is not None:
                number = word.key
                for event in self._answers(word):
                    yield number, event
            if word is None or self._counts.is_due():
                yield number, self._counts.event()
        yield number, self._counts.event()

    def _answers(self, word: Any) -> Iterator[SlideEvent]:
        if isinstance(word, Lost):
            yield from self._lost(word)
        elif isinstance(word, Ended):
            self._begun.pop(word.key, None)
            self._counts.end(word.key)
            if word.error is not None:
                yield SlideFailed(self._label(word.key), _as_ours(word.error))
        else:
            yield from self._said(word.key, word.event)

    def _said(self, number: int, event: SlideEvent) -> Iterator[SlideEvent]:
        if isinstance(event, SlideBegun):
            self._begun[number] = event
            self._counts.begin(number, event.slide)
            return
        if isinstance(event, SlideMoved):
            self._counts.move(number, event)
            return
        if isinstance(event, SlideDone | SlideEncoded | SlideFailed):
            self._reported[number].add(event.slide.image)
        if isinstance(event, SlideDone | SlideEncoded) and event.reused:
            self._counts.reuse(number)
        yield event

    def _lost(self, lost: Lost) -> Iterator[SlideEvent]:
        """Try the slide once more, at the end and in another process; or give it up."""
        number = lost.key
        begun = self._begun.pop(number, None)
        label = self._label(number) if begun is None else begun.slide
        place = (number, None if begun is None else begun.slide.image)
        self._deaths[place] += 1
        self._counts.forget(number)
        given_up = lost.hung or self._deaths[place] >= _MOST_DEATHS
        if given_up:
            self._reported[number].add(label.image)
            yield SlideFailed(label, lost.error)
        else:
            yield SlideWarned(label, f"It is tried once more. {lost.error}")
        left = set() if begun is None else set(begun.images) - self._reported[number]
        if given_up and not left:
            self._counts.end(number)
        else:
            leave_out = frozenset(self._reported[number])
            self._pool.submit(number, replace(self._tasks[number], leave_out=leave_out))

    def _label(self, number: int) -> SlideLabel:
        return self._tasks[number].target.label()


class _Counts:
    """How far all slides are."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._ended: set[int] = set()
        self._reused: set[int] = set()
        self._running: dict[int, tuple[str, int, int]] = {}
        self._tiles = 0
        self._start = self._spoke = time.monotonic()

    def begin(self, number: int, slide: SlideLabel) -> None:
        self._running[number] = slide.name, 0, 0

    def move(self, number: int, moved: SlideMoved) -> None:
        done, total = getattr(moved.event, "done", 0), getattr(moved.event, "total", 0)
        _, before, _ = self._running.get(number, ("", 0, 0))
        self._tiles += max(done - before, 0)
        self._running[number] = moved.slide.name, max(done, before), total

    def reuse(self, number: int) -> None:
        self._reused.add(number)

    def count(self, tiles: int) -> None:
        self._tiles += tiles

    def forget(self, number: int) -> None:
        self._running.pop(number, None)

    def end(self, number: int) -> None:
        self._ended.add(number)
        self._running.pop(number, None)

    def is_due(self) -> bool:
        return time.monotonic() - self._spoke > BEAT_SECONDS

    def event(self) -> BatchMoved:
        self._spoke = time.monotonic()
        passed = self._spoke - self._start
        partly = sum(done / total for _, done, total in self._running.values() if total)
        finished = len(self._ended) + partly
        worked = finished - len(self._reused)
        known = worked > 0 and passed > _EARLY_SECONDS
        return BatchMoved(
            done=len(self._ended),
            total=self._total,
            running=tuple(name for name, _, _ in self._running.values()),
            share=finished / self._total if self._total else 1.0,
            tiles_per_second=self._tiles / passed if passed else 0.0,
            seconds_left=(self._total - finished) * passed / worked if known else float("nan"),
        )


def _on_cluster(
    job: Job, tasks: Sequence[BatchTask], scheduler: str
) -> Generator[tuple[int, BatchEvent], None, None]:
    from napari_xmag.workers.cluster import on_workers

    counts = _Counts(len(tasks))
    numbers = {id(task): number for number, task in enumerate(tasks)}
    number = 0
    for ended in on_workers(partial(_all_events, job), tasks, scheduler=scheduler):
        if ended is not None:
            task, outcome = ended
            number = numbers[id(task)]
            if isinstance(outcome, BaseException):
                outcome = [SlideFailed(task.target.label(), _as_ours(outcome))]
            for event in outcome:
                if isinstance(event, SlideDone | SlideEncoded) and event.reused:
                    counts.reuse(number)
                elif isinstance(event, SlideDone):
                    counts.count(event.result.tiles_read)
                yield number, event
            counts.end(number)
        yield number, counts.event()


def _all_events(job: Job, task: BatchTask) -> list[SlideEvent]:
    """Do a task on a worker of a cluster; only its ends and warnings travel."""
    return [event for event in job(task) if not isinstance(event, SlideBegun | SlideMoved)]


def _as_ours(error: BaseException) -> XmagError:
    if isinstance(error, XmagError):
        return error
    return WorkerError(
        expected="a worker to do its work",
        found=f"{type(error).__name__}: {error}",
        hint="The file may be damaged, or the worker may have run out of memory. See its log.",
        causes=[error],
    )
