"""Tables in Markdown, for every report and card."""

from collections.abc import Sequence


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
