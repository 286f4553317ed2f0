"""Classifiers learn what can be learned, choose C without the test rows, and do not overrun."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from napari_xmag.evaluate.classifiers import (
    Training,
    choose_strength,
    linear_probe,
    nearest_neighbors,
)
from napari_xmag.evaluate.config import ProbeConfig


def clouds(rows: int, dim: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    features = draw.normal(size=(rows, dim)).astype(np.float32)
    features[:, 0] += distance * labels
    return features, labels


def training(features: np.ndarray, labels: np.ndarray, classes: int = 2) -> Training:
    return Training(features, labels, np.arange(len(labels)), classes)


@pytest.mark.parametrize("dim", [5, 200])
def test_linear_probe_is_logistic_regression_on_standardised_features(dim: int) -> None:
    """Also where the rows are fewer than the dimensions and are turned first."""
    features, labels = clouds(60, dim, 2.0)
    test = clouds(20, dim, 2.0, seed=1)[0]
    found = linear_probe(training(features, labels), test, ProbeConfig(strengths=(0.1,)), 0)
    scaler = StandardScaler().fit(features.astype(float))
    plain = LogisticRegression(C=0.1, max_iter=5000, tol=1e-8).fit(
        scaler.transform(features.astype(float)), labels
    )
    expected = plain.predict_proba(scaler.transform(test.astype(float)))
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-3)
    assert found.converged


def test_bounded_a_feature_counts_for_no_more_than_it_did_in_training() -> None:
    features, labels = clouds(60, 5, 3.0)
    features[:, 4] *= 1e-6  # hardly varies in training, and is noise
    test, truth = clouds(60, 5, 3.0, seed=1)
    plain, bounded = (
        linear_probe(training(features, labels), test, ProbeConfig(bounded=bounded), 0)
        for bounded in (False, True)
    )
    right = [(found.probabilities.argmax(1) == truth).mean() for found in (plain, bounded)]
    assert right[0] < 0.7 < 0.9 < right[1]
    inside = np.clip(test, features.min(0), features.max(0))
    same = linear_probe(training(features, labels), inside, ProbeConfig(), 0)
    np.testing.assert_allclose(bounded.probabilities, same.probabilities)


def test_noise_is_regularised_and_signal_is_not() -> None:
    settings = ProbeConfig()
    noise = choose_strength(training(*clouds(60, 30, 0.0)), settings, 0)
    signal = choose_strength(training(*clouds(400, 3, 3.0)), settings, 0)
    assert noise < signal


def test_a_class_of_one_row_leaves_the_middle_strength() -> None:
    features, labels = clouds(9, 3, 1.0)
    labels = np.r_[np.zeros(8, int), 1]
    assert choose_strength(training(features, labels), ProbeConfig(), 0) == 1.0


def test_too_few_iterations_are_told() -> None:
    features, labels = clouds(60, 30, 1.0)
    settings = ProbeConfig(strengths=(10.0,), most_iterations=1)
    assert not linear_probe(training(features, labels), features, settings, 0).converged


def test_a_class_that_training_lacks_gets_no_probability() -> None:
    features, labels = clouds(40, 3, 3.0)
    found = linear_probe(training(features, 2 * labels, 3), features, ProbeConfig(), 0)
    assert (found.probabilities[:, 1] == 0).all()
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test_neighbors_vote_by_direction_from_the_mean() -> None:
    # all features point the same way; only what differs from their mean tells the classes apart
    features, labels = clouds(60, 4, 6.0)
    features += 100
    found = nearest_neighbors(training(features, labels), features, ProbeConfig(neighbors=5))
    assert (found.probabilities.argmax(1) == labels).mean() > 0.95


def test_a_rare_class_is_not_outvoted_where_it_is() -> None:
    features, labels = clouds(60, 4, 12.0)
    chosen = np.r_[np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:3]]
    found = nearest_neighbors(
        training(features[chosen], labels[chosen]), features, ProbeConfig(neighbors=20)
    )
    assert (found.probabilities.argmax(1) == labels).mean() > 0.95
