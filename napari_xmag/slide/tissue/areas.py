"""Connected areas of pixels: small ones out, narrow ones out, edges off."""

import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def without_small(pixels: Mask, least: float) -> Mask:
    """Remove connected areas of fewer than ``least`` pixels, bool (H, W)."""
    from scipy.ndimage import label

    labels, number = label(pixels)
    if not number:
        return pixels
    keep = np.bincount(labels.ravel()) >= max(1, math.ceil(least))
    keep[0] = False
    return np.asarray(keep[labels])


def shrunk(pixels: Mask, radius: int) -> Mask:
    """Take ``radius`` pixels off every edge; the picture's own border is none."""
    from scipy.ndimage import minimum_filter

    return np.asarray(minimum_filter(pixels, 2 * radius + 1, mode="nearest"))


def grown(pixels: Mask, radius: int) -> Mask:
    """Add ``radius`` pixels to every edge."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(pixels, 2 * radius + 1, mode="nearest"))


def resized(pixels: Mask, height: int, width: int) -> Mask:
    """Return the nearest pixels for another size of the same picture."""
    rows = ((np.arange(height) + 0.5) * pixels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * pixels.shape[1] / width).astype(int)
    return pixels[np.ix_(rows, columns)]
