"""Long steps that still answer: work runs beside a generator that yields while it waits."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import TypeVar

from napari_xmag.progress.events import Progress

T = TypeVar("T")
_SECONDS = 0.25


class ProgressMeter:
    """Rate and time left of one stage, measured from when it was made.

    Parameters
    ----------
    stage
        Its name.
    total
        All that is to be done.
    unit
        What is counted, in the plural ("fields").
    done
        What was done before, for a stage that goes on.
    """

    def __init__(self, stage: str, total: int, unit: str = "", done: int = 0) -> None:
        self.stage, self.total, self.unit, self.done = stage, total, unit, done
        self._before = done
        self._begun = self._told = time.monotonic()

    def add(self, count: int) -> None:
        """Count finished work."""
        self.done += count

    def event(self) -> Progress:
        """Return the state as an event."""
        self._told = time.monotonic()
        rate = (self.done - self._before) / max(self._told - self._begun, 1e-9)
        left = (self.total - self.done) / rate if rate else float("nan")
        return Progress(self.stage, self.done, self.total, rate, left, self.unit)

    def seconds_to_next(self) -> float:
        """Return how long the listener may still be kept waiting."""
        return max(self._told + _SECONDS - time.monotonic(), 0.0)


def one_thread() -> ThreadPoolExecutor:
    """Return the thread in which many steps in a row run; see `beating`.

    It computes with as many cores as the caller's thread: torch gives a new thread those that the
    process began with, and the sums of a training would come out in another order.
    """
    import torch

    cores = torch.get_num_threads()
    return ThreadPoolExecutor(1, "xmag-step", torch.set_num_threads, (cores,))


def run_with_progress(
    work: Callable[[], T], meter: ProgressMeter, thread: ThreadPoolExecutor | None = None
) -> Generator[Progress, None, T]:
    """Run ``work`` in a thread and yield ``pace.event()`` whenever a quarter second has passed.

    Steps shorter than that share one beat. Closing the generator waits for the step that runs,
    and no other is begun.

    Parameters
    ----------
    thread
        From `one_thread`, for many steps; one of its own when None.

    Returns
    -------
    What ``work`` returned; what it raised is raised here.
    """
    with one_thread() if thread is None else nullcontext(thread) as pool:
        future = pool.submit(work)
        try:
            while not wait([future], timeout=meter.seconds_to_next()).done:
                yield meter.event()
        finally:
            wait([future])
    if meter.seconds_to_next() == 0:
        yield meter.event()
    return future.result()


def finish(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end, unheard, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
