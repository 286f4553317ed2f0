"""What is said of JSON that has another form than expected."""

from collections.abc import Mapping, Sequence
from typing import Any


class FormError(ValueError):
    """JSON of a wrong form; its message is said of the file, after "with"."""


def form_words(value: Any) -> str:
    """Return what a JSON value is, in words that need none of its content."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "an object" if isinstance(value, Mapping) else "a list"


def as_list(value: Any, what: str) -> Sequence[Any]:
    """Return a value that is a list.

    Raises
    ------
    FormError
        When it is none; ``what`` says what a list would be.
    """
    if not isinstance(value, (list, tuple)):
        raise FormError(f"{form_words(value)} in place of a list of {what}")
    return value


def as_object(value: Any, what: str) -> Mapping[str, Any]:
    """Return a value that is an object.

    Raises
    ------
    FormError
        When it is none; ``what`` says what it would be, with its article.
    """
    if not isinstance(value, Mapping):
        raise FormError(f"{form_words(value)} in place of {what}")
    return value
