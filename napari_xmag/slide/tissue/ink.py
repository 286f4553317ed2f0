"""The rest of a pen's strokes, known by the colour of the part that is certain."""

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.tissue.areas import grown

Mask = NDArray[np.bool_]

# Steps of the colour's direction (two shares of the optical density) and of its strength.
_SHARES = 32
_STRENGTHS = (0.6, 1.5)
# Optical density, all colours together, below which a colour has no direction.
_PALE = 0.2
# A colour is the pen's when it is so much commoner in its strokes than elsewhere, and not rare.
_COMMONER = 20.0
_COMMON = 0.002
# Tissue is learnt at this distance from strokes, and strokes go on across gaps of twice that, in
# pixels.
_AWAY = 6
_GAP = 4


def same_ink(
    pixels: NDArray[np.uint8], colored: Mask, strokes: Mask, glass: NDArray[np.float32]
) -> Mask:
    """Follow strokes to where the same ink is streaky, or lies on tissue.

    Where a pen has a colour that the tissue has too, nothing is added.

    Parameters
    ----------
    pixels
        uint8 (H, W, 3).
    colored, strokes
        bool (H, W): what is not glass, and what is certainly a stroke.
    glass
        float (3,), colour of the glass.

    Returns
    -------
    bool (H, W), the strokes included.
    """
    from scipy.ndimage import label

    if not strokes.any():
        return strokes
    rows, columns = np.nonzero(colored)
    bins, strong = _color_bins(pixels[rows, columns], glass)
    of_tissue = ~grown(strokes, _AWAY)[rows, columns] & strong
    ink = _frequencies(bins[strokes[rows, columns] & strong])
    inky = (ink >= _COMMON) & (ink >= _COMMONER * _frequencies(bins[of_tissue]))
    alike = np.zeros_like(strokes)
    alike[rows, columns] = inky[bins] & strong
    near, _ = label(grown(alike | strokes, _GAP))
    reached = np.unique(near[strokes])
    return strokes | (alike & np.isin(near, reached[reached > 0]))


def color_overlap(
    pixels: NDArray[np.uint8], one: Mask, other: Mask, glass: NDArray[np.float32]
) -> float:
    """Return how alike the colours of two areas are: 0 when they share none, 1 when all."""
    shares = []
    for area in (one, other):
        bins, strong = _color_bins(pixels[area], glass)
        shares.append(_frequencies(bins[strong]))
    return float(np.minimum(*shares).sum())


def _color_bins(
    colors: NDArray[np.uint8], glass: NDArray[np.float32]
) -> tuple[NDArray[np.int64], Mask]:
    """Return a number for the colour of each pixel (N, 3), and whether it is strong enough."""
    steps = np.arange(1, 257, dtype=np.float32)[:, None]
    tables = np.maximum(np.log((glass + 1) / steps), 0).astype(np.float32)
    densities = np.stack([tables[:, i][colors[:, i]] for i in range(3)], axis=1)
    total = densities.sum(axis=1)
    shares = densities[:, :2] / np.maximum(total, 1e-6)[:, None]
    places = np.minimum((shares * _SHARES).astype(np.int64), _SHARES - 1)
    strength = np.digitize(total, _STRENGTHS)
    bins = (strength * _SHARES + places[:, 0]) * _SHARES + places[:, 1]
    return bins.astype(np.int64), total >= _PALE


def _frequencies(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.bincount(bins, minlength=_SHARES * _SHARES * (len(_STRENGTHS) + 1))
    return np.asarray(counts / max(1, len(bins)))
