"""Which pixels lie in a polygon: in time that grows with its outline, not with area × corners."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TissueError

# Crossings of the outline with rows of pixels: at once, and in all.
_AT_ONCE = 2**22
_MOST = 2**28


def pixels_in_polygon(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in a polygon, by the even-odd rule.

    Each row of pixels is entered and left where the outline crosses the line through the row's
    centres: a pixel is inside when an odd number of crossings lies to its left.

    Parameters
    ----------
    corners
        Float (N, 2): x, y in pixels; pixel (0, 0) reaches from 0 to 1.
    height, width
        Of the picture.

    Returns
    -------
    bool (height, width).

    Raises
    ------
    TissueError
        When a corner is no place, or the outline crosses rows without end.
    """
    if not np.isfinite(corners).all():
        raise _impossible("corners that are not finite numbers")
    x, y = corners[:, 0], corners[:, 1]
    ends = np.roll(x, -1), np.roll(y, -1)
    first = np.clip(np.ceil(np.minimum(y, ends[1]) - 0.5), 0, height).astype(np.int64)
    after = np.clip(np.ceil(np.maximum(y, ends[1]) - 0.5), 0, height).astype(np.int64)
    if int((after - first).sum()) > _MOST:
        raise _impossible(f"{len(corners):,} corners that go to and fro over the whole slide")
    edges = np.flatnonzero(after > first)
    crossed = np.zeros((height, width + 1), np.uint8)
    for chosen in _portions(edges, (after - first)[edges]):
        counts = (after - first)[chosen]
        edge = np.repeat(chosen, counts)
        rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        slope = (ends[0][edge] - x[edge]) / (ends[1][edge] - y[edge])
        places = x[edge] + (rows + 0.5 - y[edge]) * slope
        columns = np.clip(np.ceil(places - 0.5), 0, width).astype(np.int64)
        np.add.at(crossed, (rows, columns), 1)
    return np.asarray(np.bitwise_xor.accumulate(crossed[:, :width] & 1, axis=1), bool)


def _portions(edges: NDArray[np.int64], counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Part edges so that those of one part cross a bounded number of rows."""
    portion = np.cumsum(counts) // _AT_ONCE
    yield from np.split(edges, np.flatnonzero(np.diff(portion)) + 1)


def _impossible(found: str) -> TissueError:
    return TissueError(
        expected="a region with a plain outline", found=found, hint="Draw the region again."
    )
