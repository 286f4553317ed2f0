"""Temperature, threshold and calibration error against values known by hand."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from napari_xmag.stats.calibration import (
    ReliabilityBin,
    calibration_error,
    choose_threshold,
    fit_temperature,
    reliability,
)


def test_temperature_of_overconfident_logits() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (4000, 2))
    chance = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = (rng.random(4000) < chance[:, 1]).astype(int)
    assert fit_temperature(3 * honest, labels) == pytest.approx(3, rel=0.1)


def test_temperature_never_sharpens() -> None:
    logits = np.array([[0.1, -0.1], [-0.1, 0.1]])
    assert fit_temperature(logits, [0, 1]) == 1
    assert fit_temperature(np.zeros((0, 2)), []) == 1


def binary(*scores: float) -> np.ndarray:
    """Probabilities of two classes from logits of the second."""
    second = expit(np.array(scores))
    return np.stack([1 - second, second], axis=1)


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    # all of class 0 are called 1 at 0.5; the gap is from logit 2 to logit 4
    probabilities = binary(0.1, 0.5, 1, 1.5, 2, 4, 5, 6, 7, 8)
    labels = [0] * 5 + [1] * 5
    assert choose_threshold(probabilities, labels) == pytest.approx(expit(3))


def test_the_threshold_of_the_largest_youden_index() -> None:
    # cut between 0 and 1: sensitivity 5/6, specificity 4/5; every other cut has less
    probabilities = binary(-3, -2, -1, 0, 3, -1.5, 1, 2, 4, 5, 6)
    labels = [0] * 5 + [1] * 6
    assert choose_threshold(probabilities, labels) == pytest.approx(expit(0.5))


def test_chance_chooses_no_threshold() -> None:
    clear = binary(1, 1.5, 2, 2.5, 4, 5, 6, 7, 8)
    assert choose_threshold(clear, [0] * 4 + [1] * 5) == 0.5  # four of a class are too few
    assert choose_threshold(binary(*[1] * 10), [0, 1] * 5) == 0.5  # all alike
    assert choose_threshold(binary(*range(10)), [1] * 5 + [0] * 5) == 0.5  # the wrong way round
    assert choose_threshold(np.full((12, 3), 1 / 3), [0, 1, 2] * 4) == 0.5  # no two classes


def test_reliability_by_hand() -> None:
    probabilities = [[0.95, 0.05], [0.08, 0.92], [0.97, 0.03], [0.6, 0.4], [1.0, 0.0]]
    bins = reliability(probabilities, [0, 1, 1, 0, 0], [0, 1, 1, 2, 3])
    assert bins == (
        ReliabilityBin(0.6, 1.0, 1, 1),
        ReliabilityBin(pytest.approx((0.95 + 0.92 + 0.97 + 1) / 4), 3 / 4, 4, 3),
    )
    assert calibration_error(bins) == pytest.approx((0.4 + 4 * (0.96 - 0.75)) / 5)
    assert np.isnan(calibration_error(()))


def test_slides_of_one_patient_count_as_one_for_the_interval_of_a_bin() -> None:
    """Of three patients with four slides each, two are right: 2 of 3, not 8 of 12."""
    labels, patients = [0] * 8 + [1] * 4, np.repeat([5, 3, 8], 4)
    (found,) = reliability([[0.95, 0.05]] * 12, labels, patients)
    share = found.accuracy_interval(0.95)
    expected = binomtest(2, 3).proportion_ci(0.95, method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high))
