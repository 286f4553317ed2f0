"""A window with a small model of random weights."""

import gc
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari import Viewer
from napari.components import ViewerModel
from npe2 import PluginManifest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot
from vispy.visuals.text import text

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.widget import AnalyzeWidget
from napari_xmag._gui.shared import collector
from napari_xmag._gui.shared.torch_import import prepare_torch
from napari_xmag._gui.train.widget import TrainWidget
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.zoo import save_model
from tests._gui.desk import Desk
from tests._gui.window import Window, paused
from tests.nets.students import tiny_model
from tests.train.cohorts import write_slides

# Before the first window: tests of all folders share one process, and some import timm late.
prepare_torch()


@pytest.fixture(autouse=True)
def freezes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Spare the collector all that was there before the test, and note when the window does so.

    napari's fixture collects when a window closes, and would search a million objects of PyTorch.
    """
    gc.freeze()
    noted: list[str] = []
    calls = {name: partial(noted.append, name) for name in ("freeze", "unfreeze")}
    monkeypatch.setattr(collector, "gc", SimpleNamespace(**calls))
    return noted


@pytest.fixture(scope="session", autouse=True)
def _read_and_drawn_once() -> Iterator[None]:
    """Read the manifests of plugins and draw each letter once: every window does both anew."""
    manifests = list(PluginManifest.discover())
    letters: dict[tuple[bytes, tuple[int, ...], float], NDArray[np.float32]] = {}
    draw = text._calc_distance_field

    def drawn(pixels: NDArray[np.float32], width: int, height: int, high: float) -> None:
        key = pixels.tobytes(), pixels.shape, high
        if key not in letters:
            draw(pixels, width, height, high)
            letters[key] = pixels.copy()
        pixels[:] = letters[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda *_, **__: iter(manifests))
        patch.setattr(text, "_calc_distance_field", drawn)
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model, saved once."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_model(tiny_model(), folder)
    return folder


@pytest.fixture
def models(tmp_path: Path, tiny_folder: Path) -> Path:
    """The user's models folder, with the small model in it."""
    folder = tmp_path / "xmag-home" / "models"
    shutil.copytree(tiny_folder, folder / "tiny")
    return folder


@pytest.fixture
def window(
    make_napari_viewer: Callable[..., Viewer],
    qtbot: QtBot,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Window]:
    """A shown viewer with the widget docked, the small model chosen."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 640)
    widget = AnalyzeWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Analyze slide")
    go_on = threading.Event()
    go_on.set()
    monkeypatch.setattr(tasks, "analyze", paused(tasks.analyze, go_on))
    opened = Window(viewer, widget, qtbot, go_on)
    widget.controller.choose_model("tiny")  # before the bundled one is loaded
    opened.wait(lambda: widget.state.models)
    widget.state.view = HeatMapView.RANK  # weights at random speak for no class
    yield opened
    go_on.set()
    widget.shut_down()


@pytest.fixture(scope="session")
def cohort_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table of ten small slides of two classes; made once for all tests."""
    return write_slides(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def desk(qtbot: QtBot, models: Path, tmp_path: Path) -> Iterator[Desk]:
    """A shown Train widget that trains from the small model."""
    widget = TrainWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.resize(460, 800)
    widget.show()
    made = Desk(widget, qtbot)
    made.wait(lambda: widget.state.encoders)
    widget.state.encoder = "tiny"
    widget.state.out = tmp_path / "run"
    yield made
    widget.shut_down()
