"""Student and head as graphs in ONNX Runtime: fast on CPUs, and without torch."""

import logging
import time
from pathlib import Path
from threading import Lock, Semaphore
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xmag.cores import usable_cores
from napari_xmag.errors import ModelError
from napari_xmag.memory import out_of_memory
from napari_xmag.nets.engines.base import HeadScores, require_head
from napari_xmag.nets.engines.head_graph import HeadGraph
from napari_xmag.nets.engines.runtime import open_session, runtime_errors

_log = logging.getLogger(__name__)

INPUT, OUTPUT = "pixels", "features"
"""Names in a graph: uint8 (1, tile_px, tile_px, 3) goes in, float32 (1, N, D) comes out."""

# A graph takes one tile at a time, which is as fast as eight at once (docs/performance.md); a batch
# is only what a lane is given at once.
_BATCH = 4
_MOST_LANES = 16


class GraphEngine:
    """Runs a graph that `napari_xmag.nets.engines.convert` made.

    Parameters
    ----------
    graph
        The file.
    head
        Scores patches.
    batch_size
        Tiles that a lane is given at once; chosen when None.

    Raises
    ------
    GraphError
        When ONNX Runtime is missing or cannot run the graph.
    """

    name: Literal["graph"] = "graph"
    device: Literal["cpu"] = "cpu"
    precision: Literal["float32"] = "float32"

    def __init__(
        self, graph: Path, head: HeadGraph | None = None, batch_size: int | None = None
    ) -> None:
        cores = usable_cores()
        self.lanes = min(cores, _MOST_LANES)
        self.batch_size = batch_size or _BATCH
        self._permits = Semaphore(self.lanes)
        self._at_once = self.lanes
        self._lock = Lock()
        self._session = open_session(graph, threads=max(1, cores // self.lanes))
        self._head = head

    def take_less(self) -> None:
        """Give a lane half as many tiles at once."""
        self.batch_size = max(1, self.batch_size // 2)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode tiles; see `Engine`."""
        parts = [self._encode_tile(tile) for tile in pixels]
        return np.concatenate(parts) if parts else self._nothing()

    def score(
        self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_], *, keep: bool = False
    ) -> HeadScores:
        """Score the patches with tissue; see `Engine`."""
        head = require_head(self._head)
        start = time.perf_counter()
        features = self.encode(pixels)[tissue]
        feature_sum = features.sum(0, dtype=np.float64)
        done = time.perf_counter()
        logit, evidence = head.patch_scores(features)
        return HeadScores(
            logit,
            evidence,
            feature_sum,
            done - start,
            time.perf_counter() - done,
            features if keep else None,
        )

    def open_lane(self) -> None:
        """Need nothing: the session computes in the thread that calls it."""

    def close(self) -> None:
        """Need nothing: the process was not changed."""

    def _encode_tile(self, tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode a tile; where memory is short, again while fewer others are encoded."""
        while True:
            self._permits.acquire()
            alone, keep = self._at_once == 1, True
            try:
                features: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: tile[None]})[0]
                return features
            except runtime_errors() as error:
                if alone or not out_of_memory(error):
                    raise _not_encoded(tile, error) from error
                keep = not self._take_fewer()
            finally:
                if keep:
                    self._permits.release()

    def _take_fewer(self) -> bool:
        """Encode one tile fewer at once from now on, if there are several."""
        with self._lock:
            if self._at_once == 1:
                return False
            self._at_once -= 1
        _log.warning("Memory is short: from now on %d tiles at once", self._at_once)
        return True

    def _nothing(self) -> NDArray[np.float32]:
        _, patches, length = self._session.get_outputs()[0].shape
        return np.empty((0, patches, length), np.float32)


def _not_encoded(tile: NDArray[np.uint8], error: Exception) -> ModelError:
    return ModelError(
        expected=f"to encode a tile of {tile.shape[1]}×{tile.shape[0]} px",
        found=f"that ONNX Runtime cannot ({error})",
        hint="Close other programs if memory is short, or choose the engine torch.",
        causes=[error],
    )
