"""Which features are whose: ``index.csv`` beside them, and what could not be encoded."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from napari_xmag._about import NOTICE
from napari_xmag.batch.events import SlideEncoded, SlideFailed
from napari_xmag.batch.failed_table import FailedTable, require_own
from napari_xmag.batch.named import SlideNames
from napari_xmag.filenames import INDEX
from napari_xmag.spreadsheets import read_csv, write_csv

_COLUMNS = (
    *("slide", "image", "fingerprint", "folder", "encoder"),
    *("patches", "dimensions", "unreadable", "written", "notice"),
)
_SECONDS = 1.0


class FeatureIndex:
    """The rows of all slides in one store; they grow as the run goes.

    Parameters
    ----------
    store
        Its folder.
    given
        Files and folders that the user named: slides are called relative to them.

    Raises
    ------
    ConfigError
        When a table of that name lies there which is not of this program.
    """

    def __init__(self, store: Path, given: Iterable[Path]) -> None:
        require_own(store / INDEX, _COLUMNS)
        self._store = store
        self._names = SlideNames(given, store)
        self._failed = FailedTable(store)
        self._mine: dict[str, dict[str, str]] = {}
        self._due = 0.0

    def done(self, event: SlideEncoded) -> None:
        """Take in a slide."""
        slide = self._names.of(event.slide)
        self._failed.remove(slide)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        numbers = (event.patches, event.dimensions, event.unreadable)
        named = (slide.slide, slide.image, event.fingerprint, event.folder.name, event.encoder)
        cells = (*named, *map(str, numbers), when, NOTICE)
        self._mine[event.folder.name] = dict(zip(_COLUMNS, cells, strict=True))

    def failed(self, event: SlideFailed) -> None:
        """Take in a failure."""
        self._failed.add(self._names.of(event.slide), event.error)

    def write(self, *, last: bool = False) -> None:
        """Write the tables, at most once a second; all of it now when it is the last time.

        Raises
        ------
        ExportError
            When they cannot be written.
        """
        if not last and time.monotonic() < self._due:
            return
        if self._mine:
            kept = {row["folder"]: row for row in read_csv(self._store / INDEX)}
            there = {name: row for name, row in kept.items() if (self._store / name).is_dir()}
            rows = sorted(
                (there | self._mine).values(), key=lambda row: (row["slide"], row["image"])
            )
            write_csv(self._store / INDEX, _COLUMNS, rows)
        self._failed.write()
        self._due = time.monotonic() + _SECONDS
