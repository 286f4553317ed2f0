"""What an engine is: a student, and where one is given a head, ready to run. Needs no torch."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ModelError

_Head = TypeVar("_Head")

EngineName = Literal["torch", "graph", "compiled"]
"""PyTorch, on any device; the network as a graph that is optimized for the CPU; or PyTorch with the
network compiled for its device, which takes long and pays for large networks and many slides."""

EngineChoice = Literal["auto", EngineName]
"""Which engine to take; auto: the faster one where both give the same answer."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadScores:
    """What a head says of the k patches with tissue of some tiles.

    Attributes
    ----------
    attention_logit
        float32 (k,).
    patch_evidence
        float32 (k, C).
    feature_sum
        float64 (D,), sum of the patches' features.
    encode_seconds, head_seconds
        How long the student and the head took.
    features
        float32 (k, D), where they were asked for.
    """

    attention_logit: NDArray[np.float32]
    patch_evidence: NDArray[np.float32]
    feature_sum: NDArray[np.float64]
    encode_seconds: float
    head_seconds: float
    features: NDArray[np.float32] | None = None


class PatchHead(Protocol):
    """Scores patches by their features, each for itself."""

    def patch_scores(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return attention logits (k,) and evidence (k, C) of float32 (k, D)."""


class Engine(Protocol):
    """Runs a student, and a head where it has one, on tiles; safe for as many threads as lanes."""

    @property
    def name(self) -> EngineName:
        """Which engine it is."""

    @property
    def device(self) -> str:
        """Where it computes, as torch names it."""

    @property
    def precision(self) -> str:
        """Number type of the student's arithmetic."""

    @property
    def lanes(self) -> int:
        """How many batches it encodes at once."""

    @property
    def batch_size(self) -> int:
        """Tiles that one batch should hold; shrinks when memory is short or time is long."""

    def take_less(self) -> None:
        """Halve the batch, because one took too long."""

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode tiles, uint8 (T, tile_px, tile_px, 3).

        Returns
        -------
        float32 (T, N, D): for each tile its embedding (N is 1), or its cells row by row.

        Raises
        ------
        ModelError
            When memory does not suffice for a single tile.
        """

    def score(
        self, pixels: NDArray[np.uint8], tissue: NDArray[np.bool_], *, keep: bool = False
    ) -> HeadScores:
        """Encode tiles and let the head score those of their patches that hold tissue.

        Parameters
        ----------
        tissue
            bool (T, N); what it leaves out is neither scored nor summed.
        keep
            Give the features, too.

        Raises
        ------
        ModelError
            When memory does not suffice for a single tile, or the engine has no head.
        """

    def open_lane(self) -> None:
        """Make the calling thread a lane: it computes with its share of the cores."""

    def close(self) -> None:
        """Give back what was taken from the process."""


def require_head(head: _Head | None) -> _Head:
    """Return the head of an engine.

    Raises
    ------
    ModelError
        When it has none.
    """
    if head is None:
        raise ModelError(
            expected="an engine with a head, to score patches",
            found="one that only encodes",
            hint="Open it with a slide model.",
        )
    return head
