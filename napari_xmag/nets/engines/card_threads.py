"""The threads that compute on one card."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Answer = TypeVar("_Answer")


class CardThreads:
    """Threads that compute on one card, each in a CUDA stream of its own.

    The tiles of one thread are copied while those of another are encoded. They live as long as
    their engine: cuDNN plans every convolution anew for each thread, which takes seconds.

    Parameters
    ----------
    device
        The card.
    count
        How many threads.
    warm_up
        Called by each thread, all at the same time, before anything else is.
    """

    def __init__(self, device: torch.device, count: int, warm_up: Callable[[], object]) -> None:
        self._device = device
        self._pool = ThreadPoolExecutor(count, "xmag-card", initializer=self._open_stream)
        together = threading.Barrier(count)

        def first() -> None:
            together.wait()  # else one thread would take the turn of another
            warm_up()

        for future in [self._pool.submit(first) for _ in range(count)]:
            future.result()

    def run(self, work: Callable[..., _Answer], *arguments: object) -> _Answer:
        """Let one of the threads work, and wait for it."""
        return self._pool.submit(work, *arguments).result()

    def _open_stream(self) -> None:
        if self._device.type == "cuda":
            stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            # the weights must have arrived
            stream.wait_stream(torch.cuda.default_stream(self._device))
            torch.cuda.set_stream(stream)
