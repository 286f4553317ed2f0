"""What the window shows while a model is loaded, and that nobody has to wait for it."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from napari_xmag._gui.analyze.tissue.layer import has_role
from napari_xmag.analyze import engine
from napari_xmag.layer_data import TISSUE_ROLE
from napari_xmag.nets.engines.open import graph_of
from napari_xmag.zoo import open_model
from tests._gui.window import Window


@pytest.mark.window
def test_tissue_and_plan_are_shown_while_pytorch_loads(
    window: Window, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, lanes = threading.Event(), engine.EncoderLanes

    def late(*given: object, **settings: object) -> object:
        loaded.wait()
        return lanes(*given, **settings)

    monkeypatch.setattr(engine, "EncoderLanes", late)
    monkeypatch.setattr(engine, "torch_is_loading", lambda: not loaded.is_set())
    session = window.open(sample)
    window.press()
    window.wait(lambda: session.tissue_layer is not None)

    assert has_role(session.tissue_layer, TISSUE_ROLE)
    assert session.tissue_layer.visible
    assert session.tissue_layer.data.any()
    assert window.viewer.layers.selection.active is session.layer
    words = window.widget.run.words.text()
    assert words == f"{session.progress.total} tiles planned · loading PyTorch and the model …"
    assert session.progress.total > 0

    window.press()  # cancels, though the model is still being loaded
    window.wait(lambda: session.progress is None)
    assert not loaded.is_set()
    assert session.outcome == "Cancelled."
    assert not session.tissue_layer.visible

    window.press()
    window.wait(lambda: session.tissue_layer.visible)
    loaded.set()
    window.wait(lambda: session.result is not None)
    assert not session.tissue_layer.visible
    assert session.map_layer.visible


_AHEAD = """
import sys
from napari_xmag._gui.analyze import tasks
from napari_xmag.nets import accelerators
from napari_xmag.nets.engines import open as opening

for module in (tasks, opening):
    module.accelerator_possible = lambda: False
opening.cpu_multiplies_bfloat16 = lambda: False
shelf = tasks.ModelShelf()
(found,) = tasks.survey()
assert found.devices == ("auto", "cpu"), found.devices
(ready,) = tasks.preload(shelf, "tiny")
assert [engine.name for engine in ready.model.engines.values()] == ["graph"]
assert "torch" not in sys.modules
"""


def test_a_kept_graph_is_loaded_ahead_without_pytorch(models: Path, session_graphs: Path) -> None:
    graph_of(open_model(models / "tiny"))
    home = models.parent
    shutil.copytree(session_graphs, home / "graphs")
    environment = {**os.environ, "NAPARI_XMAG_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", _AHEAD], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
