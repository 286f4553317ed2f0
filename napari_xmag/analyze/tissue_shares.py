"""The answer of a patch classifier for a slide: which part of the tissue each class is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.nets.heads.patch_classifier import PatchClassifier
from napari_xmag.slide.tiles import TileGrid
from napari_xmag.slide.tissue import TissueMask

_LEAST_TISSUE = 1e-3
"""A patch where the file is damaged counts as tissue, though nobody knows how much of it is."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueShares:
    """What the k patches of a slide are, and what that makes of its tissue.

    Attributes
    ----------
    weight_logit
        float32 (k,): their softmax is the part of the tissue that lies in each patch.
    evidence
        float32 (k, C + 1): probability of each class, the last one "not taught".
    shares
        float64 (C + 1,): part of the tissue whose likeliest class is this; they sum to 1.
    """

    weight_logit: NDArray[np.float32]
    evidence: NDArray[np.float32]
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    shape: tuple[int, int]


def tissue_shares(
    classifier: PatchClassifier,
    grid: TileGrid,
    mask: TissueMask,
    indices: NDArray[np.int64],
    features: NDArray[np.float16],
) -> TissueShares:
    """Classify the patches of a slide with their neighbours.

    Parameters
    ----------
    indices
        int64 (k,), which patches of the grid.
    features
        float16 (k, D), rounded as they are kept: the same map, whether they were kept or not.
    """
    places = _Places(grid.columns[indices], grid.rows[indices], grid.shape)
    evidence = classifier.classify(features, places).evidence
    tissue = mask.fractions([grid.boxes[index] for index in indices])
    weights = np.maximum(tissue, _LEAST_TISSUE)
    shares = np.bincount(evidence.argmax(1), weights, minlength=evidence.shape[1]) / weights.sum()
    return TissueShares(np.log(weights).astype(np.float32), evidence, shares)
