"""Which class is called."""

import numpy as np

from napari_xmag.nets.decision import describe_decision, predict_class


def test_the_second_of_two_classes_is_called_above_the_threshold() -> None:
    probabilities = [[0.5, 0.5], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]
    np.testing.assert_array_equal(predict_class(probabilities), [0, 1, 1, 1])
    np.testing.assert_array_equal(predict_class(probabilities, 0.7), [0, 0, 0, 1])
    np.testing.assert_array_equal(predict_class(probabilities, 0.3), [1, 1, 1, 1])
    assert predict_class([0.4, 0.6], 0.7) == 0


def test_the_most_probable_of_more_classes_is_called() -> None:
    np.testing.assert_array_equal(predict_class([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]], 0.9), [1, 0])


def test_words() -> None:
    assert describe_decision(("a", "b"), 0.5) == ""
    assert describe_decision(("a", "b", "c"), 0.7) == ""
    assert describe_decision(("a", "b"), 0.123) == "b is predicted above 12.3 %"
