"""Several windows and commands follow one file, and lose nothing of each other's."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag.leftovers import has_ended, owner
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_file import merged, read_rows
from napari_xmag.review.worklist_row import RowStatus, WorklistRow
from tests.processes import ROOT

_TICKS = """
import sys
from pathlib import Path
from napari_xmag.review.worklist import Worklist
worklist, first = Worklist.load(sys.argv[1]), int(sys.argv[2])
print("loaded", flush=True)
sys.stdin.readline()
for row in worklist.rows[first::2]:
    worklist.mark_reviewed(row.key)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [WorklistRow(tmp_path / f"{number:02}.svs") for number in range(30)]
    Worklist(rows).save(tmp_path / "list.json")
    return tmp_path / "list.json"


def test_two_processes_tick_the_same_list(file: Path) -> None:
    command = [sys.executable, "-c", _TICKS, str(file)]
    writers = [
        subprocess.Popen(
            [*command, str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for first in (0, 1)
    ]
    for process in writers:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
    for process in writers:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in writers:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert [row.reviewed for row in Worklist.load(file).rows] == [True] * 30


def test_a_window_takes_in_what_a_run_elsewhere_finds(file: Path) -> None:
    run, window = Worklist.load(file), Worklist.load(file)
    first, second, *_ = (row.key for row in run.rows)
    run.begin(first)
    run.fail(first, "It is broken.")
    run.begin(second)
    window.mark_reviewed(first)
    assert window[second].status is RowStatus.RUNNING  # nobody else begins with it
    window.add([WorklistRow(file.parent / "new.svs")])
    window.remove(second)  # it is being analyzed
    run.remove(run.rows[-1].key)
    run.fail(second, "It is broken, too.")

    saved = Worklist.load(file)
    assert (saved[first].status, saved[first].reviewed) == (RowStatus.FAILED, True)
    assert saved[second].reason == "It is broken, too."
    assert [row.slide.stem for row in saved.rows][-2:] == ["28", "new"]
    assert run.rows == saved.rows


def test_saving_over_another_list_takes_nothing_of_it(file: Path) -> None:
    other = Worklist([WorklistRow(file.parent / "other.svs")])
    other.save(file)
    assert [row.slide.name for row in Worklist.load(file).rows] == ["other.svs"]


def test_an_outcome_is_taken_whole() -> None:
    base = WorklistRow(Path("a.svs"))
    ours = replace(base, status=RowStatus.FAILED, reason="broken")
    theirs = replace(base, status=RowStatus.DONE, headline="benign", answer="benign", reviewed=True)
    key = base.key
    (row,) = merged({key: base}, {key: ours}, {key: theirs}).values()
    assert row == replace(ours, reviewed=True)


_BEGINS = """
import sys, time
from napari_xmag.review.worklist import Worklist
worklist = Worklist.load(sys.argv[1])
worklist.begin(worklist.next_waiting().key)
print("begun", flush=True)
time.sleep(600)
"""


def test_a_slide_waits_again_when_the_program_that_ran_it_is_killed(file: Path) -> None:
    window = Worklist.load(file)
    first, second = (row.key for row in window.rows[:2])
    run = subprocess.Popen(
        [sys.executable, "-c", _BEGINS, str(file)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        assert window.follow()
        # as long as it is there, nobody else begins with its slide
        for other in (window, Worklist.load(file)):
            assert other[first].status is RowStatus.RUNNING
            assert other.next_waiting() == other[second]
        assert not window.follow()
    finally:
        run.kill()
        run.communicate()
    assert window.follow()
    assert window.next_waiting() == window[first]
    assert window[first] == WorklistRow(first[0])
    window.mark_reviewed(second)
    assert [row.status for row in read_rows(file, live=True)] == [RowStatus.WAITING] * 30


def test_a_process_that_was_given_the_number_of_another_runs_nothing(file: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        mine, ours = owner().split("."), owner()
        theirs = f"{mine[0]}.{other.pid}.{mine[2]}"
        assert has_ended(ours) is False
        assert has_ended(theirs, time.time()) is False
        assert has_ended(theirs, time.time() - 3600) is True
        assert has_ended(f"{mine[0]}.{mine[1]}.000000") is True
        assert has_ended(f"ffffff.{other.pid}.{mine[2]}") is None
        assert has_ended("") is None
        other.communicate(b"\n")
    assert has_ended(theirs, time.time()) is True


def test_a_list_that_is_being_edited_is_read_when_it_is_whole(file: Path) -> None:
    window = Worklist.load(file)
    text = file.read_text(encoding="utf-8")
    file.write_text(text[:200], encoding="utf-8")
    assert not window.follow()
    assert len(window) == 30
    file.write_text(text.replace('"reviewed":false', '"reviewed":true', 1), encoding="utf-8")
    assert window.follow()
    assert [row.reviewed for row in window.rows].count(True) == 1
