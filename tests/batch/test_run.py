"""Each picture of each file is reported once, whatever dies; slides are only played here."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from napari_xmag.analyze.events import Waiting
from napari_xmag.batch.events import (
    BatchMoved,
    Image,
    SlideBegun,
    SlideDone,
    SlideEvent,
    SlideFailed,
    SlideLabel,
    SlideMoved,
    SlideWarned,
)
from napari_xmag.batch.places import Place
from napari_xmag.batch.run import Workers, run_batch
from napari_xmag.batch.slide_job import BatchTask
from napari_xmag.batch.targets import Target


@dataclass(frozen=True)
class Play:
    """Does what a slide is called after; ``dies-once`` leaves a mark in the folder."""

    folder: Path

    def __call__(self, task: BatchTask) -> Iterator[SlideEvent]:
        name = task.target.path.name
        if name == "kills-on-opening":
            os.abort()
        images: Sequence[Image] = (1, 2, 3) if name == "kills-at-2" else (1,)
        for image in images:
            if image in task.leave_out:
                continue
            slide = SlideLabel(task.target.path, image)
            yield SlideBegun(slide, images)
            self.act(name, image, task)
            if name == "hangs":
                while True:
                    time.sleep(0.05)
                    yield SlideMoved(slide, Waiting("reading", 1, 2))
            with (self.folder / f"{name}-{image}").open("a") as log:
                log.write("done\n")
            yield SlideDone(slide, self.folder, cast(Any, None), reused=name == "reused")

    def act(self, name: str, image: Image, task: BatchTask) -> None:
        if name == "kills" or (name, image) == ("kills-at-2", 2):
            os.abort()
        mark = self.folder / "died"
        if name == "dies-once" and not mark.exists():
            mark.touch()
            os._exit(9)


def played(folder: Path, *names: str, patience: float = 60.0) -> list[Any]:
    tasks = [BatchTask(Target(Path(name)), Place()) for name in names]
    who = Workers(2, patience=patience)
    return [event for _, event in run_batch(Play(folder), tasks, who)]


def of(events: list[Any], kind: type) -> list[tuple[str, Image]]:
    return sorted((e.slide.path.name, e.slide.image) for e in events if isinstance(e, kind))


def test_deaths_cost_no_other_slide(tmp_path: Path) -> None:
    names = ("kills", "good", "dies-once", "kills-on-opening", "kills-at-2", "reused")
    events = played(tmp_path, *names)
    done = [("dies-once", 1), ("good", 1), ("kills-at-2", 1), ("kills-at-2", 3), ("reused", 1)]
    assert of(events, SlideDone) == done
    failed = [("kills", 1), ("kills-at-2", 2), ("kills-on-opening", None)]
    assert of(events, SlideFailed) == failed
    # nothing was done twice either
    written = {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "died"}
    assert written == {f"{name}-{image}": "done\n" for name, image in done}
    # each death was told: once more, then given up
    assert of(events, SlideWarned) == sorted([*failed, ("dies-once", 1)])
    reasons = [str(event.error) for event in events if isinstance(event, SlideFailed)]
    assert all("SIGABRT" in reason for reason in reasons)
    last = [event for event in events if isinstance(event, BatchMoved)][-1]
    assert (last.done, last.total, last.share) == (6, 6, 1.0)
    assert last.running == ()


def test_a_slide_that_hangs_is_told_once(tmp_path: Path) -> None:
    events = played(tmp_path, "hangs", "good", patience=1.5)
    assert of(events, SlideDone) == [("good", 1)]
    assert of(events, SlideFailed) == [("hangs", 1)]
    assert of(events, SlideWarned) == []
