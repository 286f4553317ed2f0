"""Keys in the settings of a result that several parts of the program read."""

from collections.abc import Mapping
from typing import Any

REQUESTED = "requested"
"""What was asked for, which another run can compare."""

ENTRY = "entry"
"""Within it: which image of QuPath the result is of; missing for a plain slide."""

PLANE = "plane"
"""Within it: on which focal plane QuPath shows the slide, from 0; missing where there is one."""

DRAWN = "drawn"
"""A digest of the regions, or of the painted mask, that a window's user made for the result."""


def requested_plane(settings: Mapping[str, Any]) -> int | None:
    """Return on which focal plane QuPath shows the slide of a result; None where none is stated."""
    stated = _requested(settings).get(PLANE)
    return stated if isinstance(stated, int) else None


def entry_of(settings: Mapping[str, Any]) -> str:
    """Return which image of QuPath a result with these settings is of; empty for a plain slide."""
    return str(_requested(settings).get(ENTRY) or "")


def with_entry(settings: Mapping[str, Any], entry: str) -> dict[str, Any]:
    """Return settings that say which image of QuPath their result is of."""
    return {**settings, REQUESTED: {**_requested(settings), ENTRY: entry}}


def drawn_digest(settings: Mapping[str, Any]) -> str:
    """Return the digest of what was drawn or painted for a result; empty where it is not known."""
    return str(settings.get(DRAWN) or "")


def with_drawn(settings: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Return settings that say what was drawn or painted for their result."""
    return {**settings, DRAWN: digest}


def _requested(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    stated = settings.get(REQUESTED)
    return stated if isinstance(stated, Mapping) else {}
