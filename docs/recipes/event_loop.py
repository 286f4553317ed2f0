#!/usr/bin/env python3
"""Measure how long the window does not answer while a model trains in it.

usage: event_loop.py COHORT [--mode head|end-to-end] [--epochs 10]

Opens napari with the Train widget, trains for real, and lets a timer of 10 ms tick all the while:
the time between two ticks, less the 10 ms, is how long a click would have waited. Prints median,
95th percentile and the longest for each stage. Where a screen is missing, run it under Xvfb.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer

TICK_MS = 10


class Clock:
    """Gaps between the ticks of a timer, by what the window was doing."""

    def __init__(self, stage: Callable[[], str]) -> None:
        self.gaps: dict[str, list[float]] = defaultdict(list)
        self._stage = stage
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps[self._stage()].append(1000 * (now - self._last) - TICK_MS)
        self._last = now

    def report(self) -> None:
        """Print a table in Markdown."""
        print("| stage | ticks | p50 | p95 | longest (ms) |\n|---|---|---|---|---|")
        everything = [gap for gaps in self.gaps.values() for gap in gaps]
        for stage, gaps in [*self.gaps.items(), ("all", everything)]:
            low, high = np.percentile(gaps, [50, 95]).clip(0)
            print(f"| {stage} | {len(gaps)} | {low:.0f} | {high:.0f} | {max(gaps):.0f} |")


def wait(reached: Callable[[], object]) -> None:
    """Serve the window as napari does until something is true."""
    loop, look = QEventLoop(), QTimer()
    look.timeout.connect(lambda: loop.quit() if reached() else None)
    look.start(100)
    loop.exec()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--mode", choices=("head", "end-to-end"), default="head")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    _, widget = viewer.window.add_plugin_dock_widget("napari-xmag", "Train")
    control, state = widget.controller, widget.state
    wait(lambda: state.encoder and not control.jobs.running)
    with TemporaryDirectory() as folder:
        state.out = Path(folder) / "run"
        control.cohort.open_table(args.cohort)
        fit = {"epochs": args.epochs}
        widget.settings.form.set_values({"mode": args.mode, "fit": fit, "end_to_end": {"fit": fit}})
        widget.settings.form.changed.emit()
        wait(lambda: state.rows and control.cohort.settled)
        clock = Clock(lambda: _stage(state))
        widget.run.button.click()
        wait(lambda: not control.busy and (state.record is not None or state.failed))
        print(state.outcome)
        clock.report()
        viewer.close()


def _stage(state: object) -> str:
    return "result" if state.progress is None else str(state.progress.stage)


if __name__ == "__main__":
    main()
