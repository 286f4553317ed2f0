"""Work in threads: heard in order, closed in its own thread, never left hanging."""

import threading
import time
from collections.abc import Generator, Iterator

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QThreadPool

from napari_xmag._gui.shared import jobs as module
from napari_xmag._gui.shared.jobs import Jobs, in_turn, join_tiles, paced
from napari_xmag.analyze.events import AnalyzeEvent, TilesDone, Waiting
from tests._gui.window import PATIENCE

pytestmark = pytest.mark.window


class Work:
    """A generator that remembers how it ended, and where."""

    def __init__(self, error: Exception | None = None, endless: bool = False) -> None:
        self.error = error
        self.endless = endless
        self.closed_in: threading.Thread | None = None

    def __call__(self) -> Iterator[int]:
        try:
            yield 1
            yield 2
            if self.error is not None:
                raise self.error
            while self.endless:
                time.sleep(0.01)
                yield 3
        finally:
            self.closed_in = threading.current_thread()


def test_events_arrive_in_order_in_this_thread(qtbot: QtBot) -> None:
    heard, threads, ended = [], set(), []
    work = Work()

    def hear(event: object) -> None:
        heard.append(event)
        threads.add(threading.current_thread())

    Jobs(pytest.fail).start(work(), hear, lambda: ended.append(True))
    qtbot.waitUntil(lambda: bool(ended), timeout=PATIENCE)

    assert heard == [1, 2]
    assert threads == {threading.main_thread()}
    assert work.closed_in is not threading.main_thread()


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), ValueError("other")])
def test_every_error_is_told_and_ends_the_job(qtbot: QtBot, error: Exception) -> None:
    # RuntimeError above all: superqt's own worker says nothing more after one.
    told, ended = [], []
    Jobs(told.append).start(Work(error)(), lambda _: None, lambda: ended.append(True))
    qtbot.waitUntil(lambda: bool(ended), timeout=PATIENCE)
    assert told == [error]


def test_stop_closes_the_generator_in_its_thread(qtbot: QtBot) -> None:
    heard, ended = [], []
    work = Work(endless=True)
    job = Jobs(pytest.fail).start(work(), heard.append, lambda: ended.append(True))
    qtbot.waitUntil(lambda: 3 in heard, timeout=PATIENCE)

    job.stop()
    said = len(heard)
    qtbot.waitUntil(lambda: bool(ended), timeout=PATIENCE)

    assert len(heard) == said
    assert work.closed_in not in (None, threading.main_thread())


def test_stop_all_waits_for_the_threads_and_is_silent(qtbot: QtBot) -> None:
    heard, ended = [], []
    work = Work(endless=True)
    jobs = Jobs(pytest.fail)
    jobs.start(work(), heard.append, lambda: ended.append(True))
    qtbot.waitUntil(lambda: 3 in heard, timeout=PATIENCE)

    assert jobs.stop_all(PATIENCE / 1000)

    assert work.closed_in is not None
    said = len(heard)
    qtbot.wait(50)
    assert len(heard) == said
    assert not ended


def test_work_that_waits_for_a_slow_disk_holds_up_no_other(qtbot: QtBot) -> None:
    disk = threading.Event()
    slow = [Work() for _ in range(QThreadPool.globalInstance().maxThreadCount() + 2)]

    def read(work: Work) -> Iterator[int]:
        disk.wait()
        yield from work()

    jobs, ended = Jobs(pytest.fail), []
    try:
        for work in slow:
            jobs.start(read(work), lambda _: None)
        jobs.start(Work()(), lambda _: None, lambda: ended.append(True))
        qtbot.waitUntil(lambda: bool(ended), timeout=PATIENCE)
        assert len(jobs.running) == len(slow)
    finally:
        disk.set()
    qtbot.waitUntil(lambda: not jobs.running, timeout=PATIENCE)
    assert all(work.closed_in is not None for work in slow)


def test_no_more_slides_are_encoded_at_once_than_there_are_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_turns", threading.BoundedSemaphore(1))
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.001)

    def encoding(name: str) -> Generator[str, None, str]:
        yield name
        return f"features of {name}"

    def told(work: Generator[str, None, str]) -> Generator[str, None, None]:
        yield (yield from in_turn(work))

    first, second, third = told(encoding("a")), told(encoding("b")), paced(encoding("c"))
    assert next(first) == "a"
    assert isinstance(next(second), Waiting)
    assert isinstance(next(third), Waiting)
    second.close()  # one that is cancelled while it waits takes no turn
    assert next(first) == "features of a"
    assert next(third) == "c"
    fourth = told(encoding("d"))
    assert isinstance(next(fourth), Waiting)
    third.close()  # one that is cancelled under way gives its turn back
    assert next(fourth) == "d"


def tiles(*indices: int) -> TilesDone:
    """A batch whose logits are the tiles' own numbers."""
    where = np.array(indices, np.int64)
    logits = where.astype(np.float32)
    return TilesDone(where, logits, np.stack([logits, -logits], 1), max(indices) + 1, 9, 1, 1, 0)


def test_paced_joins_batches_but_loses_none() -> None:
    def events() -> Iterator[AnalyzeEvent]:
        for index in range(9):
            yield tiles(index)
        yield Waiting("the end")

    for seconds, batches in ((60, [1, 8]), (0, [1] * 9)):  # the first goes through at once
        heard = [event for event in paced(events(), seconds) if isinstance(event, TilesDone)]
        assert [len(event.indices) for event in heard] == batches
        assert np.concatenate([event.indices for event in heard]).tolist() == list(range(9))


def test_paced_says_what_it_holds_before_anything_urgent() -> None:
    urgent = object()

    def events() -> Iterator[object]:
        yield tiles(0)
        yield tiles(1)
        yield tiles(2)
        yield urgent

    heard = list(paced(events(), seconds=60))
    assert heard[-1] is urgent
    assert heard[-2].indices.tolist() == [1, 2]


def test_join_keeps_rows_together() -> None:
    joined = join_tiles([tiles(4, 2), tiles(7)])
    assert joined.indices.tolist() == [4, 2, 7]
    assert joined.attention_logit.tolist() == [4, 2, 7]
    assert joined.patch_evidence[:, 1].tolist() == [-4, -2, -7]
    assert joined.done == 8
