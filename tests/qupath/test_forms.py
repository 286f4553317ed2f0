"""JSON of a wrong form is named without its content."""

import pytest

from napari_xmag.qupath.forms import FormError, as_list, as_object, form_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true or false"),
        (1.5, "a number"),
        ("\x1b", "a text"),
        ({}, "an object"),
        ([], "a list"),
    ],
)
def test_what_a_value_is(value: object, words: str) -> None:
    assert form_words(value) == words
    if words != "a list":
        with pytest.raises(FormError, match=f"{words} in place of a list of places"):
            as_list(value, "places")
    if words != "an object":
        with pytest.raises(FormError, match=f"{words} in place of a geometry"):
            as_object(value, "a geometry")
