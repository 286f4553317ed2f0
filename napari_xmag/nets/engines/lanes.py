"""Several batches at once: the threads in which an engine runs."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xmag.nets.engines.base import Engine

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

# A batch that takes longer than this delays Cancel.
_LONGEST_BATCH_SECONDS = 0.4
_CLOSING_SECONDS = 0.9


class EngineLanes:
    """Runs an engine on batches of tiles in the background, as many at once as it has lanes.

    Parameters
    ----------
    engine
        Is closed with the lanes.
    patient
        Leave the batch size as it is, however long a batch takes.
    """

    def __init__(self, engine: Engine, *, patient: bool = False) -> None:
        self.engine = engine
        self._patient = patient
        self._lane = threading.local()
        self._pool = ThreadPoolExecutor(
            engine.lanes, "xmag-encode", initializer=self.engine.open_lane
        )
        self._running: set[Future[Any]] = set()

    def submit(
        self, work: Callable[[NDArray[np.uint8]], _Answer], pixels: NDArray[np.uint8]
    ) -> Future[_Answer]:
        """Start on a batch, uint8 (T, S, S, 3); errors come out of the future.

        Parameters
        ----------
        work
            What the lane does with the pixels, by the engine.
        """
        future = self._pool.submit(self._run, work, pixels)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode tiles in all lanes and wait for them; see `Engine.encode`."""
        parts = np.array_split(pixels, max(1, min(self.engine.lanes, len(pixels))))
        futures = [self.submit(self.engine.encode, part) for part in parts]
        return np.concatenate([future.result() for future in futures])

    def close(self) -> None:
        """Drop what waits, and give what runs a moment to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait(set(self._running), timeout=_CLOSING_SECONDS)
        self.engine.close()

    def _run(
        self, work: Callable[[NDArray[np.uint8]], _Answer], pixels: NDArray[np.uint8]
    ) -> _Answer:
        start = time.perf_counter()
        answer = work(pixels)
        self._hasten(len(pixels), time.perf_counter() - start)
        return answer

    def _hasten(self, tiles: int, seconds: float) -> None:
        # a lane's first batch is always slow: the network warms up
        warm, self._lane.warm = getattr(self._lane, "warm", False), True
        too_long = warm and seconds > _LONGEST_BATCH_SECONDS
        # another lane may have halved it already
        if too_long and not self._patient and tiles == self.engine.batch_size > 1:
            self.engine.take_less()
            _log.info(
                "A batch took %.1f s: encoding %d tiles at once", seconds, self.engine.batch_size
            )
