"""A window with Teach in its dock, and a slide of two tissues."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from scipy.ndimage import gaussian_filter

from napari_xmag._gui.teach import tasks
from napari_xmag._gui.teach.state import TeachSlide
from napari_xmag._gui.teach.widget import TeachWidget
from tests._gui.window import PATIENCE
from tests.slides import write_pyramid

WIDTH, HEIGHT = 3072, 2048
BORDER = WIDTH // 2
"""Left of it lies dense purple tissue, right of it pale pink; a broad rim around both is glass."""

RIM = 256


def draw_two_tissues(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return uint8 (HEIGHT, WIDTH, 3)."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32), 3)
    fibres = gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (2, 25))
    nuclei = (noise > 0.4 * noise.std())[..., None]
    dense = np.where(nuclei, np.array([92, 60, 140.0]), np.array([170, 120, 180.0]))
    pale = np.array([228, 170, 200.0]) + 15 * (fibres / fibres.std())[..., None]
    left = (np.arange(WIDTH) < BORDER)[None, :, None]
    picture = np.where(left, dense, pale)
    for rows, columns in ((RIM, WIDTH), (HEIGHT, RIM)):
        picture[:rows, :columns] = 244
        picture[HEIGHT - rows :, WIDTH - columns :] = 244
    picture += rng.normal(0, 2, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all that follows a map begin at once: nobody goes on clicking."""
    monkeypatch.setattr(tasks, "SUGGEST_AFTER", 0.0)
    monkeypatch.setattr(tasks, "ESTIMATE_AFTER", 0.0)


@pytest.fixture(scope="session")
def two_tissues(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two slides of the two tissues."""
    folder = tmp_path_factory.mktemp("tissues")
    return tuple(  # type: ignore[return-value]
        write_pyramid(folder / f"{name}.tiff", draw_two_tissues(seed))
        for seed, name in enumerate(("first", "second"))
    )


@dataclass
class Classroom:
    """A real viewer with Teach docked, driven as a user would."""

    viewer: Viewer
    widget: TeachWidget
    bot: QtBot

    @property
    def shown(self) -> TeachSlide:
        """The slide in sight."""
        assert self.widget.state.current is not None
        return self.widget.state.current

    @property
    def canvas(self) -> QWidget:
        """What the mouse and the keys meet."""
        canvas: QWidget = self.viewer.window._qt_viewer.canvas.native
        return canvas

    def wait(self, reached: Callable[[], object], timeout: int = PATIENCE) -> None:
        """Serve events until something is true."""
        self.bot.waitUntil(lambda: bool(reached()), timeout=timeout)

    def open(self, path: Path) -> TeachSlide:
        """Open a slide and wait until it is encoded."""
        self.viewer.open(path, plugin="napari-xmag")
        self.wait(lambda: self.widget.state.current and self.shown.path == path)
        shown = self.shown
        self.wait(lambda: shown.prepared is not None)
        return shown

    def point(self, x: float, y: float) -> QPoint:
        """Return where a place of the slide in sight, in level-0 pixels, lies on the canvas."""
        world = self.shown.layer.data_to_world((y - 0.5, x - 0.5))
        camera = self.viewer.scene.camera
        size = self.canvas.size()
        across = (world[1] - camera.center[2]) * camera.zoom + size.width() / 2
        down = (world[0] - camera.center[1]) * camera.zoom + size.height() / 2
        return QPoint(round(across), round(down))

    def click(self, x: float, y: float) -> None:
        """Click at a place of the slide in sight, and wait for what comes of it."""
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, pos=self.point(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw a stroke on the slide in sight."""
        first, last = self.point(*start), self.point(*end)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=first)
        for part in np.linspace(0, 1, 8)[1:]:
            QTest.mouseMove(self.canvas, first + (last - first) * float(part))
            self.bot.wait(1)  # or Qt joins the moves
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=last)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier | None = None) -> None:
        """Press a key while the canvas has the focus."""
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier or Qt.KeyboardModifier.NoModifier)

    def settle(self) -> None:
        """Wait until everything that was asked is answered."""
        self.wait(lambda: not self.widget.controller.busy)

    def teach(self) -> None:
        """Give three examples of each tissue."""
        for number, x in ((Qt.Key.Key_1, BORDER // 2), (Qt.Key.Key_2, BORDER + BORDER // 2)):
            self.key(number)
            for y in (500, 1000, 1500):
                self.click(x, y)
        self.settle()


@pytest.fixture
def classroom(
    make_napari_viewer: Callable[..., Viewer],
    qtbot: QtBot,
    models: Path,
    graphs_of_children: None,
) -> Iterator[Classroom]:
    """A shown viewer with the widget docked, and the small model."""
    made = open_classroom(make_napari_viewer(show=True), qtbot)
    yield made
    made.widget.shut_down()


def open_classroom(viewer: Viewer, bot: QtBot) -> Classroom:
    """Dock the widget in a viewer, with the small model as its encoder."""
    viewer.window.resize(1000, 640)  # software draws every pixel
    widget = TeachWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Teach")
    made = Classroom(viewer, widget, bot)
    made.wait(lambda: widget.state.model)
    widget.state.model = "tiny"
    return made
