"""The tissue of a slide beside the features of the patches that were planned on it."""

import logging
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.features.patch_features import PatchFeatures, Place
from napari_xmag.features.store import FeatureStore
from napari_xmag.slide.tissue import TissueChoice, TissueFindings, TissueMask

_log = logging.getLogger(__name__)

TISSUE = "tissue.npz"


@dataclass(frozen=True, slots=True, eq=False)
class KeptTissue:
    """What the patches of a slide were planned on.

    Attributes
    ----------
    mask
        The tissue that was found.
    grown
        Column and row of each patch beyond it, which a person showed.
    other
        Of each patch that is kept as well, though nobody showed it.
    """

    mask: TissueMask
    grown: frozenset[Place] = frozenset()
    other: frozenset[Place] = frozenset()


def keep_tissue(store: FeatureStore, kept: PatchFeatures, tissue: KeptTissue, least: float) -> None:
    """Keep the tissue that the patches of a slide, all of them, were planned on.

    Parameters
    ----------
    least
        The part of a patch that was to be tissue.
    """
    mask = tissue.mask
    arrays: dict[str, NDArray[Any]] = {
        "shape": np.array(mask.pixels.shape),
        "scales": np.array([mask.scale_x, mask.scale_y]),
        "method": np.array(str(mask.method)),
        "pixels": np.packbits(mask.pixels),
    }
    if mask.findings is not None:
        glass, *shares = astuple(mask.findings)
        arrays["findings"] = np.array([*glass, *shares])
    if mask.unreadable is not None:
        arrays["unreadable"] = np.packbits(mask.unreadable)
    if tissue.grown or tissue.other:
        for name in ("grown", "other"):
            cells = sorted(getattr(tissue, name))
            arrays[name] = np.array(cells, np.int64).reshape(-1, 2)
    store.keep_beside(kept, TISSUE, _rule(least), arrays)


def kept_tissue(store: FeatureStore, kept: PatchFeatures, least: float) -> KeptTissue | None:
    """Return the tissue that these patches were planned on, as `keep_tissue` got it.

    None where it is not known: other patches were kept since, or by another rule.
    """
    arrays = store.find_beside(kept, TISSUE, _rule(least))
    if arrays is None:
        return None
    try:
        grown, other = (_cells(arrays, name, kept) for name in ("grown", "other"))
        return KeptTissue(_mask(arrays), grown, other)
    except (KeyError, ValueError, TypeError) as error:
        _log.warning("The kept tissue of %s is found anew: %s", kept.names[0], error)
        return None


def with_patches(mask: TissueMask, grid: PatchFeatures, places: frozenset[Place]) -> TissueMask:
    """Return a mask with some patches added: all pixels whose middles lie in them.

    Parameters
    ----------
    places
        Column and row of each on the grid.
    """
    if not places:
        return mask
    pixels = mask.pixels.copy()
    cells = np.array(sorted(places), np.int64)
    for left, top, right, bottom in grid.corners_at(*cells.T).tolist():
        rows = slice(_middle(top, mask.scale_y), _middle(bottom, mask.scale_y))
        columns = slice(_middle(left, mask.scale_x), _middle(right, mask.scale_x))
        pixels[rows, columns] = True
    return replace(mask, pixels=pixels)


def _middle(edge: float, scale: float) -> int:
    """Return the first pixel whose middle lies beyond an edge."""
    return max(0, int(np.ceil(edge / scale - 0.5 - 1e-6)))


def _mask(arrays: dict[str, NDArray[Any]]) -> TissueMask:
    height, width = arrays["shape"].tolist()

    def unpacked(name: str) -> NDArray[np.bool_]:
        bits = np.unpackbits(arrays[name], count=height * width)
        return bits.reshape(height, width).view(np.bool_)

    scale_x, scale_y = arrays["scales"].tolist()
    findings = None
    if "findings" in arrays:
        red, green, blue, *shares = arrays["findings"].tolist()
        findings = TissueFindings((red, green, blue), *shares)
    lost = unpacked("unreadable") if "unreadable" in arrays else None
    choice = TissueChoice(str(arrays["method"]))
    return TissueMask(unpacked("pixels"), scale_x, scale_y, choice, findings, lost)


def _cells(arrays: dict[str, NDArray[Any]], name: str, kept: PatchFeatures) -> frozenset[Place]:
    cells = arrays.get(name, np.zeros((0, 2), np.int64)).astype(np.int64)
    rows = kept.where(*cells.T)
    if rows is None or (rows < 0).any():
        raise ValueError("places that are no patches")
    return frozenset((column, row) for column, row in cells.tolist())


def _rule(least: float) -> str:
    return f"at least {least!r}"
