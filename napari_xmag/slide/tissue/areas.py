"""Connected areas of pixels: small ones out, narrow ones out, edges off."""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_Value = TypeVar("_Value", bound=np.generic)

COARSE = 2
"""The coarse grid has every other pixel of the overview, about 16 µm apart."""

# Pixels that are counted at once.
_AT_ONCE = 2**20


def without_small(pixels: Mask, least: float) -> Mask:
    """Remove connected areas of fewer than ``least`` pixels, bool (H, W)."""
    from scipy.ndimage import label

    labels, number = label(pixels)
    if not number:
        return pixels
    keep = _sizes(labels, number) >= max(1, math.ceil(least))
    keep[0] = False
    return np.asarray(keep[labels])


def lines(pixels: Mask, radius: int, least: float) -> Mask:
    """Return the areas of ``least`` pixels and more that are nowhere wider than twice ``radius``.

    They are long, then.
    """
    from scipy.ndimage import label

    labels, number = label(pixels, np.ones((3, 3)))
    narrow = _sizes(labels, number) >= least
    narrow[np.unique(labels[shrunk(pixels, radius)])] = False
    narrow[0] = False
    return np.asarray(narrow[labels])


def labelled_areas(pixels: Mask, least: float) -> Iterator[tuple[slice, slice, Mask]]:
    """Yield connected areas of ``least`` pixels and more, the largest first.

    Each comes as its rows and columns in the picture, and a mask of them.
    """
    from scipy.ndimage import find_objects, label

    labels, number = label(pixels, np.ones((3, 3)))
    sizes = _sizes(labels, number)[1:]
    large = np.flatnonzero(sizes >= max(1.0, least))
    places = find_objects(labels)
    for index in large[np.argsort(-sizes[large], kind="stable")]:
        rows, columns = places[index]
        yield rows, columns, labels[rows, columns] == index + 1


def mostly(pixels: Mask, part: Mask) -> Mask:
    """Return the connected areas of ``pixels`` of which ``part`` covers more than half."""
    from scipy.ndimage import label

    labels, number = label(pixels)
    covered = _sizes(np.where(part, labels, 0), number)
    chosen = 2 * covered > _sizes(labels, number)
    chosen[0] = False
    return np.asarray(chosen[labels])


def _sizes(labels: NDArray[np.int32], number: int) -> NDArray[np.int64]:
    """Return how many pixels each label has; row by row, as counting copies to 64 bits."""
    sizes = np.zeros(number + 1, np.int64)
    for rows in np.array_split(labels, -(-labels.size // _AT_ONCE)):
        sizes += np.bincount(rows.ravel(), minlength=number + 1)
    return sizes


def shrunk(pixels: Mask, radius: int) -> Mask:
    """Take ``radius`` pixels off every edge; the picture's own border is none."""
    return within_reach(pixels, radius, np.minimum)


def grown(pixels: Mask, radius: int) -> Mask:
    """Add ``radius`` pixels to every edge."""
    return within_reach(pixels, radius, np.maximum)


def within_reach(values: NDArray[_Value], radius: int, pick: np.ufunc) -> NDArray[_Value]:
    """Return what is picked of the values up to ``radius`` pixels across and down from each.

    Shifting whole pictures is several times faster than SciPy's filters, for small radii.

    Parameters
    ----------
    values
        (H, W).
    pick
        ``np.maximum`` or ``np.minimum``.
    """
    for axis in (0, 1):
        picked = values.copy()
        for step in range(1, radius + 1):
            for here, there in ((np.s_[step:], np.s_[:-step]), (np.s_[:-step], np.s_[step:])):
                near, far = (here, there) if axis == 0 else (np.s_[:, here], np.s_[:, there])
                pick(picked[near], values[far], out=picked[near])
        values = picked
    return values


def coarse(plane: NDArray[_Value]) -> NDArray[_Value]:
    """Return every other pixel across and down."""
    return np.ascontiguousarray(plane[::COARSE, ::COARSE])


def fine(pixels: Mask, height: int, width: int) -> Mask:
    """Return what `coarse` was made of, as far as it can be known."""
    return pixels.repeat(COARSE, axis=0).repeat(COARSE, axis=1)[:height, :width]


def resized(pixels: Mask, height: int, width: int) -> Mask:
    """Return the nearest pixels for another size of the same picture."""
    rows = ((np.arange(height) + 0.5) * pixels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * pixels.shape[1] / width).astype(int)
    return pixels[np.ix_(rows, columns)]
