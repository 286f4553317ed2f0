"""Tiles in, scores out: the model on its device, in as many lanes as serve."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.nets.device import DeviceBatch, encode_bag, pick_device, ready_on
from napari_xmag.nets.model import SlideModel
from napari_xmag.slide.tiles import Tile

_log = logging.getLogger(__name__)

# A lane works on one core: two lanes encode twice as many tiles as two threads on one tile do, and
# they do not stall when reading threads take a core now and then.
_MOST_LANES = 8
# A batch that takes longer than this delays Cancel.
_LONGEST_BATCH_SECONDS = 0.4
_CLOSING_SECONDS = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What became of one batch.

    Attributes
    ----------
    tiles
        How many tiles it held.
    indices
        int64 (k,), patches on the grid that the head attends over.
    attention_logit
        float32 (k,).
    tile_evidence
        float32 (k, C).
    feature_sum
        float64 (D,), sum of the features.
    encode_seconds, head_seconds
        Time in the lane.
    """

    tiles: int
    indices: NDArray[np.int64]
    attention_logit: NDArray[np.float32]
    patch_evidence: NDArray[np.float32]
    feature_sum: NDArray[np.float64]
    encode_seconds: float
    head_seconds: float


class EncoderLanes:
    """Runs student and head on batches of tiles in the background.

    On a CPU several batches are encoded at once, each on its own core; on a GPU one.

    Parameters
    ----------
    model
        Stays as it is: what runs is a copy, unless the model is ready on the device.
    settings
        Device, batch size and precision.

    Attributes
    ----------
    device
        Where the model runs.
    lanes
        Batches encoded at once.

    Raises
    ------
    ConfigError
        When there is no such device.
    """

    def __init__(self, model: SlideModel, settings: AnalyzeSettings) -> None:
        self.device = pick_device(settings.device)
        self._student = ready_on(model.student, self.device)
        self._head = ready_on(model.head, self.device)
        self._granularity = model.info.granularity
        self._batch = self._first_batch(settings)
        self._patient = settings.batch_size is not None
        self._threads = torch.get_num_threads()
        self.lanes = min(self._threads, _MOST_LANES) if self.device.type == "cpu" else 1
        self._lane = threading.local()
        self._pool = ThreadPoolExecutor(self.lanes, "xmag-encode", initializer=self._open_lane)
        self._running: set[Future[Scores]] = set()

    @property
    def batch_size(self) -> int:
        """Tiles for the next batch; shrinks when memory is short or a batch takes long."""
        return self._batch.size

    @property
    def precision(self) -> str:
        """Number type of the student's arithmetic."""
        return str(self._batch.dtype).removeprefix("torch.")

    def submit(self, tiles: Sequence[Tile], members: NDArray[np.int64]) -> Future[Scores]:
        """Start on tiles that were read; errors of the model come out of the future.

        Parameters
        ----------
        members
            int64 (k, N), the places of each tile as in ``Bag.members``.
        """
        pixels = np.stack([tile.pixels for tile in tiles if tile.pixels is not None])
        future = self._pool.submit(self._score, members, pixels)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def close(self) -> None:
        """Drop what waits, and give what runs a moment to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait(set(self._running), timeout=_CLOSING_SECONDS)
        if self.lanes > 1:
            torch.set_num_threads(self._threads)

    def _first_batch(self, settings: AnalyzeSettings) -> DeviceBatch:
        if settings.batch_size is not None:
            return DeviceBatch(self.device, settings.batch_size, settings.precision)
        return DeviceBatch.find(self._student, self.device, settings.precision)

    def _open_lane(self) -> None:
        if self.device.type == "cpu":
            # Holds for this thread; torch also hands it to threads begun later, see `close`.
            torch.set_num_threads(max(1, self._threads // self.lanes))

    def _score(self, members: NDArray[np.int64], pixels: NDArray[np.uint8]) -> Scores:
        start = time.perf_counter()
        encoded_tiles = encode_bag(self._student, pixels, self._batch, self._granularity)
        # glass is left out here: nothing may be attended that is no tissue
        tissue = members >= 0
        features = encoded_tiles[torch.from_numpy(tissue).to(encoded_tiles.device)]
        feature_sum = features.sum(0, dtype=torch.float64).cpu().numpy()
        encoded = time.perf_counter()
        with torch.inference_mode():
            logit, evidence = self._head.patch_scores(features)
        scores = Scores(
            len(pixels),
            members[tissue],
            logit.float().cpu().numpy(),
            evidence.float().cpu().numpy(),
            feature_sum,
            encoded - start,
            time.perf_counter() - encoded,
        )
        self._hasten(len(pixels), encoded - start)
        return scores

    def _hasten(self, tiles: int, seconds: float) -> None:
        # a lane's first batch is always slow: the network warms up
        warm, self._lane.warm = getattr(self._lane, "warm", False), True
        too_long = warm and seconds > _LONGEST_BATCH_SECONDS
        # another lane may have halved it already
        if too_long and not self._patient and tiles == self._batch.size > 1:
            self._batch.size //= 2
            _log.info("A batch took %.1f s: encoding %d tiles at once", seconds, self._batch.size)
