"""The tissue of a slide beside the features of the patches that were planned on it."""

import logging
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.slide.tissue import TissueChoice, TissueFindings, TissueMask

_log = logging.getLogger(__name__)

TISSUE = "tissue.npz"


def keep_tissue(
    store: FeatureStore, kept: PatchFeatures, mask: TissueMask, least: float, *, grown: bool = False
) -> None:
    """Keep the tissue that the patches of a slide, all of them, were planned on.

    Parameters
    ----------
    least
        The part of a patch that was to be tissue.
    grown
        Whether there are patches beyond what was found, which a person showed.
    """
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
    store.keep_beside(kept, TISSUE, _rule(least, grown=grown), arrays)


def kept_tissue(
    store: FeatureStore, kept: PatchFeatures, least: float, *, grown: bool = False
) -> TissueMask | None:
    """Return the tissue that these patches were planned on, as `keep_tissue` got it.

    None where it is not known: other patches were kept since, or by another rule.

    Parameters
    ----------
    grown
        Take it also with what a person showed.
    """
    arrays = store.find_beside(kept, TISSUE, _rule(least, grown=False))
    if arrays is None and grown:
        arrays = store.find_beside(kept, TISSUE, _rule(least, grown=True))
    if arrays is None:
        return None
    try:
        return _mask(arrays)
    except (KeyError, ValueError, TypeError) as error:
        _log.warning("The kept tissue of %s is found anew: %s", kept.names[0], error)
        return None


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


def _rule(least: float, *, grown: bool) -> str:
    return f"at least {least!r}{', and what was shown' if grown else ''}"
