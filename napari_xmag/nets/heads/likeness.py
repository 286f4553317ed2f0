"""How alike patches look, by their coordinates."""

import numpy as np
from numpy.typing import NDArray

_SPREAD = 0.2
_ROWS_AT_ONCE = 4096


def likeness(points: NDArray[np.float32], examples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how like all examples each point is, float32 (P,): several that are near add up.

    The sum of exp((cosine - 1) / 0.2): a kernel density of directions (of von Mises and Fisher),
    up to N for N examples of the very same direction.

    Parameters
    ----------
    points, examples
        float32 (P, K) and (N, K).
    """
    found: NDArray[np.float32] = kernel(cosines(points, examples)).sum(1)
    return found


def kernel(cosine: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each pair of a cosine adds to `likeness`."""
    found: NDArray[np.float32] = np.exp((cosine - 1) / np.float32(_SPREAD))
    return found


def cosines(points: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of each pair, float32 (P, N) from -1 to 1.

    Parameters
    ----------
    points, others
        float32 (P, K) and (N, K).
    """
    found: NDArray[np.float32] = directions(points) @ directions(others).T
    return found.clip(-1, 1)


def directions(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values (P, K) at unit length."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    found: NDArray[np.float32] = values / np.maximum(lengths, np.finfo(np.float32).tiny)
    return found


def nearest(
    points: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the distance of each point to the nearest of the others, and which one it is."""
    lengths = np.square(others).sum(1)
    distance = np.empty(len(points), np.float32)
    which = np.empty(len(points), np.int64)
    for start in range(0, len(points), _ROWS_AT_ONCE):
        part = points[start : start + _ROWS_AT_ONCE]
        rest = lengths - 2 * (part @ others.T)
        which[start : start + len(part)] = rest.argmin(1)
        least = rest.min(1) + np.square(part).sum(1)
        distance[start : start + len(part)] = np.sqrt(np.maximum(least, 0))
    return distance, which
