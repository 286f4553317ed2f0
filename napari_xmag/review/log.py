"""A log that is only ever added to: no process loses what another one wrote."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from napari_xmag.errors import ExportError
from napari_xmag.files import parse_json, whole_file
from napari_xmag.locks import FileBusyError, surely_alone

_log = logging.getLogger(__name__)

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
                _write_whole(stream, line)
            if self._path.stat().st_size > _MOST_BYTES:
                self._rewrite()

    def records(self) -> list[Record]:
        """Return all whole records, oldest first."""
        try:
            return self._read()
        except FileNotFoundError:
            return []
        except OSError as error:
            _log.warning("Reviews in %s cannot be read: %s", self._path, error)
            return []

    def _read(self) -> list[Record]:
        return list(_whole(self._path.read_bytes(), self._path))

    def _rewrite(self) -> None:
        """Leave out what counts no longer; where that cannot be done, the log stays as it is."""
        try:
            lines = [json.dumps(each, ensure_ascii=False) for each in self._latest(self._read())]
            with whole_file(self._path) as part:
                part.write_text("".join(f"\n{line}\n" for line in lines), encoding="utf-8")
        except (OSError, ExportError) as error:
            _log.warning("%s could not be shortened: %s", self._path, error)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out; the system lets go of the lock of a process that dies."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with surely_alone(self._path):
                yield
        except FileBusyError as error:
            raise _refusal(self._path, "another program that is writing to it", error) from error
        except ExportError:
            raise
        except OSError as error:
            raise _refusal(self._path, error.strerror or str(error), error) from error


def _write_whole(stream: FileIO, line: bytes) -> None:
    """Write a line at the end of a file; of one that does not fit, as on a full disk, nothing."""
    end = os.fstat(stream.fileno()).st_size
    try:
        rest = memoryview(line)
        while rest:  # the system may take a part, and say only at the next one why not all
            rest = rest[stream.write(rest) :]
    except OSError:
        with suppress(OSError):
            stream.truncate(end)
        raise


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
