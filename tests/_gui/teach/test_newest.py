"""Of all that is asked, only the last is answered; what rests takes no thread."""

from collections.abc import Generator

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.teach.newest import Newest
from tests._gui.window import PATIENCE

pytestmark = pytest.mark.window


def _letters(word: str) -> Generator[str, None, None]:
    yield from word


def test_a_request_rests_without_a_thread_and_gives_way_to_a_newer_one(qtbot: QtBot) -> None:
    begun: list[str] = []
    heard: list[str] = []

    def work(request: str) -> Generator[str, None, None]:
        begun.append(request)
        yield request

    jobs = Jobs(pytest.fail)
    newest: Newest[str] = Newest(jobs, work, heard.append, pytest.fail)
    newest.ask("first", after=60)
    assert newest.busy
    assert not jobs.running
    newest.ask("second", after=0.01)
    assert not jobs.running
    qtbot.waitUntil(lambda: not newest.busy, timeout=PATIENCE)
    assert begun == heard == ["second"]
    newest.ask("third", after=60)
    newest.ask("fourth")
    qtbot.waitUntil(lambda: not newest.busy, timeout=PATIENCE)
    assert begun == heard == ["second", "fourth"]


def test_what_is_dropped_while_it_rests_never_begins(qtbot: QtBot) -> None:
    heard: list[str] = []
    newest: Newest[str] = Newest(Jobs(pytest.fail), _letters, heard.append, pytest.fail)
    newest.ask("abc", after=0.01)
    newest.drop()
    assert not newest.busy
    qtbot.wait(50)
    assert not newest.busy
    assert not heard
