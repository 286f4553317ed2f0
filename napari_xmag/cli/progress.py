"""Events of a long run as lines in a terminal."""

import sys
import time
from collections.abc import Iterator, Mapping
from typing import TypeVar

from napari_xmag.progress.events import EpochDone, Progress, RunEvent, RunFinished, RunPlanned

T = TypeVar("T")
_SECONDS_IN_LOG = 60.0


def show(events: Iterator[T | Progress]) -> Iterator[T]:
    """Yield all events but Progress, which is shown: one line that renews itself, or, where the
    output is no terminal, a line a minute.
    """
    terminal = sys.stderr.isatty()
    last = time.monotonic()
    for event in events:
        if not isinstance(event, Progress):
            if terminal:
                print("\r\x1b[K", end="", file=sys.stderr)
            yield event
        elif terminal:
            print(f"\r\x1b[K{_line(event)}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - last > _SECONDS_IN_LOG:
            last = time.monotonic()
            print(_line(event), file=sys.stderr, flush=True)


def follow(events: Iterator[RunEvent]) -> int:
    """Print what a training run says; return 0 when it has finished."""
    for event in show(events):
        if isinstance(event, RunPlanned):
            print("Plan: " + _words(event.plan), flush=True)
        if isinstance(event, EpochDone):
            scalars = "  ".join(f"{name} {value:.4g}" for name, value in event.scalars.items())
            stage = f"{event.stage}: " if event.stage else ""
            print(f"{stage}epoch {event.epoch}/{event.epochs}  {scalars}", flush=True)
        if isinstance(event, RunFinished):
            print(f"Written: {event.folder}")
    return 0


def _words(plan: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in plan.items())


def _line(event: Progress) -> str:
    left = event.seconds_left
    rest = f", {left / 60:.0f} min left" if left == left else ""
    return f"{event.stage}: {event.done}/{event.total}, {event.per_second:.3g}/s{rest}"
