"""Supervised processes: whatever becomes of one of them, each item ends once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_xmag.errors import TissueError, WorkerError
from napari_xmag.workers.pool import Ended, Lost, Pool, Said

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def walk(item: str) -> Iterator[object]:
    """Do what the item is called after."""
    yield "begun"
    match item:
        case "pid":
            yield os.getpid(), os.environ["OMP_NUM_THREADS"]
        case "raise":
            raise TissueError(expected="tissue", found="glass", hint="Look.")
        case "hang":
            while True:
                time.sleep(0.05)
                yield "waiting"
        case _ if item.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[item])


def outcomes(pool: Pool[str], *items: str) -> tuple[dict[str, object], list[object]]:
    """Run the items; return how each ended, and what was said."""
    for number, item in enumerate(items):
        pool.submit(number, item)
    ended: dict[str, object] = {}
    said = []
    for event in pool.events():
        if isinstance(event, Ended | Lost):
            assert items[event.key] not in ended
            ended[items[event.key]] = event.error
        elif isinstance(event, Said):
            said.append(event.event)
    return ended, said


@POSIX
def test_what_kills_a_worker_costs_its_item_alone() -> None:
    pool = Pool(walk, 2, threads=3)
    ended, said = outcomes(pool, "SIGABRT", "raise", "SIGKILL", "pid")
    assert ended.keys() == {"SIGABRT", "raise", "SIGKILL", "pid"}
    assert ended["pid"] is None
    assert isinstance(ended["raise"], TissueError)
    for name in ("SIGABRT", "SIGKILL"):
        assert isinstance(ended[name], WorkerError)
        assert name in str(ended[name])
    (pid, threads), *_ = [event for event in said if isinstance(event, tuple)]
    assert pid != os.getpid()
    assert threads == "3"
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] != "3"


@POSIX
def test_an_item_can_be_tried_again_in_another_process() -> None:
    pool = Pool(walk, 1)
    pool.submit(0, "SIGSEGV")
    lost = 0
    for event in pool.events():
        if isinstance(event, Lost) and (lost := lost + 1) == 1:
            pool.submit(0, "SIGSEGV")
    assert lost == 2


def test_what_hangs_is_ended_and_said() -> None:
    ended, _ = outcomes(Pool(walk, 1, patience=1.0), "hang", "pid")
    assert ended["pid"] is None
    assert "some progress within" in str(ended["hang"])


def test_closing_ends_all_processes() -> None:
    pool = Pool(walk, 2)
    for number, item in enumerate(["hang", "hang", "pid"]):
        pool.submit(number, item)
    events = pool.events()
    begun = 0
    while begun < 2:
        event = next(events)
        begun += isinstance(event, Said) and event.event == "begun"
    processes = [worker.process for worker in pool._workers]
    pids = [process.pid for process in processes]
    assert len(pids) == 2
    events.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@POSIX
def test_no_worker_outlives_a_pool_that_was_killed(tmp_path: Path) -> None:
    code = (
        "from napari_xmag.workers.pool import Pool, Said\n"
        "from tests.workers.test_pool import walk\n"
        "pool = Pool(walk, 1)\n"
        "pool.submit(0, 'hang')\n"
        "for event in pool.events():\n"
        "    if isinstance(event, Said) and event.event == 'begun':\n"
        "        print(pool._workers[0].process.pid, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    gone = Path(f"/proc/{worker}") if sys.platform == "linux" else None
    for _ in range(600):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        if gone is not None and "zombie" in (gone / "status").read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the worker lives on")


def no_start(item: str) -> Iterator[object]:
    yield item


def test_processes_that_cannot_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_xmag.workers.pool.serve", sys.exit)
    pool = Pool(no_start, 1)
    pool.submit(0, "item")
    with pytest.raises(WorkerError, match="worker processes to start"):
        list(pool.events())
