"""What examples say of a whole slide, by way of patches that look alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.geometry import OnGrid
from napari_xmag.nets.heads.likeness import cosines, kernel

_MOST_NODES = 2000
_MOST_NEIGHBOURS = 50
_LEAST_NEIGHBOURS = 5
_NEIGHBOURS_SHARE = 0.1
_ATTACHED = 10
_STAY = 0.99
_FLOOR = 1e-6
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class LikenessGraph:
    """Which patches of a slide look alike; classes spread from the examples along its edges.

    Label spreading: Zhou et al., Learning with local and global consistency, NIPS 2003. Two patches
    are joined where one is among the 50 that look most like the other; of a small slide, among a
    tenth of all. Of a large slide, 2000 patches make the graph, evenly chosen, and each other patch
    gets what reaches the one of these that looks most like it.

    Attributes
    ----------
    nodes
        float32 (M, K), coordinates of the patches that make the graph.
    factor
        float32 (M, M), lower Cholesky factor of I - 0.99 S, S being the normalized weights.
    node_of
        int64 (P,), the node that each patch looks most like.
    """

    nodes: NDArray[np.float32]
    factor: NDArray[np.float32]
    node_of: NDArray[np.int64]

    @classmethod
    def of(cls, points: NDArray[np.float32], places: OnGrid) -> "LikenessGraph | None":
        """Compare the patches of a slide; None where there is only one.

        Parameters
        ----------
        points
            float32 (P, K), their coordinates, in any order.
        places
            Where they lie.
        """
        if len(points) < 2:
            return None
        count = min(len(points), _MOST_NODES)
        in_rows = np.lexsort((places.columns, places.rows))
        chosen = in_rows[np.linspace(0, len(points) - 1, count).round().astype(np.int64)]
        nodes = points[chosen]
        node_of = np.empty(len(points), np.int64)
        for start in range(0, len(points), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            node_of[rows] = cosines(points[rows], nodes).argmax(1)
        node_of[chosen] = np.arange(count)
        return cls(nodes, _factor(nodes), node_of)

    def spread(
        self, examples: NDArray[np.float32], labels: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return how much of each class reaches each patch, float32 (P, C).

        Logarithms whose mean over the classes is zero. Each example starts at the ten nodes that
        look most like it; all examples of a class count as much as all of another.

        Parameters
        ----------
        examples
            float32 (N, K), coordinates of the examples, of this slide or of others.
        labels
            int64 (N,), the class of each.
        classes
            int64 (C,), the classes that are wanted.
        """
        from scipy.linalg import cho_solve

        cosine = cosines(examples, self.nodes)
        most = min(_ATTACHED, len(self.nodes))
        where = np.argpartition(-cosine, most - 1, axis=1)[:, :most]
        weights = kernel(np.take_along_axis(cosine, where, axis=1))
        begin = np.zeros((len(self.nodes), len(classes)), np.float32)
        for column, label in enumerate(classes.tolist()):
            mine = labels == label
            np.add.at(begin[:, column], where[mine], weights[mine] / mine.sum())
        reached = cho_solve((self.factor, True), begin, check_finite=False)
        logs = np.log(np.maximum(reached, _FLOOR * reached.max()))
        found: NDArray[np.float32] = logs - logs.mean(1, keepdims=True)
        return found[self.node_of]


def _factor(nodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the factor by which `LikenessGraph.spread` solves for all steps of the walk."""
    from scipy.linalg import cholesky

    cosine = cosines(nodes, nodes)
    np.fill_diagonal(cosine, -np.inf)
    most = min(_MOST_NEIGHBOURS, round(_NEIGHBOURS_SHARE * len(nodes)))
    most = min(max(most, _LEAST_NEIGHBOURS), len(nodes) - 1)
    joined = np.zeros(cosine.shape, bool)
    np.put_along_axis(joined, np.argpartition(-cosine, most - 1, axis=1)[:, :most], True, axis=1)
    weights = np.where(joined | joined.T, kernel(cosine), np.float32(0))
    scale = 1 / np.sqrt(weights.sum(1))
    system = -_STAY * (weights * scale[:, None] * scale)
    system[np.diag_indices(len(nodes))] += 1
    found: NDArray[np.float32] = cholesky(system.astype(np.float32), lower=True, check_finite=False)
    return found
