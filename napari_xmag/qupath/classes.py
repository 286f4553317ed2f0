"""Names and colours of QuPath's classes."""

import colorsys
import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

from napari_xmag.printable import printable
from napari_xmag.qupath.forms import FormError, form_words

RGB = tuple[int, int, int]

UNCLASSIFIED = "Unclassified"
"""What QuPath shows for an object without a class."""

XMAG = "XMAG"
"""The class under which everything that this program adds is kept apart from the user's own."""

_OWN_NAME = re.compile(
    rf"{XMAG} (hotspot \d+|area \d+(: \S+ mm²)?|review \d+(, \d+)?: (right|wrong|comment))"
)
"""As we name annotations; one that somebody has renamed is theirs."""

_QUPATHS: dict[str, RGB] = {
    "tumor": (200, 0, 0),
    "stroma": (150, 200, 150),
    "immune cells": (160, 90, 160),
    "necrosis": (50, 50, 50),
    "other": (255, 200, 0),
    "region*": (0, 0, 180),
    "ignore*": (180, 180, 180),
    "positive": (200, 50, 50),
    "negative": (90, 90, 180),
}

_COMMON: dict[str, RGB] = {
    "tumour": (200, 0, 0),
    "malignant": (200, 0, 0),
    "cancer": (200, 0, 0),
    "benign": (80, 160, 80),
    "normal": (80, 160, 80),
}
"""Not QuPath's, but what nearly every slide model tells apart."""

# of a class in letters: as long as a label may be, and what is shown of one that is longer
_LONGEST, _HEAD, _TAIL = 100, 60, 20
_TOLD_APART = 150.0
_HUES = 12


def class_names(classification: Any) -> tuple[str, ...]:
    """Return the parts of a class as a GeoJSON file states it; empty for no class.

    QuPath has written a text (``"Tumor: Positive"``), an object with ``name`` or ``names``, and, up
    to 0.3, a chain of ``parentClass``.

    They are as `plain_name` returns them.

    Raises
    ------
    FormError
        When it is none of these.
    """
    if classification is None or classification == {}:
        return ()
    if isinstance(classification, str):
        return _split(classification)
    if not isinstance(classification, dict):
        raise FormError(f"a class that is {form_words(classification)}")
    names = classification.get("names") or [classification.get("name") or ""]
    if not isinstance(names, list):
        raise FormError(f"a class whose names are {form_words(names)}")
    above = class_names(classification.get("parentClass"))
    return (*above, *(part for name in names for part in _split(_text(name))))


def _text(name: Any) -> str:
    if isinstance(name, (dict, list)):
        raise FormError(f"a class whose name is {form_words(name)}")
    return str(name)


def _split(name: str) -> tuple[str, ...]:
    # QuPath parts a derived class from its parent by a colon
    return tuple(part for text in name.split(":") if (part := plain_name(text)))


def plain_name(text: str) -> str:
    """Return a name of a file's own on one line: it may hold what commands a terminal.

    Blanks of every kind, and several of them, are one; what cannot be seen is written as its
    number, so that names which differ stay apart.
    """
    return printable(" ".join(text.split()))


def class_words(names: Sequence[str]) -> str:
    """Return a class as QuPath shows it: ``Tumor: Positive``.

    Of one that is longer than a line, beginning and end, with a mark between them in which it
    differs from others.
    """
    words = ": ".join(names)
    if len(words) <= _LONGEST:
        return words or UNCLASSIFIED
    mark = zlib.crc32(words.encode("utf-8", "surrogatepass"))
    return f"{words[:_HEAD].rstrip(': ')}…{mark:08x}…{words[-_TAIL:].lstrip(': ')}"


def is_ignored(names: Sequence[str]) -> bool:
    """Return whether a class is starred (``Ignore*``): QuPath leaves it out of measuring."""
    return any(name.endswith("*") for name in names)


def is_ours(names: Sequence[str], name: str) -> bool:
    """Return whether an annotation is one that this program added, and none of the user's.

    The class alone does not say so: once it is in QuPath's list, a user may choose it too. The
    script for QuPath goes by the same rule.

    Parameters
    ----------
    names
        The parts of its class.
    name
        Its own name.
    """
    return bool(names) and names[0] == XMAG and _OWN_NAME.fullmatch(name) is not None


def is_our_patch(name: str) -> bool:
    """Return whether a tile is a patch that this program exported, by its name."""
    return name.startswith(f"{XMAG} patch ")


def class_color(name: str) -> RGB:
    """Return QuPath's colour of a class, or one of its own that stays the same for its name."""
    plain = name.strip().casefold()
    known = _QUPATHS.get(plain, _COMMON.get(plain))
    return known if known is not None else _strong(_hue(plain))


def distinct_color(name: str, others: Sequence[RGB]) -> RGB:
    """Return the colour of a class beside others: QuPath's own, or one that is told from theirs.

    It is `class_color` where that differs enough from the others, else the one that differs most.
    """
    own, plain = class_color(name), name.strip().casefold()

    def apart(color: RGB) -> float:
        return min((_difference(color, other) for other in others), default=_TOLD_APART)

    if plain in _QUPATHS or apart(own) >= _TOLD_APART:
        return own
    return max((_strong(_hue(plain) + step / _HUES) for step in range(_HUES)), key=apart)


def _hue(plain: str) -> float:
    return zlib.crc32(plain.encode()) / 2**32


def _strong(hue: float) -> RGB:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, 0.75, 0.8)
    return round(255 * red), round(255 * green), round(255 * blue)


def _difference(one: RGB, two: RGB) -> float:
    """Return about how different colours look (https://www.compuphase.com/cmetric.htm)."""
    red, green, blue = (a - b for a, b in zip(one, two, strict=True))
    mean = (one[0] + two[0]) / 2 / 256
    return math.sqrt((2 + mean) * red**2 + 4 * green**2 + (3 - mean) * blue**2)


def stated_color(classification: Any) -> RGB | None:
    """Return the colour of a class as a GeoJSON file states it; None where it does not.

    QuPath has written three numbers, four where it is translucent, and, up to 0.3, one number.
    """
    stated = classification if isinstance(classification, dict) else {}
    color = stated.get("color", stated.get("colorRGB"))
    if type(color) is int:
        return color >> 16 & 255, color >> 8 & 255, color & 255
    parts = color[:3] if isinstance(color, list) else ()
    if len(parts) == 3 and all(type(part) is int and 0 <= part <= 255 for part in parts):
        return parts[0], parts[1], parts[2]
    return None


def classification(names: Sequence[str], color: RGB) -> dict[str, Any]:
    """Return a class as QuPath writes it; without a colour QuPath would refuse it."""
    parts = [part for name in names for part in _split(" ".join(name.split()))]
    key: dict[str, Any] = {"name": parts[0]} if len(parts) == 1 else {"names": parts}
    return {**key, "color": list(color)}
