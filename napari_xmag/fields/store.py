"""Random access to the fields of shards, from many threads."""

import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xmag.fields.shards import FieldRecord, broken_field, decode_field

A = TypeVar("A")
B = TypeVar("B")


class FieldStore:
    """The pixels of fields by their row; safe for many threads.

    Parameters
    ----------
    folder
        Of the shards.
    records
        The fields.
    """

    def __init__(self, folder: Path, records: Sequence[FieldRecord]) -> None:
        self.records = tuple(records)
        self._folder = folder
        self._places: dict[str, dict[str, tuple[int, int]]] = {}
        self._lock = Lock()

    def read(self, row: int) -> NDArray[np.uint8]:
        """Return the pixels (S, S, 3) of a field.

        Raises
        ------
        ConfigError
            When its shard is missing or broken, or it is not what the index says.
        """
        record = self.records[row]
        try:
            start, size = self._shard(record.shard)[f"{record.key}.jpg"]
            with (self._folder / record.shard).open("rb") as stream:
                stream.seek(start)
                data = stream.read(size)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise broken_field(record, f"{type(error).__name__}: {error}", [error]) from error
        return decode_field(data, record)

    def _shard(self, name: str) -> dict[str, tuple[int, int]]:
        """Return where in a shard its files begin, and their sizes."""
        with self._lock:
            if name not in self._places:
                with tarfile.open(self._folder / name, "r:") as shard:
                    self._places[name] = {
                        member.name: (member.offset_data, member.size) for member in shard
                    }
            return self._places[name]


def prefetch(items: Iterable[A], make: Callable[[A], B], threads: int) -> Iterator[B]:
    """Yield what ``make`` makes of each item, in order, while threads make the next ones.

    Without threads each is made when it is asked for.
    """
    if threads == 0:
        yield from map(make, items)
        return
    coming = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="xmag-fields") as pool:
        made: list[Future[B]] = [pool.submit(make, item) for item in islice(coming, 2 * threads)]
        try:
            while made:
                done = made.pop(0).result()
                made += [pool.submit(make, item) for item in islice(coming, 1)]
                yield done
        finally:
            for future in made:
                future.cancel()
