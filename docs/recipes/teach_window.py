#!/usr/bin/env python3
"""Time teaching in the window, on a slide of 15,360 patches that it draws itself.

usage: teach_window.py [--rows 120] [--columns 128] [--clicks 40] [--pause 1.0]

Opens napari with Teach, encodes the slide with the bundled model, clicks with the mouse, asks for
what is similar, draws the window as it is, and opens the slide again: in this session, and in a
process of its own, as on the next day. Prints for each action how long it took until the map was
repainted, the processor's seconds of all threads, and the longest time in which the window's own
thread was busy without answering, as Markdown. Where a screen is missing, run it under Xvfb.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint

MPP, PATCH = 2.0, 64
KINDS = 4
BLOCK = 16
TICK_MS = 5
HOLD = 0.06
"""Seconds for which a finger holds the button: what napari does as it is pressed is another row."""

PATIENCE = 600.0


def draw_slide(path: Path, rows: int, columns: int) -> None:
    """Write a slide of some kinds of tissue in large squares, with glass around it."""
    draw = np.random.default_rng(0)
    height, width = (rows + 2) * PATCH, (columns + 2) * PATCH
    pixels = np.full((height, width, 3), 243, np.uint8)
    for top, left in np.ndindex(-(-rows // BLOCK), -(-columns // BLOCK)):
        kind = (top + left) % KINDS
        size = min(BLOCK, rows - top * BLOCK), min(BLOCK, columns - left * BLOCK)
        grain = draw.standard_normal((size[0] * PATCH, size[1] * PATCH)).astype(np.float32)
        grain = gaussian_filter(grain, 1 + kind)
        nuclei = grain > (0.2 + 0.4 * kind) * grain.std()
        down, across = (top * BLOCK + 1) * PATCH, (left * BLOCK + 1) * PATCH
        square = pixels[down : down + len(grain), across : across + grain.shape[1]]
        square[:] = (215 - 12 * kind, 150 + 8 * kind, 195)
        square[nuclei] = (90, 60, 140)
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 4, 16):
            image = Image.fromarray(pixels).resize((width // factor, height // factor))
            writer.write(
                np.asarray(image),
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                resolution=(1e4 / (MPP * factor),) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(factor > 1),
                metadata=None,
            )


class Stopwatch:
    """A window that is driven, and a timer that tells when it answers nothing."""

    def __init__(self) -> None:
        import napari
        from qtpy.QtCore import Qt, QTimer

        self.rows: dict[str, list[tuple[float, float, float]]] = {}
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(1440, 900)
        _, self.teach = self.viewer.window.add_plugin_dock_widget("napari-xmag", "Teach")
        self.state, self.control = self.teach.state, self.teach.controller
        self.canvas = self.viewer.window._qt_viewer.canvas
        self.drawn = False
        self.canvas._scene_canvas.events.draw.connect(self._draw)
        self._gap, self._last = 0.0, time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)

    def _draw(self, _: object) -> None:
        self.drawn = True

    def _tick(self) -> None:
        now = time.thread_time()
        self._gap = max(self._gap, now - self._last)
        self._last = now

    def serve(self, reached: Callable[[], object], least: float = 0.0) -> None:
        """Serve the window until something is true, and for some time at least."""
        from qtpy.QtCore import QEventLoop
        from qtpy.QtWidgets import QApplication

        # asleep between events, as a window is; vispy's QTest.qWait would be busy all the time
        asleep = QEventLoop.ProcessEventsFlag.WaitForMoreEvents
        begun = time.perf_counter()
        while not reached() or time.perf_counter() - begun < least:
            if time.perf_counter() - begun > PATIENCE:
                raise TimeoutError("the window did not get that far")
            QApplication.processEvents(asleep)

    @contextmanager
    def timed(self, action: str) -> Iterator[None]:
        """Note how long a block took, and the longest time in which the window was busy."""
        self._gap, self._last = 0.0, time.thread_time()
        begun, busy = time.perf_counter(), time.process_time()
        yield
        took = time.perf_counter() - begun, time.process_time() - busy, self._gap
        self.rows.setdefault(action, []).append(took)

    def repainted(self, action: str, act: Callable[[], object]) -> None:
        """Do something, and wait until the map it changes is drawn."""
        changed: list[object] = []

        def hear(event: object) -> None:
            changed.append(event)
            self.drawn = False

        layer = self.state.current.map_layer
        if layer is not None:
            layer.events.set_data.connect(hear)
        else:
            self.viewer.layers.events.inserted.connect(hear)
        with self.timed(action):
            act()
            self.serve(lambda: changed and self.drawn)
        for emitter in (self.viewer.layers.events.inserted, layer and layer.events.set_data):
            if emitter is not None and hear in emitter.callbacks:
                emitter.disconnect(hear)

    def drawn_again(self, action: str) -> None:
        """Draw the window as it is: what each other action contains at least once."""
        self.drawn = False
        with self.timed(action):
            self.canvas.native.update()
            self.serve(lambda: self.drawn)

    def reopened(self, action: str, slide: Path) -> None:
        """Open a slide, and wait until its map is drawn."""
        mapped: list[object] = []

        def hear(_: object) -> None:
            if self.state.current is not None and self.state.current.map_layer and not mapped:
                mapped.append(self.state.current.map_layer)
                self.drawn = False

        self.viewer.layers.events.inserted.connect(hear)
        with self.timed(action):
            self.viewer.open(slide, plugin="napari-xmag")
            self.serve(lambda: mapped and self.drawn)
        self.viewer.layers.events.inserted.disconnect(hear)

    def opened_anew(self, slide: Path) -> None:
        """Open a slide that another session encoded, and tell the slide's own drawing apart."""
        with self.timed("open in a new session: the slide"):
            self.viewer.open(slide, plugin="napari-xmag")
            self.drawn = False
            self.serve(lambda: self.drawn)
        with self.timed("open in a new session: from slide to map"):
            self.serve(lambda: self.state.current and self.state.current.map_layer)
            self.drawn = False
            self.serve(lambda: self.drawn)

    def clicked(self, action: str, patch: int) -> None:
        """Click on a patch, and wait until the map that it changes is drawn."""
        place = self.place_of(patch)
        with self.timed("press the button"):
            self._mouse("mousePress", place)
            self.serve(lambda: True, HOLD)
        self.repainted(action, lambda: self._mouse("mouseRelease", place))

    def click(self, patch: int) -> None:
        """Click on a patch of the slide in sight."""
        place = self.place_of(patch)
        self._mouse("mousePress", place)
        self.serve(lambda: True, HOLD)
        self._mouse("mouseRelease", place)

    def _mouse(self, does: str, place: "QPoint") -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        getattr(QTest, does)(self.canvas.native, Qt.MouseButton.LeftButton, pos=place)

    def place_of(self, patch: int) -> "QPoint":
        """Return where a patch of the slide in sight lies in the window."""
        from qtpy.QtCore import QPoint

        shown = self.state.current
        x, y = shown.prepared.centers[patch]
        world = shown.layer.data_to_world((y - 0.5, x - 0.5))
        camera, native = self.viewer.scene.camera, self.canvas.native
        across = (world[1] - camera.center[2]) * camera.zoom + native.width() / 2
        down = (world[0] - camera.center[1]) * camera.zoom + native.height() / 2
        return QPoint(round(across), round(down))

    def report(self) -> None:
        """Print the table."""
        print("| action | times | median s | 95 % s | processor s | longest busy s |")
        print("|---|---|---|---|---|---|")
        for action, some in self.rows.items():
            took, busy, gaps = np.array(some).T
            wall = f"{np.median(took):.3f} | {np.quantile(took, 0.95):.3f}"
            print(f"| {action} | {len(some)} | {wall} | {np.median(busy):.3f} | {gaps.max():.3f} |")


