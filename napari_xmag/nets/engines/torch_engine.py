"""The student and the head as PyTorch runs them, on any device."""

import time
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.nets.abmil import AttentionHead
from napari_xmag.nets.device import DeviceBatch, encode_bag, ready_on
from napari_xmag.nets.engines.base import HeadScores, require_head
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student

# A lane works on one core: two lanes encode twice as many tiles as two threads on one tile do, and
# they do not stall when reading threads take a core now and then.
_MOST_LANES = 8


class TorchEngine:
    """Runs the networks themselves; on a CPU several batches at once, each on its own core.

    Parameters
    ----------
    student
        Stays as it is: what runs is a copy, unless it is ready on the device.
    granularity
        What is taken of a tile: its embedding, or its cells.
    batch
        Device, precision and batch size.
    head
        Scores patches; left as it is, like the student.
    """

    name: Literal["torch"] = "torch"

    def __init__(
        self,
        student: Student,
        granularity: Granularity,
        batch: DeviceBatch,
        head: AttentionHead | None = None,
    ) -> None:
        self._student = ready_on(student, batch.device)
        self._head = None if head is None else ready_on(head, batch.device)
        self._granularity = granularity
        self._batch = batch
        self._threads = torch.get_num_threads()
        self.lanes = min(self._threads, _MOST_LANES) if batch.device.type == "cpu" else 1

    @property
    def device(self) -> str:
        """Where the networks run."""
        return str(self._batch.device)

    @property
    def precision(self) -> str:
        """Number type of the student's arithmetic."""
        return str(self._batch.dtype).removeprefix("torch.")

    @property
    def batch_size(self) -> int:
        """Tiles for the next batch."""
        return self._batch.size

    def take_less(self) -> None:
        """Halve the batch."""
        self._batch.size = max(1, self._batch.size // 2)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode tiles; see `Engine`."""
        encoded = encode_bag(self._student, pixels, self._batch, self._granularity)
        features: NDArray[np.float32] = encoded.cpu().numpy()
        return features

    def score(self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_]) -> HeadScores:
        """Score the patches with tissue; see `Engine`."""
        head = require_head(self._head)
        start = time.perf_counter()
        encoded = encode_bag(self._student, pixels, self._batch, self._granularity)
        features = encoded[torch.from_numpy(tissue).to(encoded.device)]
        feature_sum = features.sum(0, dtype=torch.float64).cpu().numpy()
        done = time.perf_counter()
        with torch.inference_mode():
            logit, evidence = head.patch_scores(features)
        return HeadScores(
            logit.float().cpu().numpy(),
            evidence.float().cpu().numpy(),
            feature_sum,
            done - start,
            time.perf_counter() - done,
        )

    def open_lane(self) -> None:
        """Let the calling thread compute with its share of the cores."""
        if self._batch.device.type == "cpu":
            # Holds for this thread; torch also hands it to threads begun later, see `close`.
            torch.set_num_threads(max(1, self._threads // self.lanes))

    def close(self) -> None:
        """Give torch its threads back."""
        if self.lanes > 1:
            torch.set_num_threads(self._threads)
