"""Supervised worker processes: what kills or holds up one of them costs one item, not the run."""

import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from napari_xmag.errors import WorkerError
from napari_xmag.progress.heartbeat import BEAT_SECONDS
from napari_xmag.workers.messages import Ended, Ready, Said
from napari_xmag.workers.process import serve

__all__ = ["Ended", "Lost", "Pool", "Said"]

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

_SECONDS_TO_LEAVE = 5.0
_MOST_FAILED_STARTS = 3


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker died, or was ended, while it worked on an item.

    Attributes
    ----------
    key
        Of the item.
    hung
        Whether it was ended because nothing moved for too long.
    error
        What happened to it.
    """

    key: int
    hung: bool
    error: WorkerError


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    ready: bool = False
    key: int | None = None
    moved: float = field(default_factory=time.monotonic)
    last: Any = None


class Pool(Generic[Item]):
    """Does the same work on many items, each in one of several processes.

    Parameters
    ----------
    work
        A function that other processes can import, or another thing that can be pickled and
        called: it returns a generator for an item, whose events must go through a pipe.
    workers
        How many processes; no more are started than there are items.
    threads
        Cores that each process computes with.
    patience
        Seconds without any change after which a worker is ended; never when None. An event equal
        to the last one is no change.
    """

    def __init__(
        self,
        work: Callable[[Item], Iterator[Any]],
        workers: int,
        *,
        threads: int = 1,
        patience: float | None = None,
    ) -> None:
        self._work = work
        self._most = workers
        self._threads = threads
        self._patience = patience
        self._waiting: deque[tuple[int, Item]] = deque()
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    def submit(self, key: int, item: Item) -> None:
        """Add an item, also while `events` runs."""
        self._waiting.append((key, item))

    def events(self) -> Generator[Said | Ended | Lost | None, None, None]:
        """Yield what happens until all items are done; None where nothing did for a moment.

        Every item ends with `Ended` or `Lost`; submit it again to try it again, in another process.
        Closing the generator ends all processes.

        Raises
        ------
        WorkerError
            When no process can be started.
        """
        try:
            while self._waiting or any(worker.key is not None for worker in self._workers):
                self._employ()
                quiet = True
                for worker in self._spoken():
                    for event in self._hear(worker):
                        quiet = False
                        yield event
                for lost in self._lose_hung():
                    quiet = False
                    yield lost
                if quiet:
                    yield None
        finally:
            self._end_all()

    def _employ(self) -> None:
        """Start workers that are missing, and give work to those that have none."""
        busy = sum(worker.key is not None for worker in self._workers)
        wanted = min(self._most, busy + len(self._waiting))
        while len(self._workers) < wanted:
            self._workers.append(self._start())
        for worker in self._workers:
            if worker.ready and worker.key is None and self._waiting:
                with suppress(OSError):  # it has died: that is heard of next
                    worker.pipe.send(self._waiting[0])
                    worker.key, _ = self._waiting.popleft()
                    worker.moved, worker.last = time.monotonic(), None

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        process = context.Process(
            target=serve, args=(self._work, theirs, level), name="xmag-worker", daemon=True
        )
        with _threads_of_children(self._threads):
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _spoken(self) -> list[_Worker]:
        by_pipe = {worker.pipe: worker for worker in self._workers}
        return [by_pipe[pipe] for pipe in wait(list(by_pipe), BEAT_SECONDS)]  # type: ignore[index]

    def _hear(self, worker: _Worker) -> Generator[Said | Ended | Lost, None, None]:
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, Ready):
                    worker.ready, self._failed_starts = True, 0
                    continue
                if isinstance(message, Ended):
                    worker.key = None
                elif message.event != worker.last:
                    worker.moved, worker.last = time.monotonic(), message.event
                yield message
        except (EOFError, OSError):
            yield from self._bury(worker)

    def _bury(self, worker: _Worker) -> Generator[Lost, None, None]:
        """Note that a worker has died, and what it worked on."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join(_SECONDS_TO_LEAVE)
        how = _how_it_ended(worker.process.exitcode)
        worker.process.close()
        if worker.key is not None:
            yield Lost(worker.key, False, _died(how))
        elif not worker.ready:
            self._failed_starts += 1
            _log.warning("A worker process %s before it took any work", how)
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise _no_start(how)

    def _lose_hung(self) -> Iterator[Lost]:
        if self._patience is None:
            return
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.key is not None and now - worker.moved > self._patience:
                self._workers.remove(worker)
                _end([worker], 0.0)
                yield Lost(worker.key, True, _hung(self._patience))

    def _end_all(self) -> None:
        workers, self._workers = self._workers, []
        _end(workers, _SECONDS_TO_LEAVE)


def _end(workers: list[_Worker], patience: float) -> None:
    """End processes: those that are idle see their pipe close, others are told to leave."""
    for worker in workers:
        worker.pipe.close()
        if worker.key is not None:
            worker.process.terminate()
    deadline = time.monotonic() + patience
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0.0))
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        worker.process.close()


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Let processes that start within the block compute with so many cores."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = " (the system does so where memory runs out)" if name == "SIGKILL" else ""
    return f"was ended by {name}{why}"


def _died(how: str) -> WorkerError:
    return WorkerError(
        expected="the worker process to finish",
        found=f"that it {how}",
        hint="The file may be damaged, or memory may have run out: try it alone, with fewer "
        "--workers.",
    )


def _hung(seconds: float) -> WorkerError:
    return WorkerError(
        expected=f"some progress within {seconds / 60:.3g} min",
        found="none, so its worker process was stopped",
        hint="The file may be damaged, or its drive may not be responding. --patience sets the "
        "limit.",
    )


def _no_start(how: str) -> WorkerError:
    return WorkerError(
        expected="worker processes to start",
        found=f"that each {how}",
        hint="Run with --workers 0, which needs none; -v says more.",
    )
