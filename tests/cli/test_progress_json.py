"""Events as JSON lines, whatever the work does meanwhile."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.analyze import TilesDone, Waiting
from napari_xmag.batch.events import BatchMoved, SlideLabel
from napari_xmag.cli.analyze_report import Count
from napari_xmag.cli.progress_json import JsonReport
from napari_xmag.errors import TissueError
from napari_xmag.slide.find import FoundSlides, Skipped

A = SlideLabel(Path("a.svs"))


class Lines(io.StringIO):
    """Says when a number of lines is there."""

    def __init__(self) -> None:
        super().__init__()
        self.more = threading.Condition()

    def write(self, text: str) -> int:
        with self.more:
            self.more.notify_all()
            return super().write(text)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        with self.more:
            assert self.more.wait_for(lambda: self.getvalue().count("\n") >= count, timeout=60)
        return self.events()


def tiles_done(done: int) -> TilesDone:
    nothing = np.zeros(0, np.float32)
    return TilesDone(np.zeros(0, np.int64), nothing, np.zeros((0, 2), np.float32), done, 9, 2, 3, 0)


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_it_speaks_while_the_work_is_silent(lines: Lines) -> None:
    report = JsonReport(lines)
    told = lines.wait_for(4)
    assert [event["event"] for event in told[:4]] == ["started", "waiting", "waiting", "waiting"]
    assert told[1]["stage"] == "loading the model"
    report.begin(A, 1, 1)
    report.show(tiles_done(9))
    count = len(lines.events())
    later = lines.wait_for(count + 2)[count:]
    assert later[0] == {
        "event": "waiting",
        "stage": "writing the results",
        "done": 9,
        "total": 9,
        "slide": "a.svs",
        "name": "a.svs",
    }
    report.abandon()
    silent = lines.getvalue()
    assert threading.active_count() >= 1
    assert lines.getvalue() == silent


def test_of_many_events_the_last_is_told(lines: Lines) -> None:
    report = JsonReport(lines)
    report.begin(A, 1, 1)
    for done in range(1, 10):
        report.show(tiles_done(done))
    report.abandon()
    told = [event["done"] for event in lines.events() if event["event"] == "tiles"]
    assert told[-1] == 9
    assert len(told) < 9


def test_lines_are_ascii_and_whole(lines: Lines) -> None:
    report = JsonReport(lines)
    slide = SlideLabel(Path("Präparat\n1.svs"))
    report.begin(slide, 1, 1)
    error = TissueError(expected="tissue", found="glass – only", hint="Look.")
    report.fail(slide, error)
    report.abandon()
    assert lines.getvalue().isascii()
    failed = lines.events()[-1]
    assert failed["slide"] == "Präparat\n1.svs"
    assert (failed["expected"], failed["found"], failed["hint"]) == (
        "tissue",
        "glass – only",
        "Look.",
    )


def test_a_refused_run_ends_with_the_reason_once(lines: Lines) -> None:
    report = JsonReport(lines)
    error = TissueError(expected="a project", found="another", hint="Look.")
    report.refuse(error, Count(done=2))
    report.refuse(error)
    report.abandon()
    told = [event for event in lines.events() if event["event"] in ("failed", "ended")]
    assert [event["event"] for event in told] == ["failed", "ended"]
    assert told[0]["found"] == "another"
    assert told[1]["done"] == 2


def test_what_was_left_out_is_told(lines: Lines) -> None:
    report = JsonReport(lines)
    hidden, locked = Skipped(Path(".trash"), "hidden"), Skipped(Path("locked"), "Permission denied")
    report.found(FoundSlides((), (hidden,), (locked,)))
    report.warn(A, "The file states 0.5 µm per pixel.")
    report.abandon()
    told = {event["event"]: event for event in lines.events()}
    assert told["found"]["skipped"] == [{"path": ".trash", "why": "hidden"}]
    assert told["found"]["not_searched"] == [{"path": "locked", "why": "Permission denied"}]
    assert "states 0.5 µm" in told["warning"]["message"]


def test_a_heartbeat_is_told(lines: Lines) -> None:
    report = JsonReport(lines)
    lines.wait_for(2)
    report.show(Waiting("finding the tissue"))
    stages = lines.wait_for(4)
    report.abandon()
    assert "finding the tissue" in [event.get("stage") for event in stages]


def test_slides_side_by_side_are_one_progress(lines: Lines) -> None:
    report = JsonReport(lines)
    report.follow(BatchMoved(1, 4, ("b.svs", "c.svs"), 0.4, 12.5))
    told = lines.wait_for(4)
    report.abandon()
    progress = [event for event in told if event["event"] == "progress"]
    assert progress[-1] == {
        "event": "progress",
        "done": 1,
        "total": 4,
        "running": ["b.svs", "c.svs"],
        "share": 0.4,
        "tiles_per_second": 12.5,
        "seconds_left": None,
    }


def test_a_listener_that_goes_away_ends_the_run(lines: Lines) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        JsonReport(Closed())
