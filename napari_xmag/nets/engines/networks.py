"""Networks in memory, for an engine to run."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_xmag.errors import GraphError
from napari_xmag.nets.encoder_fingerprint import encoder_fingerprint
from napari_xmag.nets.engines.convert import require_same
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.model import SlideModel
from napari_xmag.nets.student import Student

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LiveNetworks:
    """A student and perhaps a head as they are in memory now; see `Networks`."""

    own_student: Student
    granularity: Granularity
    own_head: AttentionHead | None = None

    @classmethod
    def of_model(cls, model: SlideModel) -> "LiveNetworks":
        """Take the networks of a slide model."""
        return cls(model.student, model.info.granularity, model.head)

    @property
    def engines(self) -> None:
        """Nothing is kept: the networks may learn on."""
        return None

    def fingerprint(self) -> str:
        """Return a hash of weights, specification and make of the student."""
        student = self.own_student
        make = type(student.backbone)
        # two networks may have the same weights and do other things with them
        parts = (
            encoder_fingerprint(student),
            make.__module__,
            make.__qualname__,
            sorted(student.model_args.items()),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def student(self) -> Student:
        """Return the student."""
        return self.own_student

    @property
    def classifier(self) -> None:
        """Nothing: the head is a network."""
        return None

    def head(self) -> AttentionHead | None:
        """Return the head."""
        return self.own_head

    def agree_with(self, graph: Path) -> bool:
        """Compare on a tile: the fingerprint does not know the code of a class of one's own."""
        try:
            require_same(self.own_student, self.granularity, graph)
        except GraphError as error:
            _log.info("The graph that was kept is another network's. %s", error)
            return False
        return True

    def head_arrays(self) -> dict[str, NDArray[Any]] | None:
        """Return the head's tensors by name."""
        if self.own_head is None:
            return None
        state = self.own_head.state_dict()
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in state.items()}
