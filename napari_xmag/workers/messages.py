"""What goes through the pipe between a pool and its worker processes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has started and takes work."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the work on an item yielded.

    Attributes
    ----------
    key
        Of the item.
    event
        What was yielded.
    """

    key: int
    event: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The work on an item has ended.

    Attributes
    ----------
    key
        Of the item.
    error
        What it raised; None when it came to its end.
    """

    key: int
    error: Exception | None = None
