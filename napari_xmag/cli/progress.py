"""Events of a long run in a terminal."""

from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from napari_xmag.cli.columns import columns
from napari_xmag.cli.progress_line import ProgressLine
from napari_xmag.progress.events import (
    EpochDone,
    Progress,
    RegionsNoted,
    RunEvent,
    RunFinished,
    RunPlanned,
    SlideLeftOut,
    Stage,
)
from napari_xmag.progress.words import describe_progress, plan_lines

R = TypeVar("R")
T = TypeVar("T")
_SECONDS_IN_LOG = 60.0


def show(events: Generator[T | Progress, None, R]) -> Generator[T, None, R]:
    """Yield all events but Progress, which is shown in one line; return what they return."""
    line = ProgressLine(pause=_SECONDS_IN_LOG)
    with closing(events):
        try:
            while True:
                event = next(events)
                if isinstance(event, Progress):
                    line.say(describe_progress(event), event.share)
                else:
                    line.clear()
                    yield event
        except StopIteration as stop:
            result: R = stop.value
            return result
        finally:
            line.clear()


def follow(events: Generator[RunEvent, None, object]) -> int:
    """Print what a training run says; return 0 when it has finished."""
    for event in show(events):
        if isinstance(event, RunPlanned):
            print(f"Plan\n{columns(list(plan_lines(event.plan).items()), indent=2)}", flush=True)
        if isinstance(event, EpochDone):
            scalars = "  ".join(f"{name} {value:.4g}" for name, value in event.scalars.items())
            print(f"{_of(event)}epoch {event.epoch}/{event.epochs}  {scalars}", flush=True)
        if isinstance(event, SlideLeftOut | RegionsNoted):
            print(f"{_fold(event.fold)}{event}", flush=True)
        if isinstance(event, RunFinished):
            print(f"Written: {event.folder}")
    return 0


def _of(event: EpochDone) -> str:
    fold = _fold(event.fold)
    return fold if event.stage is Stage.TRAINING else f"{fold}{event.stage}: "


def _fold(number: int) -> str:
    return f"fold {number}, " if number else ""
