"""The file of a worklist: read and written by several windows and commands at once."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path

from napari_xmag._about import NOTICE
from napari_xmag.errors import ResultError, shortened
from napari_xmag.files import parse_json, whole_file
from napari_xmag.review.worklist_row import RowKey, RowStatus, WorklistRow, read_row

FORMAT = "napari-xmag worklist"
FORMAT_VERSION = 1

Rows = Mapping[RowKey, WorklistRow]
Stamp = tuple[int, int, int]

_OUTCOME = {
    *("status", "reason", "headline", "answer", "suspicion", "flags", "area_mm2", "seconds"),
    *("model", "fingerprint", "result", "runner", "began"),
}
"""Fields of a row that tell one thing together."""


def read_rows(path: Path, *, live: bool = False) -> list[WorklistRow]:
    """Read the rows of a list.

    Parameters
    ----------
    live
        Take what is being analyzed as such; see `read_row`.

    Raises
    ------
    ResultError
        When the file is no worklist, or an altered or newer one.
    """
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError("it is not from this program")
        if data["format_version"] > FORMAT_VERSION:
            raise ValueError(f"format version {data['format_version']}, newer than this program")
        return [read_row(item, path.parent, live=live) for item in data["rows"]]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(
            expected=f"a worklist in {path}",
            found=shortened(f"{type(error).__name__}: {error}"),
            hint="Choose a file that napari-xmag saved as a worklist.",
            causes=(error,),
        ) from error


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write rows, each a line of JSON, whole or not at all.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "notice": NOTICE}
    start = json.dumps(head, ensure_ascii=False)[:-1]
    text = f'{start}, "rows": [\n' + ",\n".join(lines) + "\n]}\n"
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def stamp_of(path: Path) -> Stamp | None:
    """Return what tells one state of a file from others; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def merged(base: Rows, ours: Rows, theirs: Rows) -> dict[RowKey, WorklistRow]:
    """Return rows with the changes of both sides; where both changed one thing, ours stands.

    Parameters
    ----------
    base
        What both began with.
    """
    keys = dict.fromkeys((*ours, *theirs))
    rows = ((key, _merged(base.get(key), ours.get(key), theirs.get(key))) for key in keys)
    return {key: row for key, row in rows if row is not None}


def _merged(
    base: WorklistRow | None, ours: WorklistRow | None, theirs: WorklistRow | None
) -> WorklistRow | None:
    if ours is None or theirs is None:  # it was added, or taken off the list, by one of us
        left = theirs if ours is None else ours
        gone = left == base and left is not None and left.status is not RowStatus.RUNNING
        return None if gone else left  # what is being analyzed is not lost to whoever does it
    if base is None:
        base = WorklistRow(ours.slide, ours.image, entry=ours.entry)
    changed = {
        field.name
        for field in fields(WorklistRow)
        if getattr(ours, field.name) != getattr(base, field.name)
    }
    if changed & _OUTCOME:
        changed |= _OUTCOME
    return replace(theirs, **{name: getattr(ours, name) for name in changed})
