"""Figures against values computed by hand and by scikit-learn; draws that repeat."""

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from napari_xmag.progress.heartbeat import finish
from napari_xmag.stats.metrics import (
    FIGURES,
    bootstrap,
    bootstrap_weights,
    confusion_matrix,
    difference,
    figures,
    interval,
    mean,
    slide_metrics,
    standard_deviation,
    wilson,
)

TRUTH = np.array([0, 0, 0, 1, 1])
# the score of class 1 is 0.1, 0.4, 0.6 for the negatives and 0.4, 0.9 for the positives
SCORES = np.array([0.1, 0.4, 0.6, 0.4, 0.9])
BINARY = np.stack([1 - SCORES, SCORES], axis=1)


def once(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    found = figures(truth, probabilities, np.ones((1, len(truth))))
    return {name: float(values[0]) for name, values in found.items()}


def drawn(*given: np.ndarray, **settings: object) -> dict[str, np.ndarray]:
    return finish(bootstrap(*given, **settings))  # type: ignore[arg-type]


def test_by_hand() -> None:
    found = once(TRUTH, BINARY)
    # pairs: 0.9 beats all three; 0.4 beats 0.1, ties with 0.4, loses to 0.6: 4.5 of 6
    assert found["auc"] == pytest.approx(4.5 / 6)
    # wrong: the negative at 0.6 and the positive at 0.4
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # class 0: 2 hits, 3 actual, 3 predicted; class 1: 1 hit, 2 actual, 2 predicted
    assert found["f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_three_classes_as_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 80)
    probabilities = draw.dirichlet(np.ones(3), 80).round(2) + 0.5 * np.eye(3)[truth]
    probabilities /= probabilities.sum(1, keepdims=True)
    found = once(truth, probabilities)
    predicted = probabilities.argmax(1)
    areas = [roc_auc_score(truth == index, probabilities[:, index]) for index in range(3)]
    assert found["auc"] == pytest.approx(np.mean(areas))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found["f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_auc_of_three_classes_is_the_mean_over_classes() -> None:
    probabilities = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]]
    found = slide_metrics([0, 1, 2], probabilities)
    assert found["auc"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert found["slides"] == 3


def test_weights_are_repeated_rows() -> None:
    weights = np.array([2, 0, 1, 3, 1])
    rows = np.repeat(np.arange(5), weights)
    found = figures(TRUTH, BINARY, weights[None])
    expected = once(TRUTH[rows], BINARY[rows])
    for name in FIGURES:
        assert found[name][0] == pytest.approx(expected[name])


def test_a_class_that_is_not_drawn_leaves_no_auc() -> None:
    found = figures(TRUTH, BINARY, np.array([[1, 1, 1, 0, 0]]))
    assert np.isnan(found["auc"][0])
    assert found["accuracy"][0] == pytest.approx(2 / 3)


def test_one_class_has_accuracy_but_no_auc() -> None:
    found = once(np.zeros(3, int), BINARY[:3])
    assert np.isnan(found["auc"])
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)


def test_bootstrap_repeats_with_its_seed_only() -> None:
    units = np.arange(5)
    runs = [drawn(TRUTH, BINARY, units, replicates=50, seed=seed) for seed in (1, 1, 2)]
    for name in FIGURES:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])
    assert not np.array_equal(runs[0]["accuracy"], runs[2]["accuracy"])
    assert runs[0]["accuracy"][0] == pytest.approx(3 / 5)


def test_many_slides_are_resampled_in_short_steps_that_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """3,000 slides and 2,000 resamples at once kept a window waiting for seconds."""
    draw = np.random.default_rng(0)
    truth, units = draw.integers(0, 2, 3000), np.arange(3000)
    scores = draw.dirichlet(np.ones(2), 3000)
    steps = list(bootstrap(truth, scores, units, replicates=2000, seed=0))
    assert sum(steps) == 2000
    assert max(steps) * 3000 <= 1_000_000
    few = drawn(truth[:90], scores[:90], units[:90], replicates=30, seed=0)
    monkeypatch.setattr("napari_xmag.stats.metrics._CELLS_AT_ONCE", 1)
    again = drawn(truth[:90], scores[:90], units[:90], replicates=30, seed=0)
    for name in FIGURES:
        np.testing.assert_array_equal(few[name], again[name])


