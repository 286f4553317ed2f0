"""Long steps that still answer: work runs beside a generator that yields while it waits."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from napari_xmag.train.events import Progress

T = TypeVar("T")


def beating(
    work: Callable[[], T], event: Callable[[], Progress], seconds: float = 0.25
) -> Generator[Progress, None, T]:
    """Run ``work`` in a thread and yield ``event()`` every ``seconds`` until it is done.

    Closing the generator waits for the step that runs, and no other is begun.

    Returns
    -------
    What ``work`` returned; what it raised is raised here.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="xmag-step") as pool:
        future = pool.submit(work)
        while not wait([future], timeout=seconds).done:
            yield event()
        return future.result()


class Pace:
    """Rate and time left of one stage, measured from when it was made."""

    def __init__(self, stage: str, total: int) -> None:
        self.stage, self.total, self.done = stage, total, 0
        self._begun = time.monotonic()

    def add(self, count: int) -> None:
        """Count finished work."""
        self.done += count

    def event(self) -> Progress:
        """Return the state as an event."""
        rate = self.done / max(time.monotonic() - self._begun, 1e-9)
        left = (self.total - self.done) / rate if rate else float("nan")
        return Progress(self.stage, self.done, self.total, rate, left)
