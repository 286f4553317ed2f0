"""Long work in a thread of its own, heard in the GUI thread, stopped within a moment."""

import logging
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from threading import BoundedSemaphore
from threading import Event as Flag
from typing import Any, TypeVar

import numpy as np
from qtpy.QtCore import QCoreApplication, QObject, QThread, QThreadPool, Signal, Slot
from superqt.utils import GeneratorWorker

from napari_xmag.analyze.events import AnalyzeEvent, TilesDone, Waiting
from napari_xmag.progress.heartbeat import BEAT_SECONDS

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


REPAINT_SECONDS = 0.25
"""The window hears of new tiles at most this often."""

THREADS = max(32, QThread.idealThreadCount())
"""For all windows; most jobs wait for a disk, and those that compute wait for their turn."""

_POOL = "napari-xmag jobs"

_turns = BoundedSemaphore(max(1, QThread.idealThreadCount()))


class _Worker(GeneratorWorker[Any, None, None]):
    """Walks a generator and closes it in the same thread, however the walk ends.

    superqt's own walk leaves the generator open when it is told to quit, and takes any
    RuntimeError (PyTorch raises nothing else) for a deleted worker, after which it says nothing.
    """

    def __init__(self, events: Generator[object, None, Any]) -> None:
        super().__init__(_each, events)
        self._events = events
        self.over = Flag()

    def start(self) -> None:
        """Begin in a thread of the jobs' own.

        Qt's common pool has a thread for each core: two slow disks would hold up all other work.
        """
        self._worker_set.add(self)  # kept alive until its last signal was heard
        self._finished.connect(self._set_discard)
        _threads().start(self)

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.over.set()

    def work(self) -> None:
        with closing(self._events) as events:
            for event in events:
                if self.abort_requested:
                    return
                self.yielded.emit(event)
                del event  # what was handed over must not be kept alive here


def _threads() -> QThreadPool:
    """Return the pool of all jobs; it lives as long as the application."""
    app = QCoreApplication.instance()
    assert app is not None  # a window runs jobs, and there is none without
    pool = app.findChild(QThreadPool, _POOL)
    if pool is None:
        pool = QThreadPool(app)
        pool.setObjectName(_POOL)
        pool.setMaxThreadCount(THREADS)
        app.aboutToQuit.connect(partial(_end_all, pool))
    return pool


def _end_all(pool: QThreadPool) -> None:
    """End what no window has ended, before the objects go to which it speaks."""
    for worker in tuple(_Worker._worker_set):
        worker.quit()
    pool.waitForDone()


def _each(events: Generator[object, None, Any]) -> Generator[object, None, None]:
    yield from events


class Job(QObject):
    """One piece of work; its signals arrive in the GUI thread.

    Attributes
    ----------
    heard
        Something that the generator yielded.
    failed
        The exception that ended it.
    ended
        Always the last signal: done, failed or stopped.
    """

    heard = Signal(object)
    failed = Signal(object)
    ended = Signal()

    def __init__(
        self, events: Generator[object, None, Any], forget: Callable[["Job"], None]
    ) -> None:
        super().__init__()
        self._forget = forget
        self._worker = _Worker(events)
        self._worker.yielded.connect(self._hear)
        self._worker.errored.connect(self._fail)
        self._worker.warned.connect(self._warn)
        self._worker.finished.connect(self._end)  # type: ignore[arg-type]  # it carries nothing
        self._deaf = False
        self.stopping = False

    def start(self) -> None:
        """Begin in a thread."""
        self._worker.start()

    def stop(self) -> None:
        """Ask the work to end at its next event; what it still says is not heard."""
        self.stopping = True
        self._worker.quit()

    def abandon(self) -> None:
        """Stop and say nothing any more: whoever listened is going away."""
        self._deaf = True
        self.stop()

    def wait(self, seconds: float) -> bool:
        """Block until the thread is free; True when it is."""
        return self._worker.over.wait(seconds)

    @Slot(object)
    def _hear(self, event: object) -> None:
        if not self.stopping:
            self.heard.emit(event)

    @Slot(object)
    def _fail(self, error: Exception) -> None:
        if not self._deaf:
            self.failed.emit(error)

    @Slot(tuple)
    def _warn(self, warning: tuple[object, ...]) -> None:
        _log.warning("%s", warning[0])

    @Slot()
    def _end(self) -> None:
        if not self._deaf:
            self.ended.emit()
        # Python's collector may run in any thread, where it must find no cycle with a QObject.
        for signal in (self.heard, self.failed, self.ended):
            signal.disconnect()
        self._forget(self)


