"""``failed.csv``: what has no result, and why."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from napari_xmag._about import NOTICE
from napari_xmag.batch.named import FILE, PROJECT, HeardSlides, NamedSlide
from napari_xmag.errors import ConfigError
from napari_xmag.filenames import FAILED_TABLE
from napari_xmag.spreadsheets import read_columns, read_csv, write_csv

_COLUMNS = ("slide", "image", "reason", "when", "notice")


class FailedTable:
    """The table; gone when nothing failed.

    Parameters
    ----------
    out
        Its folder.

    Raises
    ------
    ConfigError
        When a table of that name lies there which is not of this program.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / FAILED_TABLE
        require_own(self._path, _COLUMNS)
        self._mine: dict[tuple[str, str], dict[str, str] | None] = {}
        self._heard = HeardSlides(out)

    @property
    def changed(self) -> bool:
        """Whether anything was heard."""
        return bool(self._mine)

    def add(self, slide: NamedSlide, error: Exception) -> None:
        """Take in a failure."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        reason = " ".join(str(error).split())
        cells = (slide.slide, slide.image, reason, when, NOTICE)
        row = dict(zip(_COLUMNS, cells, strict=True))
        self._hear(slide, {**row, PROJECT: slide.project, FILE: slide.file})

    def remove(self, slide: NamedSlide) -> None:
        """Forget a failure: the slide has succeeded."""
        self._hear(slide, None)

    def write(self) -> list[dict[str, str]]:
        """Write the table; return its rows, those of earlier runs too."""
        kept = [row for row in read_csv(self._path) if not self._heard.has(row)]
        rows = [*kept, *filter(None, self._mine.values())]
        rows.sort(key=lambda row: (row["slide"], row["image"], row.get(PROJECT, "")))
        if rows:
            write_csv(self._path, (*_COLUMNS, PROJECT, FILE), rows)
        else:
            self._path.unlink(missing_ok=True)
        return rows

    def _hear(self, slide: NamedSlide, row: dict[str, str] | None) -> None:
        self._heard.add(slide)
        self._mine[slide.key] = row


def require_own(path: Path, columns: Iterable[str]) -> None:
    """Refuse to write over a table that is not of this program.

    Raises
    ------
    ConfigError
        When there is one.
    """
    if path.exists() and not set(columns) <= set(read_columns(path)):
        raise ConfigError(
            expected=f"{path.name} in {path.parent} to be a table of this program",
            found="another one, which would be overwritten",
            hint="Move it away, or choose another folder with --out.",
        )
