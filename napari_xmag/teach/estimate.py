"""How right a taught classifier is, told by its own examples; never by neighbouring patches."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError, TeachError
from napari_xmag.stats.folds import Fold, grouped_folds
from napari_xmag.teach.classifier import ExamplePatches, Taught, fit_examples
from napari_xmag.teach.layout import Layout
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.regions import example_regions
from napari_xmag.teach.session import TeachRequest
from napari_xmag.teach.steps import answer_of

LEAST_REGIONS = 3
"""So many separate regions each class needs before anything can be said."""

_MOST_FOLDS = 5
_REPLICATES = 500
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many examples were classified right by classifiers that had not seen their region.

    Attributes
    ----------
    balanced_accuracy
        Mean over classes of the share of its examples that were right, 0 to 1; None when there are
        too few examples to say.
    low, high
        95 % interval, by drawing regions.
    regions
        Separate regions of each class, in the order of the classes.
    words
        The same for people.
    """

    balanced_accuracy: float | None
    low: float
    high: float
    regions: tuple[int, ...]
    words: str


def estimate(taught: Taught) -> Estimate:
    """Estimate how right the classifier is elsewhere; see `estimate_steps`."""
    return answer_of(estimate_steps(taught))


def estimate_steps(taught: Taught) -> Generator[None, None, Estimate]:
    """Estimate by cross-validation how right the classifier is elsewhere.

    Where several slides bear enough examples, whole slides are held out: a slide that is opened
    next may be stained in another way. Else regions are: examples that lie near one another are
    never on both sides, since neighbouring patches look alike and would flatter the classifier.

    Yields
    ------
    Nothing, after each classifier, so that one can leave off.
    """
    examples, request = taught.examples, taught.request
    regions = example_regions(examples, request.slides)
    counts = _regions_of_each(examples.labels, regions, len(examples.classes))
    folds = _slide_folds(examples, regions)
    where = "slides" if folds else "regions"
    folds = folds or _folds(examples.labels, regions)
    if min(counts) < LEAST_REGIONS or not folds:
        return Estimate(None, 0.0, 1.0, counts, _too_few(examples.classes, counts))
    right = yield from _evaluated(request, examples, taught.layout, folds)
    if right is None:
        return Estimate(None, 0.0, 1.0, counts, _too_few(examples.classes, counts))
    value = float(_balanced(right[None], examples.labels)[0])
    low, high = _interval(right, examples.labels, regions)
    words = (
        f"Estimated accuracy {value:.0%} ({low:.0%} to {high:.0%}) on held-out {where}, from "
        f"{len(right)} examples in {len(np.unique(regions))} regions"
    )
    return Estimate(value, low, high, counts, words)


def _regions_of_each(
    labels: NDArray[np.int64], regions: NDArray[np.int64], classes: int
) -> tuple[int, ...]:
    return tuple(len(np.unique(regions[labels == label])) for label in range(classes))


def _slide_folds(examples: ExamplePatches, regions: NDArray[np.int64]) -> list[Fold]:
    """Return folds of whole slides; none where one of them would leave too little to learn from."""
    labels, classes = examples.labels, len(examples.classes)
    folds = _folds(labels, examples.slides)
    left = [min(_regions_of_each(labels[rows], regions[rows], classes)) for rows, _ in folds]
    return folds if min(left, default=0) >= LEAST_REGIONS else []


def _folds(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> list[Fold]:
    count = min(_MOST_FOLDS, *_regions_of_each(labels, groups, int(labels.max()) + 1))
    if count < 2:
        return []
    try:
        return grouped_folds(labels, groups, count, 0)
    except ConfigError:
        return []  # one group holds nearly all of a class: nothing can be said


def _evaluated(
    request: TeachRequest, examples: ExamplePatches, layout: Layout, folds: list[Fold]
) -> Generator[None, None, NDArray[np.bool_] | None]:
    right = np.zeros(len(examples), bool)
    for train, test in folds:
        chosen = np.zeros(len(examples), bool)
        chosen[train] = True
        judged = examples.chosen(test)
        bearing = {request.slides[number].id for number in judged.slides.tolist()}
        try:
            with one_thread():
                classifier = fit_examples(request, examples.chosen(chosen), layout)
                found = {of: classifier.at(layout.patches[of]).probabilities for of in bearing}
        except TeachError:
            return None
        said = judged.of_slides(request.slides, found).argmax(1)
        right[test] = said == judged.labels
        yield
    return right


def _balanced(right: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the balanced accuracy of each row of judgements, (B, N)."""
    parts = [right[:, labels == label].mean(1) for label in np.unique(labels)]
    return np.asarray(np.mean(parts, axis=0), np.float64)


def _interval(
    right: NDArray[np.bool_], labels: NDArray[np.int64], regions: NDArray[np.int64]
) -> tuple[float, float]:
    """Return a bootstrap interval, class by class and region by region, widened by Wilson's.

    A bootstrap of few regions that were all right would claim to be certain.
    """
    from napari_xmag.stats.metrics import wilson

    draw = np.random.default_rng(0)
    values = np.zeros(_REPLICATES)
    below, above = 0.0, 0.0
    present = np.unique(labels)
    for label in present:
        mine = np.flatnonzero(labels == label)
        names, of = np.unique(regions[mine], return_inverse=True)
        hits = np.bincount(of, right[mine].astype(float))
        sizes = np.bincount(of)
        drawn = draw.integers(len(names), size=(_REPLICATES, len(names)))
        values += hits[drawn].sum(1) / sizes[drawn].sum(1) / len(present)
        share = float(hits.sum() / sizes.sum())
        score = wilson(share, len(names), _LEVEL)
        below += ((share - score.low) / len(present)) ** 2
        above += ((score.high - share) / len(present)) ** 2
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    value = float(_balanced(right[None], labels)[0])
    return float(min(low, value - below**0.5)), float(max(high, value + above**0.5))


def _too_few(classes: tuple[str, ...], counts: tuple[int, ...]) -> str:
    lacking = ", ".join(
        f"{name} ({number})"
        for name, number in zip(classes, counts, strict=True)
        if number < LEAST_REGIONS
    )
    where = f"; too few regions of {lacking}" if lacking else ""
    return (
        f"Too few examples to estimate the accuracy{where}. Mark each class in at least "
        f"{LEAST_REGIONS} separate places."
    )
