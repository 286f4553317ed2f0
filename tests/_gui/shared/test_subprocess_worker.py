"""A generator in a process of its own: heard, ended, and its errors told."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from napari_xmag._gui.shared import subprocess_worker
from napari_xmag._gui.shared.subprocess_worker import in_child
from napari_xmag.analyze.events import Waiting
from napari_xmag.errors import CohortError, ConfigError


def counted(number: int) -> Iterator[tuple[int, int]]:
    for index in range(number):
        os.write(1, b"a word of a library")  # must not come between
        yield index, os.getpid()


def silent(number: int) -> Iterator[int]:
    yield number


def endless(note: Path) -> Iterator[int]:
    try:
        while True:
            yield 1
            time.sleep(0.01)
    finally:
        note.write_text("closed")


def refused() -> Iterator[int]:
    yield 1
    raise CohortError(expected="slides", found="none", hint="Add some.", causes=[OSError("gone")])


def unspeakable() -> Iterator[int]:
    class LocalError(Exception):
        pass

    yield 1
    raise LocalError("on fire")


def vanished() -> Iterator[int]:
    yield 1
    os._exit(9)


def events_of(*arguments: object) -> list[object]:
    events = in_child(*arguments, stage="Loading")  # type: ignore[arg-type]
    return [event for event in events if not isinstance(event, Waiting)]


def test_everything_comes_in_order_from_another_process() -> None:
    numbers, processes = zip(*events_of(counted, 5), strict=True)  # type: ignore[arg-type]
    assert numbers == (0, 1, 2, 3, 4)
    assert set(processes) != {os.getpid()}


def test_the_process_ends_well_and_silently(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    children: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    for _ in range(2):
        assert events_of(silent, 1) == [1]
    assert [child.returncode for child in children] == [0, 0]
    assert capfd.readouterr().err == ""


def test_heartbeats_say_the_stage_until_something_comes() -> None:
    with closing(in_child(counted, 1, stage="Loading")) as events:
        first = next(events)
    assert first == Waiting("Loading") or isinstance(first, tuple)


def test_closing_closes_the_generator_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess_worker, "_SECONDS_TO_END", 300.0)
    note = tmp_path / "note"
    with closing(in_child(endless, note, stage="Loading")) as events:
        assert 1 in events
    assert note.read_text() == "closed"


def test_errors_arrive_as_they_were() -> None:
    with pytest.raises(CohortError, match="Expected slides, but found none") as caught:
        events_of(refused)
    assert caught.value.hint == "Add some."
    assert "OSError: gone" in caught.value.details()


def test_an_error_that_cannot_be_sent_arrives_in_words() -> None:
    with pytest.raises(RuntimeError, match="LocalError: on fire"):
        events_of(unspeakable)


def test_a_process_that_vanishes_is_told() -> None:
    with pytest.raises(ConfigError, match="that it stopped early"):
        events_of(vanished)
