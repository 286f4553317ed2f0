"""Look for lines of the documentation that are too long, and for links that lead nowhere.

A row of a table cannot be broken: it may be longer where that comes from many columns, and not from
a cell that is a paragraph.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST_LINE = 120
LONGEST_CELL = 60
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_FENCE = re.compile(r"^\s*(```|~~~)")


def pages(root: Path) -> list[Path]:
    """Return every Markdown page that people read."""
    found = {*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("models/**/README.md")}
    found |= {*root.glob(".napari-hub/*.md"), *root.glob(".github/**/*.md")}
    return sorted(found)


def problems(page: Path) -> Iterator[str]:
    """Yield what is wrong with a page, each with its line."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        fenced ^= bool(fence)
        if len(line) > LONGEST_LINE and not _is_wide_table(line):
            yield f"{number}: {len(line)} characters, {LONGEST_LINE} at most"
        for target in [] if fenced or fence else _LINK.findall(line):
            if not (page.parent / target).exists():
                yield f"{number}: the link to {target} leads nowhere"


def _is_wide_table(line: str) -> bool:
    cells = line.strip().strip("|").split("|")
    is_row = line.lstrip().startswith("|") and len(cells) > 1
    return is_row and max(len(cell.strip()) for cell in cells) <= LONGEST_CELL


def main(root: Path = ROOT) -> int:
    """Print every problem; return 1 when there is one."""
    found = [
        f"{page.relative_to(root)}:{words}" for page in pages(root) for words in problems(page)
    ]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
