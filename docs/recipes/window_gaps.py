"""How long the window's own thread is busy with what a user does: one row an action.

Run from the checkout, where a screen is missing under Xvfb::

    xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python docs/recipes/window_gaps.py SLIDE SLIDE

CPU seconds of the main thread are counted, not those of a clock, so that a busy machine changes
little. ``longest`` is the longest time in which the window answered nothing.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import napari
import numpy as np
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

_SETTLE = 0.4  # seconds without an end: what comes after an action belongs to it
_PATIENCE = 1800.0


@dataclass
class Busy:
    """CPU milliseconds of the window's thread during one action."""

    action: str
    total: float = 0.0
    longest: float = 0.0

    def add(self, do: Callable[[], object]) -> None:
        """Do something in one go."""
        begin = time.thread_time()
        do()
        spent = 1000 * (time.thread_time() - begin)
        self.total += spent
        self.longest = max(self.longest, spent)


class Stopwatch:
    """Drives a window and measures what each action costs it."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(1600, 1000)
        self.rows: list[Busy] = []
        self.measure("open the panel", self._open_panel, lambda: bool(self.widget.state.model))

    def _open_panel(self) -> None:
        _, self.widget = self.viewer.window.add_plugin_dock_widget("napari-xmag", "Analyze slide")

    def measure(
        self, action: str, do: Callable[[], object], done: Callable[[], object] = lambda: True
    ) -> None:
        """Do something, and serve the window until it is done and a moment longer."""
        row = Busy(action)
        row.add(do)
        self._serve(row, done)
        self.rows.append(row)
        print(f"| {row.action} | {row.total:.0f} | {row.longest:.0f} |", flush=True)

    def key(self, name: str) -> Callable[[], None]:
        """Return what presses a key while the canvas has the focus."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        return lambda: QTest.keySequence(canvas, QKeySequence(name))

    def _serve(self, row: Busy, done: Callable[[], object]) -> None:
        end = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{row.action}: the window did not get that far")
            self._turn(row)
        rest = time.monotonic() + _SETTLE
        while time.monotonic() < rest:
            self._turn(row)

    def _turn(self, row: Busy) -> None:
        row.add(QApplication.processEvents)
        time.sleep(0.002)


def walk(watch: Stopwatch, first: Path, second: Path) -> None:
    """Do what a user does with two slides."""
    widget, viewer = watch.widget, watch.viewer

    def opened() -> bool:
        current = widget.state.current
        return current is not None and current.slide is not None

    def open_slide(path: Path) -> Callable[[], object]:
        return lambda: viewer.open(str(path), plugin="napari-xmag")

    watch.measure("open the first slide", open_slide(first), opened)
    one = widget.state.current

    def over() -> bool:
        return one.progress is None and one.cards is not None

    watch.measure("first analysis, to its end", widget.controller.analyze, over)
    watch.measure("second analysis, to its end", widget.controller.analyze, over)
    if not one.cards:
        watch.measure("view that has places", watch.key("V"), lambda: one.cards)
    watch.measure("first place (outline made)", watch.key("N"))
    watch.measure("next place (outline moved)", watch.key("N"))
    watch.measure("tick", watch.key("1"))
    watch.measure("map on", watch.key("M"))
    watch.measure("next view", watch.key("V"), lambda: one.cards is not None)
    watch.measure("whole slide", watch.key("H"))
    watch.measure("open another slide", open_slide(second), opened)
    watch.measure("back to the first", lambda: widget.controller.choose_slide(one))
    watch.measure("remove the first", lambda: viewer.layers.remove(one.layer))


def walk_without_panel(watch: Stopwatch, first: Path, second: Path) -> None:
    """Do the same with napari alone, with as many layers: what no panel can do better."""
    viewer = watch.viewer

    def open_slide(path: Path) -> Callable[[], object]:
        return lambda: viewer.open(str(path), plugin="napari-xmag")

    def add_outline() -> None:
        square = [[0, 0], [0, 400], [400, 400], [400, 0]]
        viewer.add_shapes([square], shape_type="polygon", units=viewer.layers[0].units)

    def show_first() -> None:
        for layer in viewer.layers:
            layer.visible = layer in own
        viewer.layers.selection.active = own[0]
        viewer.fit_to_view(layers=[own[0]])

    def remove_first() -> None:
        for layer in own:
            viewer.layers.remove(layer)

    watch.measure("napari alone: open a slide", open_slide(first))
    viewer.add_image(np.zeros((500, 400), np.float32), units=viewer.layers[0].units)
    watch.measure("napari alone: an outline", add_outline)
    own = list(viewer.layers)
    watch.measure("napari alone: open another slide", open_slide(second))
    watch.measure("napari alone: back to the first", show_first)
    watch.measure("napari alone: remove its three layers", remove_first)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slides", nargs=2, type=Path, help="two slides that state their pixel size")
    slides = parser.parse_args().slides
    print("| action | CPU ms of the window's thread | longest |\n|---|---|---|")
    watch = Stopwatch()
    walk(watch, *slides)
    watch.viewer.layers.clear()
    watch.viewer.window.remove_dock_widget(watch.widget)
    walk_without_panel(watch, *slides)
    watch.viewer.close()


if __name__ == "__main__":
    main()