def drive(watch: Stopwatch, slide: Path, clicks: int, pause: float) -> None:
    """Do what a person does who teaches."""
    from napari_xmag._gui.teach.state import Tool

    state, control = watch.state, watch.control

    def opened() -> bool:
        return state.current is not None and state.current.prepared is not None

    watch.serve(lambda: state.model)
    with watch.timed("open and encode"):
        watch.viewer.open(slide, plugin="napari-xmag")
        watch.serve(opened)
    print(f"{len(state.current.prepared.features)} patches\n", flush=True)
    watch.serve(lambda: not control.busy, 2)
    teach(watch, clicks, pause)
    state.tool = Tool.SIMILAR
    draw = np.random.default_rng(1)
    for patch in draw.integers(len(state.current.prepared.features), size=clicks // 2):
        watch.clicked("find similar", int(patch))
        watch.serve(lambda: not control.busy, pause)
    for _ in range(clicks // 2):
        watch.drawn_again("draw the window again")
    watch.viewer.layers.remove(state.current.layer)
    watch.serve(lambda: not state.slides, 1)
    watch.reopened("open again, to its map", slide)
    watch.serve(lambda: not control.busy)


def teach(watch: Stopwatch, clicks: int, pause: float) -> None:
    """Click on tissue of each kind in turn, a moment apart, then once nothing is left to do."""
    state, control = watch.state, watch.control
    features = state.current.prepared.features
    kinds = ((features.rows - 1) // BLOCK + (features.columns - 1) // BLOCK) % KINDS
    for name in ("Stroma", "Necrosis"):
        control.add_class(name)
    draw = np.random.default_rng(0)
    for number in range(clicks):
        kind = number % KINDS
        patch = int(draw.choice(np.flatnonzero(kinds == kind)))
        control.take_class(kind + 1)
        if number == 0:
            watch.click(patch)  # one class makes no map yet
        else:
            rested = number >= clicks * 2 // 3
            if rested:
                watch.serve(lambda: not control.busy)
            action = "click once all is found out" if rested else "click"
            action = "first map" if number == 1 else action
            watch.clicked(action, patch)
        watch.serve(lambda: True, pause)
    watch.serve(lambda: not control.busy)


def next_day(slide: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Start the program anew, open Teach and then the slide; return how long it took."""
    watch = Stopwatch()
    watch.serve(lambda: watch.state.model and not watch.control.jobs.running, 2)
    watch.opened_anew(slide)
    watch.serve(lambda: not watch.control.busy)
    watch.teach.shut_down()
    watch.viewer.close()
    return watch.rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--columns", type=int, default=128)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between clicks")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["NAPARI_XMAG_HOME"] = folder
        slide = Path(folder) / "slide.tiff"
        drawing = get_context("spawn").Process(
            target=draw_slide, args=(slide, args.rows, args.columns)
        )
        drawing.start()  # in a process of its own: its memory does not count
        drawing.join()
        watch = Stopwatch()
        drive(watch, slide, args.clicks, args.pause)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        watch.teach.shut_down()
        watch.viewer.close()
        with get_context("spawn").Pool(1) as fresh:
            watch.rows |= fresh.apply(next_day, (slide,))
        watch.report()
        kept = sum(f.stat().st_size for f in (Path(folder) / "features").rglob("*") if f.is_file())
        print(f"\n{kept / 1e6:.0f} MB of features on disk, {peak:.2f} GB of memory at most")


if __name__ == "__main__":
    main()
