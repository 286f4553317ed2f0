"""Long steps that still answer: work runs beside a generator that yields while it waits."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from napari_xmag.train.events import Progress

T = TypeVar("T")
_SECONDS = 0.25


class Pace:
    """Rate and time left of one stage, measured from when it was made."""

    def __init__(self, stage: str, total: int) -> None:
        self.stage, self.total, self.done = stage, total, 0
        self._begun = self._told = time.monotonic()

    def add(self, count: int) -> None:
        """Count finished work."""
        self.done += count

    def event(self) -> Progress:
        """Return the state as an event."""
        self._told = time.monotonic()
        rate = self.done / max(self._told - self._begun, 1e-9)
        left = (self.total - self.done) / rate if rate else float("nan")
        return Progress(self.stage, self.done, self.total, rate, left)

    def seconds_to_next(self) -> float:
        """Return how long the listener may still be kept waiting."""
        return max(self._told + _SECONDS - time.monotonic(), 0.0)


def beating(work: Callable[[], T], pace: Pace) -> Generator[Progress, None, T]:
    """Run ``work`` in a thread and yield ``pace.event()`` whenever a quarter second has passed.

    Steps shorter than that share one beat. Closing the generator waits for the step that runs,
    and no other is begun.

    Returns
    -------
    What ``work`` returned; what it raised is raised here.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="xmag-step") as pool:
        future = pool.submit(work)
        while not wait([future], timeout=pace.seconds_to_next()).done:
            yield pace.event()
    if pace.seconds_to_next() == 0:
        yield pace.event()
    return future.result()


def finish(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end, unheard, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
