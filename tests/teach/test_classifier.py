"""From examples to maps."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from threadpoolctl import threadpool_info, threadpool_limits

from napari_xmag.errors import ResultError, TeachError
from napari_xmag.nets.heads.label_spreading import LikenessGraph
from napari_xmag.nets.heads.likeness import nearest
from napari_xmag.nets.heads.patch_classifier import (
    FeatureSpace,
    PlacedPatches,
    mean_and_scale,
    neighbourhood_means,
)
from napari_xmag.teach.classifier import Learner, fit
from napari_xmag.teach.layout import fit_space, lay_out
from napari_xmag.teach.lesson import Example, Lesson
from napari_xmag.teach.regions import example_regions
from napari_xmag.teach.session import TeachRequest, TeachSession
from napari_xmag.teach.settings import TeachSettings
from tests.teach.slides import kinds_of, prepared_slide, show, slide_id, tissue_kinds

KINDS = tissue_kinds()


def taught_session(
    names: tuple[str, ...] = ("Tumor", "Other"), settings: TeachSettings | None = None
) -> TeachSession:
    session = TeachSession(settings=settings)
    slide = prepared_slide(KINDS)
    session.open_slide(slide)
    show(session, slide, KINDS, names)
    return session


def test_the_map_follows_the_examples() -> None:
    session = taught_session(("Tumor", "Other", "Stroma"))
    taught = fit(session.request())
    assert taught.classes == ("Tumor", "Other", "Stroma")
    found = taught.maps[slide_id()]
    # a patch at the border of two kinds is half of each
    truth = kinds_of(session.slides[0], _inner(KINDS))
    assert (found.probabilities.argmax(1) == truth)[truth >= 0].mean() > 0.99
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_tissue_that_no_example_showed_is_not_taught() -> None:
    session = taught_session(("Tumor", "Other"))
    found = fit(session.request()).maps[slide_id()]
    truth = kinds_of(session.slides[0], KINDS)
    # the border of two kinds is like neither
    inner = kinds_of(session.slides[0], _inner(KINDS))
    assert (found.labels[inner == 2] == -1).mean() > 0.8
    assert (found.labels[(inner >= 0) & (inner < 2)] == -1).mean() < 0.1
    assert ((found.labels == -1) == ~found.is_taught).all()
    assert (found.evidence.argmax(1)[truth == 2] == 2).mean() > 0.7
    np.testing.assert_allclose(found.evidence.sum(1), 1, atol=1e-5)


def _inner(kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    alike = (np.roll(kinds, 1, 1) == kinds) & (np.roll(kinds, -1, 1) == kinds)
    return np.where(alike, kinds, -2)


def test_the_fit_is_that_of_a_balanced_logistic_regression() -> None:
    session = taught_session(("Tumor", "Other", "Stroma"))
    session.erase(slide_id(), np.arange(100))
    taught = fit(session.request())
    points = taught.layout.coordinates[slide_id()]
    rows, labels = taught.examples.patches, taught.examples.labels
    reference = LogisticRegression(
        C=session.request().settings.strength, class_weight="balanced", max_iter=2000, tol=1e-8
    ).fit(points[rows].astype(float), labels)
    np.testing.assert_allclose(
        taught.classifier.at(PlacedPatches(points)).probabilities,
        reference.predict_proba(points),
        atol=2e-3,
    )


def test_a_click_keeps_blas_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for one another made a click five times slower."""
    counts: set[int] = set()
    original = LogisticRegression.fit

    def counted(model: LogisticRegression, *given: object) -> object:
        counts.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return original(model, *given)

    request = taught_session().request()
    with threadpool_limits(2, "blas"):
        before = threadpool_info()
        monkeypatch.setattr(LogisticRegression, "fit", counted)
        fit(request)
        assert counts == {1}
        assert threadpool_info() == before


def test_two_classes_get_the_probabilities_of_the_reference() -> None:
    session = taught_session(("Tumor", "Other"))
    taught = fit(session.request())
    points = taught.layout.coordinates[slide_id()]
    reference = LogisticRegression(
        C=session.request().settings.strength, class_weight="balanced", max_iter=2000, tol=1e-8
    ).fit(points[taught.examples.patches].astype(float), taught.examples.labels)
    np.testing.assert_allclose(
        taught.classifier.at(PlacedPatches(points)).probabilities,
        reference.predict_proba(points),
        atol=2e-3,
    )


