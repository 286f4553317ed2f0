"""Trainings that begin at once."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from napari_xmag._gui.train import tasks


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in the thread that would wait for a process: starting one takes seconds."""

    def run(
        work: Callable[..., Iterator[Any]], *arguments: object, stage: str
    ) -> Generator[Any, None, None]:
        assert stage
        yield from work(*arguments)

    monkeypatch.setattr(tasks, "in_child", run)
