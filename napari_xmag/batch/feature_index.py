"""Which features are whose: ``index.csv`` beside them, and what could not be encoded."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from napari_xmag._about import NOTICE
from napari_xmag.batch.events import SlideEncoded, SlideFailed
from napari_xmag.batch.failed_table import FailedTable, require_own
from napari_xmag.batch.named import FILE, PROJECT, HeardSlides, SlideNames
from napari_xmag.filenames import INDEX
from napari_xmag.spreadsheets import read_csv, write_csv

_COLUMNS = (
    *("slide", "image", "fingerprint", "folder", "encoder"),
    *("patches", "dimensions", "unreadable", "written", "notice"),
)
_LATER = ("regions", PROJECT, FILE)
"""Columns that tables of earlier versions do not have."""

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
        self._heard: dict[str, HeardSlides] = {}
        self._mine: dict[tuple[str, tuple[str, str]], dict[str, str]] = {}
        self._due = 0.0

    def done(self, event: SlideEncoded) -> None:
        """Take in a slide."""
        slide = self._names.of(event.slide)
        self._failed.remove(slide)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        numbers = (event.patches, event.dimensions, event.unreadable)
        folder = event.folder.name
        named = (slide.slide, slide.image, event.fingerprint, folder, event.encoder)
        later = (event.regions, slide.project, slide.file)
        cells = (*named, *map(str, numbers), when, NOTICE, *later)
        # several images of QuPath, or copies of a slide, may share the features of one
        self._heard.setdefault(folder, HeardSlides(self._store)).add(slide)
        self._mine[folder, slide.key] = dict(zip((*_COLUMNS, *_LATER), cells, strict=True))

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
            kept = [row for row in read_csv(self._store / INDEX) if self._stays(row)]
            rows = sorted([*kept, *self._mine.values()], key=_order)
            write_csv(self._store / INDEX, (*_COLUMNS, *_LATER), rows)
        self._failed.write()
        self._due = time.monotonic() + _SECONDS

    def _stays(self, row: dict[str, str]) -> bool:
        """Return whether a row of an earlier run is still true."""
        heard = self._heard.get(row["folder"])
        return (self._store / row["folder"]).is_dir() and not (heard and heard.has(row))


def _order(row: dict[str, str]) -> tuple[str, ...]:
    return row["slide"], row["image"], row.get(PROJECT, ""), row["folder"]
