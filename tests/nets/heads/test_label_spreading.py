"""Classes spread from examples to what looks like them, by way of what lies between."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse.csgraph import laplacian
from sklearn.neighbors import NearestNeighbors

from napari_xmag.nets.heads.label_spreading import LikenessGraph

CLASSES = np.arange(2)


def directions(degrees: NDArray[np.floating], noise: float = 0.0) -> NDArray[np.float32]:
    """Return points of different length that lie in directions of a plane."""
    draw = np.random.default_rng(3)
    angle = np.deg2rad(degrees)
    points = (
        np.stack([np.cos(angle), np.sin(angle)], axis=1) + draw.normal(size=(len(angle), 2)) * noise
    )
    return (points * draw.uniform(1, 5, (len(angle), 1))).astype(np.float32)


@dataclass(frozen=True)
class Row:
    """Patches side by side."""

    columns: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        return self.columns * 0

    @property
    def shape(self) -> tuple[int, int]:
        return 1, int(self.columns.max()) + 1


def graph_of(
    points: NDArray[np.float32], columns: NDArray[np.int64] | None = None
) -> LikenessGraph:
    """Return the graph of several points."""
    graph = LikenessGraph.of(points, Row(np.arange(len(points)) if columns is None else columns))
    assert graph is not None
    return graph


def reference(
    points: NDArray[np.float32],
    examples: NDArray[np.float32],
    labels: NDArray[np.int64],
    neighbours: int,
) -> NDArray[np.float64]:
    """Solve the same by nearest neighbours of scikit-learn and a Laplacian of scipy."""
    cosine = points.astype(float) @ points.T.astype(float)
    length = np.linalg.norm(points.astype(float), axis=1)
    likeness = np.exp((cosine / np.outer(length, length) - 1) / 0.2)
    trees = NearestNeighbors(metric="cosine").fit(points)
    near = trees.kneighbors_graph(n_neighbors=neighbours)
    weights = likeness * ((near + near.T).toarray() > 0)
    system = 0.01 * np.eye(len(points)) + 0.99 * laplacian(weights, normed=True)
    begin = np.zeros((len(points), 2))
    apart, which = trees.kneighbors(examples, n_neighbors=10)
    for of, where, label in zip(apart, which, labels, strict=True):
        begin[where, label] += np.exp(-of / 0.2) / (labels == label).sum()
    logs = np.log(np.linalg.solve(system, begin))
    return np.asarray(logs - logs.mean(1, keepdims=True))


@pytest.mark.parametrize(("count", "neighbours"), [(600, 50), (90, 9), (14, 5)])
def test_what_reaches_a_patch_is_what_a_reference_solves(count: int, neighbours: int) -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(count, 6)).astype(np.float32)
    examples, labels = draw.normal(size=(7, 6)).astype(np.float32), np.array([0, 0, 0, 0, 0, 1, 1])
    found = graph_of(points).spread(examples, labels, CLASSES)
    np.testing.assert_allclose(found, reference(points, examples, labels, neighbours), atol=2e-3)


def test_a_class_follows_its_tissue_and_not_the_shortest_way() -> None:
    """One tissue changes from 0 to 95 degrees; 90 is nearer to the other, at 110 to 130."""
    degrees = np.concatenate([np.linspace(0, 95, 300), np.linspace(110, 130, 100)])
    shown = directions(np.array([2.0, 120.0]))
    found = graph_of(directions(degrees)).spread(shown, np.array([0, 1]), CLASSES)
    assert 120 - 90 < 90 - 2
    np.testing.assert_array_equal(found.argmax(1), degrees > 100)


def test_on_a_large_slide_every_patch_gets_what_reaches_one_like_it() -> None:
    degrees = np.concatenate([np.linspace(0, 60, 3000), np.linspace(100, 130, 2000)])
    order = np.random.default_rng(1).permutation(len(degrees))
    degrees, shown = degrees[order], directions(np.array([5.0, 120.0]))
    points = directions(degrees)
    graph = graph_of(points)
    assert len(graph.nodes) == 2000
    found = graph.spread(shown, np.array([0, 1]), CLASSES)
    assert found.shape == (5000, 2)
    np.testing.assert_array_equal(found.argmax(1), degrees > 80)
    small = graph_of(graph.nodes).spread(shown, np.array([0, 1]), CLASSES)
    np.testing.assert_allclose(found[:: len(points) - 1], small[:: len(small) - 1], atol=1e-4)
    turned = graph_of(points[::-1], np.arange(len(points))[::-1])
    same = turned.spread(shown, np.array([0, 1]), CLASSES)[::-1]
    np.testing.assert_array_equal(found, same)


def test_the_number_of_examples_of_a_class_does_not_count() -> None:
    points = directions(np.linspace(0, 180, 120), noise=0.05)
    graph, shown = graph_of(points), directions(np.array([10.0, 170.0]))
    one = graph.spread(shown, np.array([0, 1]), CLASSES)
    many = np.concatenate([np.repeat(shown[:1], 9, axis=0), shown[1:]])
    nine = graph.spread(many, np.array([0] * 9 + [1]), CLASSES)
    np.testing.assert_allclose(one, nine, atol=1e-4)


@pytest.mark.parametrize("count", [2, 3, 12])
def test_a_slide_of_few_patches_can_be_mapped(count: int) -> None:
    degrees = np.linspace(0, 90, count)
    found = graph_of(directions(degrees)).spread(
        directions(np.array([0.0, 90.0])), np.array([0, 1]), CLASSES
    )
    assert np.isfinite(found).all()
    assert found.shape == (count, 2)


def test_one_patch_has_nothing_to_be_compared_with() -> None:
    assert LikenessGraph.of(directions(np.array([4.0])), Row(np.array([0]))) is None
