"""Agreement of an encoder with a teacher, on features whose relation is known."""

import numpy as np
import pytest

from napari_xmag.stats.agreement import agreement, cells_as_rows

DRAW = np.random.default_rng(0)


def test_an_encoder_that_knows_all_agrees_and_one_that_knows_nothing_does_not() -> None:
    teacher = DRAW.normal(size=(600, 4)) + 5
    knows = teacher @ DRAW.normal(size=(4, 6)) + 3  # linear, turned and moved
    ignorant = DRAW.normal(size=(600, 6))

    def of(encoder: np.ndarray) -> float:
        return agreement((encoder[:400], teacher[:400]), (encoder[400:], teacher[400:]))

    assert of(knows) > 0.98
    assert abs(of(ignorant)) < 0.2
    both = np.concatenate([knows[:, :2], ignorant], 1)
    assert of(ignorant) < of(both) < of(knows)


def test_the_cosine_is_that_of_deviations_from_the_training_mean() -> None:
    # One feature x, standardized to ±1; teacher (10 + x, 0): predicted along the first axis.
    x = np.array([[-1.0], [1.0]] * 50)
    training = (x, np.concatenate([10 + x, np.zeros_like(x)], 1))
    # 0° twice, 90°, 180°: the mean of 1, 1, 0 and −1.
    testing = (
        np.array([[1.0], [-2.0], [1.0], [1.0]]),
        np.array([[12.0, 0.0], [9.0, 0.0], [10.0, 3.0], [9.0, 0.0]]),
    )
    assert agreement(training, testing) == pytest.approx((1 + 1 + 0 - 1) / 4)


def test_cells_become_rows_in_order() -> None:
    values = np.arange(24).reshape(2, 4, 3)
    assert cells_as_rows(values)[5].tolist() == values[1, 1].tolist()
