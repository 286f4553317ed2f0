"""A log that is only ever added to: no process loses what another one wrote."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_xmag.errors import ExportError
from napari_xmag.files import parse_json, whole_file

_log = logging.getLogger(__name__)

_WAIT_SECONDS = 10.0
_MOST_BYTES = 2**20

Record = Mapping[str, Any]


class RecordLog:
    """Records of one slide, one line of JSON each.

    A record is added by one write at the end of the file. Where a process is killed in the middle
    of it, that record alone is lost: each begins with a line break of its own.

    Parameters
    ----------
    path
        The file; made with the first record.
    latest
        Returns the records that still count, of all; a log of more than a megabyte is rewritten
        with these alone.
    """

    def __init__(self, path: Path, latest: Callable[[list[Record]], list[Record]] = list) -> None:
        self._path = path
        self._latest = latest

    def add(self, record: Record) -> None:
        """Write a record.

        Raises
        ------
        ExportError
            When it cannot be written.
        """
        line = f"\n{json.dumps(record, ensure_ascii=False, allow_nan=False)}\n".encode()
        with self._alone():
            with self._path.open("ab", buffering=0) as stream:
                stream.write(line)
            if self._path.stat().st_size > _MOST_BYTES:
                self._rewrite()

    def records(self) -> list[Record]:
        """Return all whole records, oldest first."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            _log.warning("Reviews in %s cannot be read: %s", self._path, error)
            return []
        return list(_whole(content, self._path))

    def _rewrite(self) -> None:
        lines = (json.dumps(record, ensure_ascii=False) for record in self._latest(self.records()))
        with whole_file(self._path) as part:
            part.write_text("".join(f"\n{line}\n" for line in lines), encoding="utf-8")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out; the system lets go of the lock of a process that dies."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock", timeout=_WAIT_SECONDS):
                yield
        except Timeout as error:
            raise _refusal(self._path, "another program that is writing to it", error) from error
        except ExportError:
            raise
        except OSError as error:
            raise _refusal(self._path, error.strerror or str(error), error) from error


def _whole(content: bytes, path: Path) -> Iterator[Record]:
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except ValueError:
            _log.warning("A record in %s was cut when a program ended; it is left out", path)
            continue
        if isinstance(record, dict):
            yield record


def _refusal(path: Path, found: str, error: Exception) -> ExportError:
    return ExportError(
        expected=f"to save the review in {os.fspath(path.parent)}",
        found=found,
        hint="Check that the folder is writable and has free space, or set NAPARI_XMAG_HOME to "
        "another folder.",
        causes=(error,),
    )
