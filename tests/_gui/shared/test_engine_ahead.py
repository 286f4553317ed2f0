"""A network is converted beside the window, not in it."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from napari_xmag._gui.shared import engine_ahead as module
from napari_xmag._gui.shared import subprocess_worker
from napari_xmag._gui.shared.engine_ahead import engine_ahead
from napari_xmag.analyze.events import Waiting
from napari_xmag.errors import GraphError
from napari_xmag.nets.engines import convert, graph_cache
from napari_xmag.nets.engines.graph_cache import graph_name, keep_graph, kept_graph
from napari_xmag.nets.engines.open import EngineSettings, lacks_graph, open_engine
from napari_xmag.nets.folders.stored import StoredModel

GRAPH = EngineSettings(engine="graph", device="cpu", batch_size=1)


@pytest.fixture
def model(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredModel:
    """A model of which no graph is kept, in this process and in children."""
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: tmp_path / "xmag-home" / "graphs")
    return StoredModel.open(Path(tiny))


def test_a_child_converts_and_this_process_finds_the_graph(
    model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("converted here")

    monkeypatch.setattr(convert, "convert", never)
    assert lacks_graph(model, GRAPH)
    events = list(engine_ahead(model, GRAPH))
    assert {type(event) for event in events} <= {Waiting}
    assert not lacks_graph(model, GRAPH)
    assert open_engine(model, GRAPH).name == "graph"
    monkeypatch.setattr(module, "in_child", never)
    assert list(engine_ahead(model, GRAPH)) == []


def test_a_network_that_cannot_be_converted_is_not_tried_again(
    model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise GraphError(expected="a graph", found="none", hint="")

    name = graph_name(model.fingerprint(), model.granularity)
    with pytest.raises(GraphError):
        keep_graph(name, refuse)
    with pytest.raises(GraphError):
        kept_graph(name)
    prepared: list[bool] = []
    monkeypatch.setattr(module, "in_child", refuse)
    monkeypatch.setattr(module, "prepare_torch", lambda: prepared.append(True))
    assert not lacks_graph(model, GRAPH)
    assert list(engine_ahead(model, GRAPH)) == []
    assert prepared  # as PyTorch runs the network


@pytest.mark.parametrize(
    ("problem", "words"),
    [("dies", "stopped early"), ("memory", "MemoryError"), ("no process", "Cannot allocate")],
)
def test_a_child_that_gives_no_graph_is_passed_over(
    model: StoredModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: str,
    words: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(module, "make_graph", _dies if problem == "dies" else _lacks_memory)
    if problem == "no process":
        monkeypatch.setattr(subprocess, "Popen", refuse)
    with caplog.at_level("INFO"):
        list(engine_ahead(model, GRAPH))
    assert words in caplog.text
    assert lacks_graph(model, GRAPH)


def _dies(_: Path) -> None:
    os._exit(3)


def _lacks_memory(_: Path) -> Iterator[Path]:
    raise MemoryError
    yield


def test_a_conversion_that_is_not_wanted_any_more_ends_at_once(
    model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never looks whether it shall end; nobody waits for it."""
    monkeypatch.setattr(subprocess_worker, "_SECONDS_TO_END", 300.0)
    monkeypatch.setattr(module, "make_graph", _never_ends)
    with closing(engine_ahead(model, GRAPH)) as events:
        next(events)
    assert lacks_graph(model, GRAPH)


def _never_ends(_: Path) -> Iterator[Path]:
    threading.Event().wait()
    yield Path()
