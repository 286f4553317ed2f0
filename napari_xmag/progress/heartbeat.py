"""Long steps that still answer: work runs beside a generator that yields while it waits."""

import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from napari_xmag.progress.events import Progress, Stage

S = TypeVar("S")
T = TypeVar("T")

Steps = Generator[int, None, T]
"""Work in steps of less than a second; each yields how much more is done."""

BEAT_SECONDS = 0.25
"""Longest time between two signs of life of a long step."""
_EARLY = 2.0
"""Seconds before the time that many items take is extrapolated."""


class ProgressMeter:
    """Rate and time left of one stage, measured from when it was made.

    Parameters
    ----------
    stage
        What is done.
    total
        All that is to be done.
    unit
        What is counted, in the plural ("fields"); empty where the numbers mean nothing to a person.
    item
        What of the stage this is, such as a slide by its name.

    Attributes
    ----------
    epoch, epochs
        Of a training, from 1.
    """

    def __init__(self, stage: Stage, total: int = 1, unit: str = "", *, item: str = "") -> None:
        self.stage, self.total, self.unit, self.item = stage, total, unit, item
        self.done = self.epoch = self.epochs = 0
        self._before = 0
        self._begun = self._told = time.monotonic()

    def begin(self, done: int, epoch: int, epochs: int) -> None:
        """Begin an epoch, from 1; what was done before it says nothing of the rate."""
        self.done = self._before = done
        self.epoch, self.epochs, self._begun = epoch, epochs, time.monotonic()

    def add(self, count: int) -> None:
        """Count finished work."""
        self.done += count

    def event(self) -> Progress:
        """Return the state as an event."""
        self._told = time.monotonic()
        rate = (self.done - self._before) / max(self._told - self._begun, 1e-9)
        return Progress(
            self.stage,
            self.done,
            self.total,
            self.unit,
            per_second=rate,
            seconds_left=(self.total - self.done) / rate if rate else math.nan,
            item=self.item,
            epoch=self.epoch,
            epochs=self.epochs,
        )

    def is_due(self) -> bool:
        """Return whether the listener was kept waiting long enough."""
        return self.seconds_to_next() == 0

    def seconds_to_next(self) -> float:
        """Return how long the listener may still be kept waiting."""
        return max(self._told + BEAT_SECONDS - time.monotonic(), 0.0)


def step_thread() -> ThreadPoolExecutor:
    """Return the thread in which many steps in a row run; see `run_with_progress`.

    It computes with as many cores as the caller's thread: torch gives a new thread those that the
    process began with, and the sums of a training would come out in another order.
    """
    import torch

    cores = torch.get_num_threads()
    return ThreadPoolExecutor(1, "xmag-step", torch.set_num_threads, (cores,))


def run_with_progress(
    work: Callable[[], T], meter: ProgressMeter, thread: ThreadPoolExecutor | None = None
) -> Generator[Progress, None, T]:
    """Run ``work`` in a thread and yield ``meter.event()`` whenever a quarter second has passed.

    Steps shorter than that share one event. Closing the generator waits for the step that runs,
    and no other is begun.

    Parameters
    ----------
    thread
        From `step_thread`, for many steps; one of its own when None.

    Returns
    -------
    What ``work`` returned; what it raised is raised here.
    """
    with _own_unless(thread) as pool:
        future = pool.submit(work)
        try:
            while not wait([future], timeout=meter.seconds_to_next()).done:
                yield meter.event()
        finally:
            wait([future])
    if meter.is_due():
        yield meter.event()
    return future.result()


def run_steps(
    steps: Steps[T], meter: ProgressMeter, thread: ThreadPoolExecutor | None = None
) -> Generator[Progress, None, T]:
    """Walk a generator in a thread, as `run_with_progress` does with each of its steps.

    Closing this generator closes that one after the step that runs.
    """
    with _own_unless(thread) as pool, closing(steps):
        while True:
            work = partial(_next_or_result, steps)
            step = yield from run_with_progress(work, meter, pool)
            if isinstance(step, _Result):
                return step.value
            meter.add(step)


def _own_unless(
    thread: ThreadPoolExecutor | None,
) -> AbstractContextManager[ThreadPoolExecutor]:
    return step_thread() if thread is None else nullcontext(thread)


def over_items(
    stage: Stage,
    items: Sequence[S],
    work: Callable[[S], Generator[Progress, None, T]],
) -> Generator[Progress, None, list[T]]:
    """Do the work on one item after another; say which one it is, and how long all will take.

    Parameters
    ----------
    stage
        What is done with each.
    items
        All of them, or this process's share.
    work
        Its events tell how much of an item is done.

    Returns
    -------
    What ``work`` returned for each.
    """
    begun = told = time.monotonic()
    results: list[T] = []
    for number, item in enumerate(items, 1):
        with closing(work(item)) as events:
            while not isinstance(event := _next_or_result(events), _Result):
                told = time.monotonic()
                yield _placed(event, number, len(items), begun)
        results.append(event.value)
        # items that end within a moment say nothing themselves
        if number == len(items) or time.monotonic() - told > BEAT_SECONDS:
            told = time.monotonic()
            yield _placed(Progress(stage, 1, 1), number, len(items), begun)
    return results


def _placed(event: Progress, number: int, items: int, begun: float) -> Progress:
    placed = replace(event, number=number, items=items)
    passed, share = time.monotonic() - begun, placed.share or 0.0
    known = share > 0 and passed > _EARLY
    return replace(placed, seconds_left=passed * (1 - share) / share if known else math.nan)


@dataclass(frozen=True, slots=True)
class _Result(Generic[T]):
    """What a generator returned."""

    value: T


def _next_or_result(events: Generator[S, None, T]) -> S | _Result[T]:
    try:
        return next(events)
    except StopIteration as stop:
        return _Result(stop.value)


def finish(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end, unheard, and return what it returns."""
    while not isinstance(event := _next_or_result(steps), _Result):
        pass
    result: T = event.value
    return result
