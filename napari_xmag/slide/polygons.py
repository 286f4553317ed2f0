"""Which pixels lie in a polygon: in time that grows with its outline, not with area × corners."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TissueError

# Crossings of the outline with rows of pixels: at once, and in all.
_AT_ONCE = 2**22
_MOST = 2**28


def fill_polygon(pixels: NDArray[np.bool_], corners: NDArray[np.float64]) -> None:
    """Set the pixels whose centres lie in a polygon, by the even-odd rule.

    Each row of pixels is entered and left where the outline crosses the line through the row's
    centres: a pixel is inside when an odd number of crossings lies to its left. Only the part of
    the picture around the polygon is looked at: thousands of small ones are filled in no time.

    Parameters
    ----------
    pixels
        bool (H, W), the picture.
    corners
        Float (N, 2): x, y in pixels; pixel (0, 0) reaches from 0 to 1.

    Raises
    ------
    TissueError
        When a corner is no place, or the outline crosses rows without end.
    """
    if not np.isfinite(corners).all():
        raise _impossible("corners that are not finite numbers")
    height, width = pixels.shape
    x, y = corners[:, 0], corners[:, 1]
    ends = np.roll(x, -1), np.roll(y, -1)
    first, after = _beyond(np.minimum(y, ends[1]), height), _beyond(np.maximum(y, ends[1]), height)
    if int((after - first).sum()) > _MOST:
        raise _impossible(f"{len(corners):,} corners that go to and fro over the whole slide")
    top, bottom = int(first.min()), int(after.max())
    left, right = _beyond(np.array([x.min(), x.max()]), width).tolist()
    edges = np.flatnonzero(after > first)
    crossed = np.zeros((bottom - top, right - left + 1), np.uint8)
    for chosen in _portions(edges, (after - first)[edges]):
        counts = (after - first)[chosen]
        edge = np.repeat(chosen, counts)
        rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        slope = (ends[0][edge] - x[edge]) / (ends[1][edge] - y[edge])
        places = x[edge] + (rows + 0.5 - y[edge]) * slope
        columns = np.clip(_beyond(places, width), left, right)
        np.add.at(crossed, (rows - top, columns - left), 1)
    inside = np.bitwise_xor.accumulate(crossed[:, :-1] & 1, axis=1)
    pixels[top:bottom, left:right] |= inside.astype(bool)


def _beyond(places: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the first pixel of a row or column whose centre lies at a place or beyond it."""
    return np.clip(np.ceil(places - 0.5), 0, most).astype(np.int64)


def _portions(edges: NDArray[np.int64], counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Part edges so that those of one part cross a bounded number of rows."""
    portion = np.cumsum(counts) // _AT_ONCE
    yield from np.split(edges, np.flatnonzero(np.diff(portion)) + 1)


def _impossible(found: str) -> TissueError:
    return TissueError(
        expected="a region with a plain outline", found=found, hint="Draw the region again."
    )
