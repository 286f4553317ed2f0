"""Which examples hang together: neighbouring patches look alike, and say little more than one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_xmag.teach.classifier import ExamplePatches
    from napari_xmag.teach.prepared import PreparedSlide

_APART_PATCHES = 3.5


def regions_of(examples: "ExamplePatches", slides: "Sequence[PreparedSlide]") -> NDArray[np.int64]:
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
