"""Which examples hang together, as neighbouring patches look alike; which ones are compared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_xmag.teach.classifier import ExamplePatches
    from napari_xmag.teach.prepared import PreparedSlide

_APART_PATCHES = 3.5


def example_regions(
    examples: "ExamplePatches", slides: "Sequence[PreparedSlide]"
) -> NDArray[np.int64]:
    """Return int64 (N,): equal for examples that hang together, nearer than about four patches.

    Parameters
    ----------
    slides
        Those of the request.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    places = np.empty((len(examples), 3))
    rows = zip(examples.slides.tolist(), examples.patches.tolist(), strict=True)
    for row, (number, patch) in enumerate(rows):
        grid = slides[number].features
        # slides lie far apart
        places[row] = grid.columns[patch], grid.rows[patch], 1e6 * number
    pairs = cKDTree(places).query_pairs(_APART_PATCHES, output_type="ndarray")
    links = coo_array(
        (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(places), len(places))
    )
    found: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return found


def compared(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return indices of at most so many examples: all of a small class, evenly chosen of others.

    Few clicks beside large regions would else be left out, and their tissue never be shown.

    Parameters
    ----------
    labels
        int64 (N,), the class of each example.
    """
    groups = sorted((np.flatnonzero(labels == kind) for kind in np.unique(labels)), key=len)
    chosen: list[NDArray[np.int64]] = []
    left = most
    for number, rows in enumerate(groups):
        count = min(len(rows), max(1, left // (len(groups) - number)))
        chosen.append(rows[_evenly(len(rows), count)])
        left -= count
    return np.sort(np.concatenate(chosen))


def _evenly(count: int, chosen: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, chosen).round().astype(np.int64)