def test_rows_of_a_group_are_drawn_together_and_as_many_groups_as_there_are() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2])
    weights = np.concatenate(list(bootstrap_weights(groups, 40, seed=0)))
    assert weights.shape == (40, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 5])
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()


def test_blocks_draw_the_same_as_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(bootstrap_weights(np.arange(30), 20, seed=3)))
    monkeypatch.setattr("napari_xmag.stats.metrics._CELLS_AT_ONCE", 90)
    blocks = list(bootstrap_weights(np.arange(30), 20, seed=3))
    assert len(blocks) == 7
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_interval_is_that_of_the_replicates_that_could_be_had() -> None:
    found = interval(np.array([0.5, *np.linspace(0, 1, 101), np.nan]), 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.05, 0.95))


def test_few_patients_have_no_interval() -> None:
    samples = np.array([0.5, *np.linspace(0.4, 0.6, 100)])
    for patients, given in ((None, True), (5, True), (4, False)):
        found = interval(samples, 0.95, patients)
        assert found.value == 0.5
        assert math.isfinite(found.low) is math.isfinite(found.high) is given


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        right = draw.random(60) < 0.8
        scores = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
        samples = drawn(np.zeros(60, int), scores, np.arange(60), replicates=200, seed=seed)
        found = interval(samples["accuracy"], 0.9)
        covered += found.low <= 0.8 <= found.high
    assert 46 <= covered <= 60


def test_difference_is_paired() -> None:
    units = np.arange(5)
    samples = drawn(TRUTH, BINARY, units, replicates=30, seed=0)
    nothing = difference(samples, samples, 0.95)["auc"]
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    best = drawn(TRUTH, np.eye(2)[TRUTH], units, replicates=30, seed=0)
    found = difference(best, samples, 0.95)["accuracy"]
    assert found.value == pytest.approx(2 / 5)
    assert found.low >= 0


def test_a_threshold_changes_the_calls_and_not_the_ranks() -> None:
    found = figures(TRUTH, BINARY, np.ones((1, 5)), predicted=[0, 0, 0, 0, 1])
    assert found["auc"][0] == pytest.approx(4.5 / 6)
    assert found["accuracy"][0] == pytest.approx(4 / 5)
    assert found["balanced_accuracy"][0] == pytest.approx((1 + 1 / 2) / 2)
    samples = drawn(TRUTH, BINARY, np.arange(5), replicates=3, seed=0, predicted=[0, 0, 0, 0, 1])
    assert samples["accuracy"][0] == pytest.approx(4 / 5)


def test_confusion() -> None:
    np.testing.assert_array_equal(
        confusion_matrix([0, 0, 1, 2], [0, 1, 1, 0], 3), [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    )
    np.testing.assert_array_equal(confusion_matrix([], [], 2), np.zeros((2, 2)))


def test_wilson_as_in_its_tables() -> None:
    found = wilson(0.9, 10, 0.95)
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    whole = wilson(1.0, 12, 0.95)
    assert (whole.low, whole.high) == pytest.approx((0.7575, 1.0), abs=1e-4)
    assert np.isnan(wilson(float("nan"), 0, 0.95).low)


def test_mean_and_spread_leave_out_what_cannot_be_had() -> None:
    assert mean([1.0, float("nan"), 3.0]) == 2
    assert standard_deviation([1.0, float("nan"), 3.0]) == pytest.approx(2**0.5)
    assert np.isnan(mean([]))
    assert np.isnan(standard_deviation([1.0]))
