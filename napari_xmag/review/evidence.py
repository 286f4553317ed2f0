"""Which places of a slide to look at: the few patches that carry most of the evidence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.heatmap import HeatMapView, view_values
from napari_xmag.analyze.result import SlideResult

CARRIED = 0.8
"""So much of what speaks for the class lies at the places that are shown, if twenty suffice."""

MOST_PLACES = 20

MUCH = 0.2
"""When one patch alone carries more than this, it is said."""

_ROUNDING = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Foremost:
    """The places to look at.

    Attributes
    ----------
    class_name
        The class that they speak for; empty where they are those with the most attention.
    patches
        int64 (k,), indices in ``result.patches``, the foremost first.
    values
        float32 (k,), what each patch itself adds to the class's score, or its attention.
    shares
        float64 (k,), each patch's part of all that speaks for the class, 0 to 1.
    carried
        Part of it that lies at these places: on the patches and less than half a tile from them.
    words
        What must be said of how it is spread; empty where nothing stands out.
    """

    class_name: str
    patches: NDArray[np.int64]
    values: NDArray[np.float32]
    shares: NDArray[np.float64]
    carried: float
    words: str

    def __len__(self) -> int:
        return len(self.patches)


def foremost(result: SlideResult, class_name: str = "") -> Foremost:
    """Choose the places to look at.

    Patches are taken by what they add to the class's score, largest first, until `CARRIED` of all
    that speaks for the class lies at them, at most `MOST_PLACES`. Of patches less than half a tile
    apart only the first is taken, and stands for the others: ten pictures of one gland would hide
    all other evidence.

    Parameters
    ----------
    class_name
        The class; empty for attention, whatever it is for.

    Raises
    ------
    ConfigError
        When the model does not know the class.
    """
    view = HeatMapView.EVIDENCE if class_name else HeatMapView.RAW
    values = view_values(result, view, class_name)
    positive = np.where(values > 0, values, 0).astype(np.float64)
    total = float(positive.sum())
    if total <= 0:
        return _none(class_name)
    chosen, carried = _spread(result, positive / total)
    shares = positive[chosen] / total
    words = _words(float(shares.max()), class_name)
    return Foremost(class_name, chosen, values[chosen], shares, carried, words)


def _spread(result: SlideResult, shares: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    patches, mpp = result.patches, result.mpp
    apart = _ROUNDING * result.model["tile_px"] * result.model["mpp"] / 2
    left = np.argsort(-shares, kind="stable")
    left = left[shares[left] > 0]
    chosen: list[int] = []
    carried = 0.0
    while len(left) and len(chosen) < MOST_PLACES and carried < CARRIED:
        first = left[0]
        chosen.append(int(first))
        across = np.abs(patches.x[left] - patches.x[first]) * mpp.x
        down = np.abs(patches.y[left] - patches.y[first]) * mpp.y
        near = np.maximum(across, down) < apart
        carried += float(shares[left[near]].sum())
        left = left[~near]
    return np.array(chosen, np.int64), carried


def _words(most: float, class_name: str) -> str:
    if most < MUCH:
        return ""
    what = f"of the evidence for {class_name}" if class_name else "of all attention"
    return f"{100 * most:.0f} % {what} comes from a single patch."


def _none(class_name: str) -> Foremost:
    nothing = np.empty(0)
    patches, values = nothing.astype(np.int64), nothing.astype(np.float32)
    return Foremost(class_name, patches, values, nothing, 0.0, "")
