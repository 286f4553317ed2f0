"""What has been scored so far: scores and sums, never pixels."""

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.events import TilesDone

if TYPE_CHECKING:
    from napari_xmag.analyze.encoder import Scores


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPatches:
    """The scores of k patches.

    Attributes
    ----------
    indices
        int64 (k,), which patches of the grid.
    attention_logit
        float32 (k,).
    patch_evidence
        float32 (k, C).
    tiles
        int64 (k,), the tile that shows each of them.
    features
        float16 (k, D), where they were kept.
    """

    indices: NDArray[np.int64]
    attention_logit: NDArray[np.float32]
    patch_evidence: NDArray[np.float32]
    tiles: NDArray[np.int64]
    features: NDArray[np.floating] | None


@dataclass
class ScoreAccumulator:
    """The running account of one analysis.

    Parameters
    ----------
    total
        Planned tiles.
    classes
        Number of classes.
    keep_features
        Keep them, as float16, for a head that needs those of all patches.

    Attributes
    ----------
    scores
        Finished batches.
    unreadable
        Place among the tiles and reason of each tile that could not be read.
    seconds
        Wall seconds by stage.
    """

    total: int
    classes: int
    scores: "list[Scores]" = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    keep_features: bool = False
    began: float = field(default_factory=time.perf_counter)
    analyzed: int = 0
    feature_sum: NDArray[np.float64] | float = 0.0

    @property
    def done(self) -> int:
        """Tiles that are finished, the unreadable ones too."""
        return self.analyzed + len(self.unreadable)

    def add(self, scores: "Scores") -> TilesDone:
        """Take in a batch and return the event that tells of it."""
        if not self.scores:
            self.seconds["first_tiles"] = time.perf_counter() - self.began
        found = scores.of_patches
        if not self.keep_features:
            found = replace(found, features=None)
        elif found.features is not None:
            found = replace(found, features=found.features.astype(np.float16))
        self.scores.append(replace(scores, of_patches=found))
        self.analyzed += scores.tiles
        self.feature_sum = self.feature_sum + found.feature_sum
        return self._event(scores.indices, found.attention_logit, found.patch_evidence)

    def add_unreadable(self, index: int, reason: str) -> TilesDone:
        """Take in a tile that could not be read and return the event that tells of it."""
        self.unreadable.append((index, reason))
        nothing = np.empty(0, np.float32)
        evidence = np.empty((0, self.classes), np.float32)
        return self._event(np.empty(0, np.int64), nothing, evidence)

    def in_order(self, members: NDArray[np.int64]) -> "ScoredPatches":
        """Return all scores in the order of the bag, in whichever order the tiles were read.

        Parameters
        ----------
        members
            As in ``Bag.members``.
        """
        parts = [scores.of_patches for scores in self.scores]
        indices = np.concatenate([scores.indices for scores in self.scores])
        known = members[members >= 0]
        place = np.empty(len(known), np.int64)
        place[known] = np.arange(len(known))
        order = np.argsort(place[indices])
        features = [part.features for part in parts if part.features is not None]
        tile = np.repeat(np.arange(len(members)), (members >= 0).sum(1))
        return ScoredPatches(
            indices[order],
            np.concatenate([part.attention_logit for part in parts])[order],
            np.concatenate([part.patch_evidence for part in parts])[order],
            tile[place[indices[order]]],
            np.concatenate(features)[order] if features else None,
        )

    def stop(self, lanes: int) -> None:
        """Settle the seconds; ``lanes`` batches were encoded side by side."""
        wall = time.perf_counter() - self.began
        encode = sum(scores.of_patches.encode_seconds for scores in self.scores) / lanes
        head = sum(scores.of_patches.head_seconds for scores in self.scores) / lanes
        self.seconds |= {
            "read_wait": max(0.0, wall - encode - head),
            "encode": encode,
            "head": head,
        }

    def _event(
        self,
        indices: NDArray[np.int64],
        attention_logit: NDArray[np.float32],
        patch_evidence: NDArray[np.float32],
    ) -> TilesDone:
        rate = self.done / max(time.perf_counter() - self.began, 1e-9)
        return TilesDone(
            indices=indices,
            attention_logit=attention_logit,
            patch_evidence=patch_evidence,
            done=self.done,
            total=self.total,
            tiles_per_second=rate,
            seconds_left=(self.total - self.done) / rate,
            unreadable=len(self.unreadable),
        )
