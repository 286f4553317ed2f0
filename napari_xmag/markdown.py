"""Markdown for every report and card: tables, and lines of a length that people can read."""

import re
import textwrap
from collections.abc import Sequence

from napari_xmag.printable import printable

LINE = 120
"""Longest line of wrapped text."""

_ITEM = re.compile(r"\s*([-*]|\d+\.)\s+")
_SPECIAL = re.compile(r"[\\`*\[\]#!~$]")
_FENCE = re.compile(r"\s*(```|~~~)")


def escaped(text: str) -> str:
    """Return words of a table or a file name so that no reader of Markdown or HTML obeys them."""
    return _SPECIAL.sub(r"\\\g<0>", printable(text)).replace("&", "&amp;").replace("<", "&lt;")


def table(heading: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; what a cell holds cannot break it.

    Parameters
    ----------
    heading
        Names of the columns.
    rows
        As many cells each.
    """
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").splitlines())


def wrapped(text: str) -> str:
    """Break the long lines of a text; those of tables, headings and code stay as they are."""
    lines, fenced = [], False
    for line in text.split("\n"):
        fence = bool(_FENCE.match(line))
        fenced ^= fence
        kept = fenced or fence or line.startswith(("|", "#", "    "))
        lines += [line] if kept or len(line) <= LINE else _broken(line)
    return "\n".join(lines)


def _broken(line: str) -> list[str]:
    item = _ITEM.match(line)
    indent = " " * item.end() if item else ""
    return textwrap.wrap(
        line, LINE, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
