"""Hotspots: the connected places of a slide that speak most for a class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_xmag.analyze.heatmap import HeatMapView, view_values
from napari_xmag.analyze.result import SlideResult
from napari_xmag.qupath.outlines import connected, outline

STRONGEST_SHARE = 0.1
LEAST_UM2 = 25_000.0
MOST = 20
RULE = (
    f"Patches with positive evidence for the predicted class that are among the strongest "
    f"{STRONGEST_SHARE:.0%} of the slide; joined where they share a side; at least "
    f"{LEAST_UM2 / 1e6:g} mm²; the {MOST} with the most evidence. None where there is no reliable "
    "prediction, or two classes are too close to call."
)
"""Which places are hotspots, in words."""


@dataclass(frozen=True, slots=True, eq=False)
class Hotspot:
    """A connected place.

    Attributes
    ----------
    shape
        Its outline in level-0 pixels.
    patches
        int64 (k,), its patches in the result's table.
    evidence
        What they add to the class's logit together.
    """

    shape: BaseGeometry
    patches: NDArray[np.int64]
    evidence: float


def hotspots(result: SlideResult) -> list[Hotspot]:
    """Return the hotspots for the predicted class by `RULE`, the strongest first.

    There are none where the result abstains, whose map is no reason to look anywhere; where two
    classes are too close to call; and of a taught model, whose map says what each patch is.
    """
    if result.answer is None or result.uncertain or result.is_shares:
        return []
    evidence = view_values(result, HeatMapView.EVIDENCE, result.answer)
    least = np.quantile(evidence, 1 - STRONGEST_SHARE)
    chosen = np.flatnonzero((evidence > 0) & (evidence >= least))
    spots = [
        Hotspot(outline(result, part), part, float(evidence[part].sum()))
        for part in connected(result, chosen)
        if len(part) * _patch_um2(result) >= LEAST_UM2
    ]
    return sorted(spots, key=lambda spot: -spot.evidence)[:MOST]


def _patch_um2(result: SlideResult) -> float:
    return result.stride_x * result.mpp.x * result.stride_y * result.mpp.y
