"""Tables for the terminal."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: int = 0) -> str:
    """Lay out rows in columns; the last column is as wide as it likes."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(" " * indent + line for line in lines)
