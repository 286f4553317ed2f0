"""The order in which tiles are read: few of them everywhere first, then those in between."""

import numpy as np
from numpy.typing import NDArray

# The first pass takes about so many tiles, each further pass twice as many as all before it.
_FIRST = 16
# One tile in so many comes before its time when all are read: an eighth costs a tenth more reading,
# all of them half more (gigapixel SVS).
_EARLY = 8


def spread_passes(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Part tiles into passes, each of which covers all of them evenly.

    A pass takes the tiles on a square lattice, the next one those in the middles of its squares,
    and both together are a lattice again, turned by 45 degrees and twice as dense.

    Parameters
    ----------
    rows, columns
        Place of each tile on its grid, (T,).

    Returns
    -------
    Indices of tiles, int64, in reading order within each pass; each tile is in one pass.
    """
    step = 1
    while _on_lattice(rows, columns, 2 * step).sum() >= _FIRST:
        step *= 2
    left = np.ones(len(rows), bool)
    passes = []
    while step >= 1:
        wanted = [_on_lattice(rows, columns, step)]
        if step > 1:
            middle = step // 2
            wanted.append(_on_lattice(rows - middle, columns - middle, step))
        for members in wanted:
            chosen = np.flatnonzero(members & left)
            left[chosen] = False
            if len(chosen):
                passes.append(chosen)
        step //= 2
    return passes


def _on_lattice(
    rows: NDArray[np.int64], columns: NDArray[np.int64], step: int
) -> NDArray[np.bool_]:
    lattice: NDArray[np.bool_] = (rows % step == 0) & (columns % step == 0)
    return lattice


def live_order(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return all tiles in one pass: an eighth of them spread evenly first, the rest in rows.

    Neighbours share blocks of the file, so that reading in rows takes the least time; the eighth
    shows all of the slide, roughly, within seconds.
    """
    first = [np.empty(0, np.int64)]
    for tiles in spread_passes(rows, columns):
        if sum(map(len, first)) + len(tiles) > len(rows) // _EARLY:
            break
        first.append(tiles)
    early = np.concatenate(first)
    return [np.concatenate([early, np.setdiff1d(np.arange(len(rows)), early)])]
