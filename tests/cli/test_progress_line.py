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


def test_terminal_line_renews_itself() -> None:
    stream = Terminal()
    line = ProgressLine("[1/2] a.svs", stream)
    line.show(tiles_done(25))
    line.clear()
    said = stream.getvalue()
    assert "[1/2] a.svs: 25/100 tiles, 25 tiles/s, 1 min 15 s left" in said
    assert said.startswith("\r")
    assert said.endswith("\r\x1b[K")
    assert "\n" not in said


def test_heartbeats_keep_the_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "_SECONDS_ON_SCREEN", 0)
    stream = Terminal()
    line = ProgressLine("a.svs", stream)
    line.show(Waiting("finding the tissue"))
    line.show(tiles_done(25, unreadable=3))
    line.show(Waiting("reading", 25, 100))
    shown = stream.getvalue().split("\r\x1b[K")[1:]
    assert "finding the tissue" in shown[0]
    assert "3 unreadable" in shown[1]
    assert shown[1] == shown[2]


def test_log_is_not_flooded() -> None:
    stream = io.StringIO()
    line = ProgressLine("a.svs", stream)
    for done in range(100):
        line.show(tiles_done(done))
    assert stream.getvalue() == ""


def test_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "_SECONDS_IN_LOG", 0)
    stream = io.StringIO()
    ProgressLine("a.svs", stream).show(tiles_done(25))
    assert stream.getvalue() == "a.svs: 25/100 tiles, 25 tiles/s, 1 min 15 s left\n"