def test_the_map_is_smoothed_within_a_tissue_by_how_alike_neighbours_are() -> None:
    settings = TeachSettings(spreading=False)
    taught = fit(taught_session(("Tumor", "Other", "Stroma"), settings).request())
    patches, head = taught.layout.patches[slide_id()], taught.classifier
    places, points = taught.request.slides[0].features, patches.coordinates
    own = points[:, : head.space.basis.shape[1]].astype(float)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    apart = np.maximum(
        abs(places.columns[:, None] - places.columns), abs(places.rows[:, None] - places.rows)
    )
    weights = np.exp((own @ own.T - 1) / 0.3) * (apart <= 1)
    weights /= weights.sum(1, keepdims=True)
    logits = weights @ (points @ head.weights + head.bias)
    expected = np.exp(logits - logits.max(1, keepdims=True))
    found = taught.maps[slide_id()]
    np.testing.assert_allclose(
        found.probabilities, expected / expected.sum(1, keepdims=True), atol=1e-4
    )
    near = np.exp((cosine_similarity(points, head.examples) - 1) / 0.2).sum(1)
    distance = head.least_likeness / np.exp(weights @ np.log(near))
    np.testing.assert_allclose(found.distance, distance, rtol=1e-3)


def test_a_map_is_half_the_regression_and_half_what_spreads() -> None:
    names = ("Tumor", "Other", "Stroma")
    alone = fit(taught_session(names, TeachSettings(spreading=False)).request())
    taught = fit(taught_session(names).request())
    head, points = taught.classifier, taught.layout.coordinates[slide_id()]
    graph = LikenessGraph.of(points, taught.request.slides[0].features)
    assert graph is not None
    spread = graph.spread(head.examples, head.labels, np.arange(3))
    logits = np.log(alone.maps[slide_id()].probabilities.astype(float))
    logits -= logits.mean(1, keepdims=True)
    middle = logits.mean(0)
    spread = (spread - spread.mean(0)) * np.sqrt(
        (logits - middle).var() / (spread - spread.mean(0)).var()
    )
    logits = middle + (logits - middle + spread) / 2
    expected = np.exp(logits - logits.max(1, keepdims=True))
    found = taught.maps[slide_id()]
    np.testing.assert_allclose(
        found.probabilities, expected / expected.sum(1, keepdims=True), atol=1e-3
    )
    np.testing.assert_array_equal(found.distance, alone.maps[slide_id()].distance)


def test_what_counts_as_like_is_learned_from_examples_of_other_regions() -> None:
    request = taught_session().request()
    taught = fit(request)
    points, regions = taught.classifier.examples, example_regions(taught.examples, request.slides)
    alike = np.exp((cosine_similarity(points) - 1) / 0.2)
    logs = np.array([np.log(alike[i, regions != regions[i]].sum()) for i in range(len(points))])
    least = np.exp(logs.mean() - request.settings.reach * logs.std())
    assert taught.classifier.least_likeness == pytest.approx(least, rel=1e-3)
    assert taught.maps[slide_id()].is_taught[taught.examples.patches].all()


def test_few_clicks_beside_large_regions_are_all_compared() -> None:
    kinds = np.repeat(np.arange(3), [24, 24, 8])[None].repeat(30, 0)
    slide, session = prepared_slide(kinds), TeachSession()
    session.open_slide(slide)
    session.add_class("Necrosis")
    of = kinds_of(slide, kinds)
    session.mark(slide.id, np.flatnonzero(of == 0), "Tumor")
    clicked = np.flatnonzero(of == 2)[[50, 120, 190]]
    session.mark(slide.id, clicked, "Necrosis")
    session.mark(slide.id, np.flatnonzero(of == 1), "Other")
    taught = fit(session.request())
    compared = np.bincount(taught.classifier.labels)
    assert compared[taught.classes.index("Necrosis")] == 3
    assert compared.sum() == 512
    assert np.ptp(compared[:2]) <= 1
    labels = taught.maps[slide.id].labels
    assert (labels[clicked] == taught.classes.index("Necrosis")).all()


def test_the_same_request_gives_the_same_map() -> None:
    session = taught_session()
    teacher = Learner()
    first, second = teacher.fit(session.request()), teacher.fit(session.request())
    third = fit(taught_session().request())
    for other in (second, third):
        np.testing.assert_array_equal(
            first.maps[slide_id()].probabilities, other.maps[slide_id()].probabilities
        )
    assert teacher.layout(session.request()) is first.layout


def test_a_second_slide_is_mapped_with_what_was_learned() -> None:
    session = taught_session(("Tumor", "Other", "Stroma"))
    other = prepared_slide(KINDS[:, ::-1], "b", seed=5)
    session.open_slide(other)
    session.close_slide(slide_id())
    taught = fit(session.request())
    assert list(taught.maps) == [slide_id("b")]
    truth = kinds_of(other, _inner(KINDS[:, ::-1]))
    right = taught.maps[slide_id("b")].probabilities.argmax(1) == truth
    assert right[truth >= 0].mean() > 0.98