class Jobs:
    """All the work that one window has under way."""

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._running: set[Job] = set()

    @property
    def running(self) -> frozenset[Job]:
        """What is under way now."""
        return frozenset(self._running)

    def start(
        self,
        events: Generator[object, None, Any],
        hear: Callable[[Any], None],
        end: Callable[[], None] | None = None,
        fail: Callable[[Exception], None] | None = None,
    ) -> Job:
        """Run a generator in a thread.

        Parameters
        ----------
        events
            The generator; it runs and is closed in the thread.
        hear
            Gets what it yields.
        end
            Called last, however it ended.
        fail
            Gets the error that ended it, in place of the window's own way to tell it.
        """
        job = Job(events, self._running.discard)
        self._running.add(job)
        job.heard.connect(hear)
        job.failed.connect(fail or self._on_error)
        job.ended.connect(end or _nothing)
        job.start()
        return job

    def stop_all(self, seconds: float = 5.0) -> bool:
        """End everything; True when all threads are free."""
        jobs, self._running = self._running, set()
        for job in jobs:
            job.abandon()
        until = time.monotonic() + seconds
        return all(job.wait(max(0.0, until - time.monotonic())) for job in jobs)


def _nothing() -> None:
    """End without a word."""


def in_turn(work: Generator[Any, None, _T]) -> Generator[Any, None, _T]:
    """Encode a slide as soon as fewer are being encoded than the machine has cores.

    Until then heartbeats are yielded.
    """
    with closing(work):
        while not _turns.acquire(timeout=BEAT_SECONDS):
            yield Waiting("Waiting for other slides")
        try:
            return (yield from work)
        finally:
            _turns.release()


def paced(
    events: Generator[AnalyzeEvent, None, None], seconds: float = REPAINT_SECONDS
) -> Generator[AnalyzeEvent, None, None]:
    """Analyze `in_turn`, but join the tiles that come within ``seconds`` of one another.

    A fast GPU finishes far more batches than a window can paint, and Qt's queue has no bound.
    """
    gathered: list[TilesDone] = []
    last = -seconds
    with closing(in_turn(events)) as open_events:
        for event in open_events:
            if isinstance(event, TilesDone):
                gathered.append(event)
            urgent = not isinstance(event, TilesDone | Waiting)
            if gathered and (urgent or time.monotonic() - last >= seconds):
                yield join_tiles(gathered)
                gathered, last = [], time.monotonic()
            if not isinstance(event, TilesDone):
                yield event
        if gathered:
            yield join_tiles(gathered)


def join_tiles(events: list[TilesDone]) -> TilesDone:
    """Make one event of several; the counts are those of the last."""
    last = events[-1]
    return TilesDone(
        indices=np.concatenate([event.indices for event in events]),
        attention_logit=np.concatenate([event.attention_logit for event in events]),
        patch_evidence=np.concatenate([event.patch_evidence for event in events]),
        done=last.done,
        total=last.total,
        tiles_per_second=last.tiles_per_second,
        seconds_left=last.seconds_left,
        unreadable=last.unreadable,
    )


def awaited(call: Callable[[], _T], stage: str) -> Generator[Waiting, None, _T]:
    """Run a call that cannot be interrupted, yielding heartbeats until it returns.

    Closing this generator leaves the call to end on its own.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="xmag-await")
    try:
        future = pool.submit(call)
        while not wait([future], BEAT_SECONDS).done:
            yield Waiting(stage)
        return future.result()
    finally:
        pool.shutdown(wait=False)
