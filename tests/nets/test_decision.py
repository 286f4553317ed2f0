"""Which class is called."""

import numpy as np

from napari_xmag.nets.decision import called, rule_in_words


def test_the_second_of_two_classes_is_called_above_the_threshold() -> None:
    probabilities = [[0.5, 0.5], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]
    np.testing.assert_array_equal(called(probabilities), [0, 1, 1, 1])
    np.testing.assert_array_equal(called(probabilities, 0.7), [0, 0, 0, 1])
    np.testing.assert_array_equal(called(probabilities, 0.3), [1, 1, 1, 1])
    assert called([0.4, 0.6], 0.7) == 0


def test_the_most_probable_of_more_classes_is_called() -> None:
    np.testing.assert_array_equal(called([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]], 0.9), [1, 0])


def test_words() -> None:
    assert rule_in_words(("a", "b"), 0.5) == ""
    assert rule_in_words(("a", "b", "c"), 0.7) == ""
    assert rule_in_words(("a", "b"), 0.123) == "b is called above 12.3 %"
