"""The student and the head as PyTorch runs them, on any device."""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.nets.device import DeviceBatch, encode_bag, ready_on
from napari_xmag.nets.engines.base import EngineName, HeadScores, require_head
from napari_xmag.nets.engines.card_threads import CardThreads
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student

# A lane works on one core: two lanes encode twice as many tiles as two threads on one tile do, and
# they do not stall when reading threads take a core now and then.
_MOST_LANES = 8
CARD_THREADS = 3
"""Batches that are on their way to or from a card, or computed there, at a time."""


class TorchEngine:
    """Runs the networks themselves, several batches at once: on a CPU each on its own core.

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
    name
        What it is called: "compiled" where the student was.
    """

    def __init__(
        self,
        student: Student,
        granularity: Granularity,
        batch: DeviceBatch,
        head: AttentionHead | None = None,
        name: EngineName = "torch",
    ) -> None:
        self.name = name
        self._student = ready_on(student, batch.device)
        self._head = None if head is None else ready_on(head, batch.device)
        self._granularity = granularity
        self._batch = batch
        self._threads = torch.get_num_threads()
        lanes = {"cpu": min(self._threads, _MOST_LANES), "cuda": CARD_THREADS}
        self.lanes = lanes.get(batch.device.type, 1)
        self._card = self._card_threads() if batch.device.type == "cuda" else None

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
        """Halve the batch, unless the network is compiled for it."""
        if self.name != "compiled":
            self._batch.size = max(1, self._batch.size // 2)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode tiles; see `Engine`."""
        return self._encode(pixels) if self._card is None else self._card.run(self._encode, pixels)

    def score(
        self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_], *, keep: bool = False
    ) -> HeadScores:
        """Score the patches with tissue; see `Engine`."""
        if self._card is None:
            return self._score(pixels, tissue, keep)
        return self._card.run(self._score, pixels, tissue, keep)

    def _card_threads(self) -> CardThreads:
        side = self._student.spec.tile_px
        tile = np.zeros((1, side, side, 3), np.uint8)
        return CardThreads(self._batch.device, CARD_THREADS, lambda: self._encode(tile))

    def _encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        encoded = encode_bag(self._student, pixels, self._batch, self._granularity)
        features: NDArray[np.float32] = encoded.cpu().numpy()
        return features

    def _score(
        self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_], keep: bool
    ) -> HeadScores:
        head = require_head(self._head)
        start = time.perf_counter()
        encoded = encode_bag(self._student, pixels, self._batch, self._granularity)
        # a mask would make the device wait until its members are counted
        chosen = torch.from_numpy(np.flatnonzero(tissue)).to(encoded.device)
        features = encoded.flatten(0, 1).index_select(0, chosen)
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
            features.float().cpu().numpy() if keep else None,
        )

    def open_lane(self) -> None:
        """Let the calling thread compute with its share of the cores."""
        if self._batch.device.type == "cpu":
            # Holds for this thread; torch also hands it to threads begun later, see `close`.
            torch.set_num_threads(max(1, self._threads // self.lanes))

    def close(self) -> None:
        """Give torch its threads back."""
        if self._batch.device.type == "cpu" and self.lanes > 1:
            torch.set_num_threads(self._threads)


class TorchHead:
    """The head alone, on the CPU.

    Parameters
    ----------
    head
        Left as it is.
    """

    def __init__(self, head: AttentionHead) -> None:
        self._head = ready_on(head, torch.device("cpu"))

    def patch_scores(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score patches; see `PatchHead`."""
        with torch.inference_mode():
            logit, evidence = self._head.patch_scores(torch.from_numpy(features))
        return logit.numpy(), evidence.numpy()
