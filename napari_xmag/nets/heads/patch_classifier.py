"""The head that examples teach: each patch gets a class, or none where no example is like it.

Needs no torch. How it is fitted is in `napari_xmag.teach.classifier`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.geometry import OnGrid
from napari_xmag.nets.heads.label_spreading import LikenessGraph
from napari_xmag.nets.heads.likeness import directions, likeness
from napari_xmag.nets.info import softmax

NOT_TAUGHT = "Not taught"
"""The class of patches that are unlike every example."""

_ROWS_AT_ONCE = 4096
_LEAST_SCALE = 1e-6
_NEIGHBOUR_SPREAD = 0.3
_PLACES = 9


@dataclass(frozen=True, eq=False)
class Ties:
    """How much each patch of a slide counts on its neighbours: the more, the more alike they look.

    A mean by these weights smooths a map within a tissue and not across its borders (bilateral
    filter: Tomasi and Manduchi, ICCV 1998, here with the cosine of features for the grey value).

    Attributes
    ----------
    neighbours
        int64 (P, 9), each patch and those around it; P where there is glass.
    weights
        float32 (P, 9), which sum to 1; 0 on glass.
    """

    neighbours: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, components: NDArray[np.float32], places: OnGrid) -> "Ties":
        """Compare each patch with its neighbours.

        Parameters
        ----------
        components
            float32 (P, K), what they look like.
        """
        neighbours = neighbours_of(places)
        direction = np.vstack([directions(components), np.zeros((1, components.shape[1]))])
        direction = direction.astype(np.float32)
        weights = np.empty(neighbours.shape, np.float32)
        for place in range(_PLACES):
            other = neighbours[:, place]
            cosine = (direction[:-1] * direction[other]).sum(1)
            weights[:, place] = np.exp((cosine - 1) / _NEIGHBOUR_SPREAD) * (other < len(components))
        return cls(neighbours, weights / weights.sum(1, keepdims=True))

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the weighted mean over each patch and its neighbours of values (P, C)."""
        padded = np.vstack([values, np.zeros((1, values.shape[1]), values.dtype)])
        total = np.zeros_like(values)
        for place in range(_PLACES):
            total += self.weights[:, place, None] * padded[self.neighbours[:, place]]
        return total


