"""The tiles of many slides, encoded by what is fastest on this machine."""

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.errors import ExportError, ModelError
from napari_xmag.nets.device import DeviceBatch, encode_bag
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student

if TYPE_CHECKING:
    from napari_xmag.nets.engines.lanes import EngineLanes

_log = logging.getLogger(__name__)

# With fewer tiles, converting a network takes longer than its graph then saves.
_WORTH_A_GRAPH = 600


class TileEncoder:
    """A student that encodes the slides of a cohort: as a graph on a CPU, else in PyTorch.

    Both give the same features to the sixth digit.

    Parameters
    ----------
    student
        In evaluation mode, on the device of ``batch``.
    granularity
        What the head will weigh: tiles, or their cells.
    batch
        Device, precision and batch size; by default those that suit the student's device.
    slides
        How many slides it will encode.
    """

    def __init__(
        self,
        student: Student,
        granularity: Granularity = "tiles",
        batch: DeviceBatch | None = None,
        *,
        slides: int = 1,
    ) -> None:
        self.student = student
        self.granularity = granularity
        self.batch = batch or DeviceBatch(student.scale.device)
        self._slides = slides
        self._asked = False
        self._lanes: EngineLanes | None = None

    @property
    def engine(self) -> str:
        """What encodes now: "graph" or "torch"."""
        return "torch" if self._lanes is None else self._lanes.engine.name

    def prepare(self, tiles: int) -> None:
        """Make ready for a slide of so many tiles; the first one decides on the engine."""
        if self._asked:
            return
        self._asked = True
        exact = self.batch.device.type == "cpu" and self.batch.dtype == torch.float32
        # A teacher may stand in for a student (`napari_xmag.evaluate.encoders`); it has no graph.
        if exact and isinstance(self.student, Student) and tiles * self._slides >= _WORTH_A_GRAPH:
            self._lanes = self._graph()

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode tiles, uint8 (T, S, S, 3), into float32 (T, N, D); see `encode_bag`."""
        if self._lanes is not None:
            return self._lanes.encode(pixels)
        features = encode_bag(self.student, pixels, self.batch, self.granularity)
        found: NDArray[np.float32] = features.cpu().numpy()
        return found

    def close(self) -> None:
        """Give the engine back."""
        if self._lanes is not None:
            self._lanes.close()

    def _graph(self) -> "EngineLanes | None":
        from napari_xmag.nets.engines.lanes import EngineLanes
        from napari_xmag.nets.engines.networks import LiveNetworks
        from napari_xmag.nets.engines.open import EngineSettings, open_engine

        networks = LiveNetworks(self.student, self.granularity)
        try:
            engine = open_engine(networks, EngineSettings("graph", "cpu", precision="float32"))
        except (ModelError, ExportError) as error:
            _log.info("PyTorch encodes the slides. %s", error)
            return None
        return EngineLanes(engine, patient=True)