def test_examples_of_unknown_slides_are_counted() -> None:
    session = taught_session()
    lesson = session.lesson.with_examples([Example(slide_id("z"), 1, 2, "Tumor")])
    request = TeachRequest(lesson, session.slides, 1)
    assert fit(request).examples.elsewhere == 1


def _no_examples(session: TeachSession) -> Lesson:
    return Lesson()


def _one_class(session: TeachSession) -> Lesson:
    return session.lesson.without_class("Other")


def _elsewhere(session: TeachSession) -> Lesson:
    return Lesson(examples=(Example(slide_id("z"), 1, 2, "Tumor"),))


@pytest.mark.parametrize(
    ("change", "words"),
    [(_no_examples, "none yet"), (_one_class, "Tumor only"), (_elsewhere, "not open")],
)
def test_too_little_is_said_in_words(change: Callable[[TeachSession], Lesson], words: str) -> None:
    session = taught_session()
    request = TeachRequest(change(session), session.slides, 1)
    with pytest.raises(TeachError, match=words):
        fit(request)


def test_no_slide_and_two_encoders_are_refused() -> None:
    with pytest.raises(TeachError, match="none"):
        lay_out([], TeachSettings())
    slides = prepared_slide(KINDS), prepared_slide(KINDS, "b", encoder="f")
    with pytest.raises(ResultError, match="encoder"):
        lay_out(slides, TeachSettings())


@pytest.mark.parametrize(("count", "words"), [(1, "1 example does"), (2, "2 examples do")])
def test_examples_on_glass_are_passed_over_and_told(count: int, words: str) -> None:
    session = taught_session()
    lost = [Example(slide_id(), number, 0, "Tumor") for number in range(count)]
    plain = fit(TeachRequest(session.lesson, session.slides, 1))
    taught = fit(TeachRequest(session.lesson.with_examples(lost), session.slides, 1))
    assert (plain.examples.on_glass, taught.examples.on_glass) == (0, count)
    np.testing.assert_array_equal(taught.examples.patches, plain.examples.patches)
    np.testing.assert_array_equal(taught.classifier.weights, plain.classifier.weights)
    with pytest.raises(TeachError, match=f"none yet.*{words} not count: no tissue"):
        fit(TeachRequest(Lesson(examples=tuple(lost)), session.slides, 1))


def test_neighbours_are_averaged_over_tissue_alone() -> None:
    slide = prepared_slide(KINDS[:5, :6] * 0 + np.array([[-1], [0], [0], [-1], [0]]))
    values = np.random.default_rng(1).normal(size=(len(slide.features), 4)).astype(np.float32)
    found = neighbourhood_means(values, slide.features)
    columns, rows = slide.features.columns, slide.features.rows
    for index in range(len(values)):
        near = (abs(columns - columns[index]) <= 1) & (abs(rows - rows[index]) <= 1)
        np.testing.assert_allclose(found[index], values[near].mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("by_slide", [False, True])
@pytest.mark.parametrize("context", [False, True])
def test_coordinates_are_standardised_components(by_slide: bool, context: bool) -> None:
    slide = prepared_slide(KINDS)
    features = slide.features.features.astype(np.float64)
    settings = TeachSettings(context=context, components=5, by_slide=by_slide)
    space = fit_space([slide.features.features], settings)
    found = space.coordinates(slide.features.features, slide.features)
    own = (features - features.mean(0)) / features.std(0)
    if not by_slide:
        own = (features - space.mean) / space.scale
    np.testing.assert_allclose(found[:, :5], own @ space.basis, atol=1e-3)
    assert found.shape == (len(features), 10 if context else 5) == (len(features), space.length)
    _, _, directions = np.linalg.svd(own - own.mean(0), full_matrices=False)
    alike = np.abs(directions[:2] @ space.basis[:, :2])
    np.testing.assert_allclose(alike.max(1), 1, atol=0.02)


def test_a_constant_feature_does_no_harm() -> None:
    features = np.hstack([np.random.default_rng(0).normal(size=(50, 3)), np.full((50, 2), 7.0)])
    mean, scale = mean_and_scale(features.astype(np.float16))
    np.testing.assert_array_equal(scale[3:], 1)
    np.testing.assert_allclose(mean[3:], 7)
    space = fit_space([features], TeachSettings(components=64))
    assert isinstance(space, FeatureSpace)
    assert np.isfinite(space.coordinates(features)).all()


def test_nearest_is_what_all_pairs_say() -> None:
    draw = np.random.default_rng(0)
    points, others = (draw.normal(size=(n, 6)).astype(np.float32) for n in (40, 9))
    apart = np.linalg.norm(points[:, None] - others, axis=2)
    distance, which = nearest(points, others)
    np.testing.assert_allclose(distance, apart.min(1), rtol=1e-4)
    np.testing.assert_array_equal(which, apart.argmin(1))
