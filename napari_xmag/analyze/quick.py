"""When a quick analysis has seen enough: the rule, and how it is said."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag.nets.decision import CLOSE_ODDS, EVEN
from napari_xmag.nets.heads.pooling import pool_scores
from napari_xmag.nets.info import ModelInfo

if TYPE_CHECKING:
    from napari_xmag.analyze.accumulator import ScoreAccumulator

LEAST_TILES = 32
"""So few tiles tell nothing of how much tiles differ."""

STANDARD_ERRORS = 4.0
"""The answer must lie so far from changing."""


@dataclass(frozen=True, slots=True)
class Margin:
    """How far an answer lies from another one.

    Attributes
    ----------
    distance
        In logits, from the nearest place where it changes: between two classes, or between a
        class and "too close to call" (see `uncertain_band`).
    error
        Standard error of the distance, from the tiles that were seen.
    """

    distance: float
    error: float


def has_settled(
    info: ModelInfo, accumulator: "ScoreAccumulator", members: NDArray[np.int64]
) -> bool:
    """Return whether what was scored so far suffices.

    Parameters
    ----------
    members
        As in ``Bag.members``, of all tiles that are planned.
    """
    if accumulator.analyzed < LEAST_TILES:
        return False
    found = accumulator.in_order(members)
    margin = answer_margin(
        info, found.attention_logit, found.patch_evidence, found.tiles, len(members)
    )
    return margin.distance > STANDARD_ERRORS * margin.error


def answer_margin(
    info: ModelInfo,
    attention_logit: NDArray[np.float32],
    patch_evidence: NDArray[np.float32],
    tiles: NDArray[np.int64],
    planned: int,
) -> Margin:
    """Return how far the answer of some tiles lies from another one, and how sure that is.

    The distance is a mean of the patches, weighted by their attention; its error is that of a
    ratio estimated from a sample of clusters, the tiles, drawn without replacement (Cochran 1977,
    Sampling Techniques, chapters 6 and 9).

    Parameters
    ----------
    attention_logit, patch_evidence
        float32 (k,) and (k, C), of all patches so far.
    tiles
        int64 (k,), the tile of each patch.
    planned
        Tiles of the whole slide.
    """
    attention, _, logits = pool_scores(attention_logit, patch_evidence)
    second, first = (0, 1) if len(logits) == 2 else np.argsort(logits)[-2:]
    between = patch_evidence[:, first].astype(np.float64) - patch_evidence[:, second]
    weights = attention.astype(np.float64)
    mean = float(weights @ between)
    parts = np.bincount(tiles, weights * (between - mean))
    seen = len(np.unique(tiles))
    sampled = (1 - seen / planned) * seen / max(seen - 1, 1)
    error = float(np.sqrt(np.square(parts).sum() * sampled))
    scale, threshold = info.temperature, info.threshold if len(logits) == 2 else EVEN
    from_threshold = mean - scale * np.log(threshold / (1 - threshold))
    distance = abs(abs(from_threshold) - scale * np.log(CLOSE_ODDS))
    return Margin(float(distance), error)
