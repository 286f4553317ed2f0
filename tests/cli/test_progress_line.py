"""The progress line on a terminal and in a log."""

import io

import numpy as np
import pytest

from napari_xmag.analyze import TilesDone, Waiting
from napari_xmag.cli import progress_line
from napari_xmag.cli.progress_line import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tiles_done(done: int, unreadable: int = 0) -> TilesDone:
    return TilesDone(
        indices=np.arange(1),
        attention_logit=np.zeros(1, np.float32),
        patch_evidence=np.zeros((1, 2), np.float32),
        done=done,
        total=100,
        tiles_per_second=25.0,
        seconds_left=75.0,
        unreadable=unreadable,
    )


def shown(stream: io.StringIO) -> list[str]:
    """What stood in the line, one after another."""
    return [line.strip() for line in stream.getvalue().split("\r") if line.strip()]


def test_terminal_line_renews_itself() -> None:
    stream = Terminal()
    line = ProgressLine("[1/2] a.svs", stream)
    line.show(tiles_done(25))
    line.clear()
    (said,) = shown(stream)
    assert said.startswith("[1/2] a.svs: 25/100 tiles, 25 tiles/s, 75 s left ##")
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().rstrip("\r").endswith(" " * len(said))


def test_a_line_is_never_longer_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda _: (40, 25))
    ProgressLine("x" * 60, stream).say("words", 0.5)
    assert {len(line) for line in shown(stream)} == {40}


def test_heartbeats_keep_the_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "_SECONDS_ON_SCREEN", 0)
    stream = Terminal()
    line = ProgressLine("a.svs", stream)
    line.show(Waiting("finding the tissue"))
    line.show(tiles_done(25, unreadable=3))
    line.show(Waiting("reading", 25, 100))
    first, second, third = shown(stream)
    assert "finding the tissue" in first
    assert "3 unreadable" in second
    assert third.split(" #")[0] == second.split(" #")[0]


def test_log_is_not_flooded() -> None:
    stream = io.StringIO()
    line = ProgressLine("a.svs", stream)
    for done in range(100):
        line.show(tiles_done(done))
    assert stream.getvalue() == ""


def test_log_gets_lines() -> None:
    stream = io.StringIO()
    ProgressLine("a.svs", stream, pause=0).show(tiles_done(25))
    assert stream.getvalue() == "a.svs: 25/100 tiles, 25 tiles/s, 75 s left\n"