@dataclass(frozen=True, eq=False)
class PlacedPatches:
    """Patches of a slide as they are compared.

    Attributes
    ----------
    coordinates
        float32 (P, K).
    ties
        Among all patches of a slide; None for some of them, which then stand for themselves.
    graph
        Which patches of the slide look alike, likewise; None where classes do not spread.
    """

    coordinates: NDArray[np.float32]
    ties: Ties | None = None
    graph: LikenessGraph | None = None


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """How features become the coordinates in which patches are compared.

    Features are standardized, turned into their first principal components, and joined by the mean
    of the components over the patch and its neighbours.

    Attributes
    ----------
    mean, scale
        float32 (D,), by which features are standardized.
    basis
        float32 (D, K), principal components.
    by_slide
        Whether each slide is standardized by its own mean and scale instead: stains differ.
    context
        Whether the neighbourhood counts: in the coordinates, and once more in the map.
    spreading
        Whether classes spread to patches of a slide by way of others that look alike.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    basis: NDArray[np.float32]
    by_slide: bool
    context: bool
    spreading: bool

    @property
    def length(self) -> int:
        """Number of coordinates of a patch."""
        return int(self.basis.shape[1]) * (2 if self.context else 1)

    def placed(self, features: NDArray[np.floating], places: OnGrid) -> PlacedPatches:
        """Return the coordinates of all patches of a slide, and what connects them."""
        found = self.coordinates(features, places)
        own = found[:, : self.basis.shape[1]]
        ties = Ties.of(own, places) if self.context else None
        graph = LikenessGraph.of(found, places) if self.spreading else None
        return PlacedPatches(found, ties, graph)

    def coordinates(
        self, features: NDArray[np.floating], places: OnGrid | None = None
    ) -> NDArray[np.float32]:
        """Return the coordinates of a slide's patches, float32 (P, K or 2 K).

        Parameters
        ----------
        features
            Float (P, D), of all patches of a slide.
        places
            Where they lie; without them they are some patches of a slide, standardized like all,
            and each stands for its neighbourhood.
        """
        mean, scale = self.mean, self.scale
        if self.by_slide and places is not None:
            mean, scale = mean_and_scale(features)
        turned = self.basis / scale[:, None]
        shift = mean @ turned
        own = np.empty((len(features), self.basis.shape[1]), np.float32)
        for start in range(0, len(features), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            own[rows] = features[rows].astype(np.float32) @ turned - shift
        if not self.context:
            return own
        around = own if places is None else neighbourhood_means(own, places)
        return np.concatenate([own, around], axis=1)


@dataclass(frozen=True, eq=False)
class Classified:
    """What the P patches of a slide are.

    Attributes
    ----------
    probabilities
        float32 (P, C), of the taught classes; sum to 1 whether a patch is like an example or not.
    distance
        float32 (P,), from the examples, as a part of what still counts as like them: above 1 a
        patch is not taught.
    """

    probabilities: NDArray[np.float32]
    distance: NDArray[np.float32]

    @property
    def is_taught(self) -> NDArray[np.bool_]:
        """Whether each patch is like an example, bool (P,)."""
        return self.distance <= 1

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each patch, int64 (P,); -1 where it is not taught."""
        return np.where(self.is_taught, self.probabilities.argmax(1), -1).astype(np.int64)

    @property
    def evidence(self) -> NDArray[np.float32]:
        """Probabilities (P, C + 1) with `NOT_TAUGHT` as the last class, which is all or nothing."""
        taught = self.is_taught[:, None]
        return np.hstack([self.probabilities * taught, ~taught]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PatchClassifier:
    """A linear classifier of patches, and the examples, whose classes spread on each slide.

    Attributes
    ----------
    space
        Where patches are compared.
    weights, bias
        float32 (K, C) and (C,): logits are ``coordinates @ weights + bias``, averaged over the
        neighbours by `Ties`. On a whole slide the answer is the mean of these and of what
        `LikenessGraph.spread` says, which is brought to their mean and size.
    examples
        float32 (N, K), coordinates of the examples.
    labels
        int64 (N,), the class of each example; empty where classes do not spread.
    least_likeness
        A patch that is less like the examples than this is not taught; see `likeness`.
    """

    space: FeatureSpace
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    examples: NDArray[np.float32]
    labels: NDArray[np.int64]
    least_likeness: float

    @classmethod
    def stated(
        cls, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> "PatchClassifier":
        """Return what a checked model folder holds; see `arrays` and `statement`."""
        own = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        space = FeatureSpace(
            own["space.mean"],
            own["space.scale"],
            own["space.basis"],
            head["by_slide"],
            head["context"],
            head.get("spreading", False),
        )
        labels = np.asarray(arrays.get("labels", ()), np.int64)
        least = float(head["least_likeness"])
        return cls(space, own["weights"], own["bias"], own["examples"], labels, least)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the tensors by name, as they lie in a model folder."""
        space = self.space
        named = {
            **{"space.mean": space.mean, "space.scale": space.scale, "space.basis": space.basis},
            **{"weights": self.weights, "bias": self.bias, "examples": self.examples},
            **({"labels": self.labels} if space.spreading else {}),
        }
        return {name: np.ascontiguousarray(value, np.float32) for name, value in named.items()}

    def statement(self) -> dict[str, Any]:
        """Return sizes and switches, as config.json states them."""
        dim, components = self.space.basis.shape
        return {
            "kind": "patch_classifier",
            "dim": dim,
            "components": components,
            "classes": len(self.bias),
            "examples": len(self.examples),
            "context": self.space.context,
            "by_slide": self.space.by_slide,
            "spreading": self.space.spreading,
            "least_likeness": self.least_likeness,
        }

    def classify(self, features: NDArray[np.floating], places: OnGrid | None = None) -> Classified:
        """Classify the patches of a slide; see `FeatureSpace.coordinates`."""
        if places is None:
            return self.at(PlacedPatches(self.space.coordinates(features)))
        return self.at(self.space.placed(features, places))

    def patch_scores(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return zeros (k,) and `Classified.evidence` of some patches, a first impression.

        Their neighbours are not known yet: each stands for its own.
        """
        evidence = self.classify(features).evidence
        return np.zeros(len(features), np.float32), evidence

    def at(self, patches: PlacedPatches) -> Classified:
        """Classify patches by their coordinates and what connects them."""
        points, ties = patches.coordinates, patches.ties
        logits = points @ self.weights + self.bias
        unlike = -np.log(likeness(points, self.examples))[:, None]
        if ties is not None:
            logits, unlike = ties.mean(logits), ties.mean(unlike)
        if patches.graph is not None:
            logits = self._joined(logits, patches.graph)
        distance = self.least_likeness * np.exp(unlike[:, 0])
        probabilities = softmax(logits.astype(np.float64))
        return Classified(probabilities.astype(np.float32), distance.astype(np.float32))

    def _joined(self, logits: NDArray[np.float32], graph: LikenessGraph) -> NDArray[np.float32]:
        """Return the mean of logits and of what spreads; a class without an example stays out.

        What is spread only tells patches of the slide from one another: the mean over the slide
        stays that of the logits, for to another slide one class may reach farther than another.
        """
        shown = np.isfinite(self.bias)
        own = logits[:, shown] - logits[:, shown].mean(1, keepdims=True)
        middle = own.mean(0)
        own -= middle
        spread = graph.spread(self.examples, self.labels, np.flatnonzero(shown))
        spread -= spread.mean(0)
        size = np.sqrt(np.square(own).mean() / max(np.square(spread).mean(), _LEAST_SCALE**2))
        joined = logits.copy()
        joined[:, shown] = middle + (own + spread * size) / 2
        return joined


def mean_and_scale(
    features: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each feature, float32 (D,); a constant one has 1."""
    total = np.zeros(features.shape[1])
    squares = np.zeros(features.shape[1])
    for start in range(0, len(features), _ROWS_AT_ONCE):
        part = features[start : start + _ROWS_AT_ONCE].astype(np.float32)
        total += part.sum(0, dtype=np.float64)
        squares += np.square(part).sum(0, dtype=np.float64)
    mean = total / len(features)
    scale = np.sqrt(np.maximum(squares / len(features) - mean**2, 0))
    scale[scale < _LEAST_SCALE] = 1
    return mean.astype(np.float32), scale.astype(np.float32)


def neighbourhood_means(values: NDArray[np.float32], places: OnGrid) -> NDArray[np.float32]:
    """Return the mean of each patch and those of its eight neighbours that hold tissue.

    Parameters
    ----------
    values
        float32 (P, K).
    """
    # glass is a row of zeros that does not count
    padded = np.vstack([values, np.zeros((1, values.shape[1]), np.float32)])
    total, count = np.zeros_like(values), np.zeros(len(values), np.float32)
    for neighbour in neighbours_of(places).T:
        total += padded[neighbour]
        count += neighbour < len(values)
    return total / count[:, None]


def neighbours_of(places: OnGrid) -> NDArray[np.int64]:
    """Return int64 (P, 9): each patch and those around it, row by row; P where there is none."""
    rows, columns = places.shape
    count = len(places.rows)
    index = np.full((rows + 2, columns + 2), count, np.int64)
    index[places.rows + 1, places.columns + 1] = np.arange(count)
    found = [
        index[places.rows + down, places.columns + across]
        for down in range(3)
        for across in range(3)
    ]
    return np.stack(found, axis=1)
