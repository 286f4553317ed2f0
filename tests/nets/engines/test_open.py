"""Which engine is taken, and what happens where it cannot run."""

import json
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_xmag.errors import ConfigError, GraphError
from napari_xmag.nets.engines import graph_cache
from napari_xmag.nets.engines import open as open_module
from napari_xmag.nets.engines.convert import convert
from napari_xmag.nets.engines.graph_cache import graph_name, kept_graph
from napari_xmag.nets.engines.networks import LiveNetworks
from napari_xmag.nets.engines.open import EngineSettings, graph_of, open_engine
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student
from napari_xmag.zoo import save_model
from tests.nets.engines.test_graph_engine import pixels
from tests.nets.students import tiny_model

MISSING = GraphError(expected="ONNX Runtime", found="nothing", hint="Install it.")


@pytest.fixture(autouse=True)
def plain_machine(float32_cpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU and no bfloat16, whatever the machine of the tests has."""
    monkeypatch.setattr(open_module, "accelerator_possible", lambda: False)


@pytest.fixture
def networks() -> LiveNetworks:
    model = tiny_model()
    return LiveNetworks.of_model(model)


def taken(networks: LiveNetworks, **settings: Any) -> str:
    return open_engine(networks, EngineSettings(**settings)).name


def test_cpu_takes_the_graph_and_torch_can_be_had(networks: LiveNetworks) -> None:
    assert taken(networks) == "graph"
    assert taken(networks, device="cpu") == "graph"
    assert taken(networks, precision="float32") == "graph"
    assert taken(networks, engine="torch") == "torch"


def test_cpu_with_bfloat16_computes_in_it(
    networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_module, "cpu_multiplies_bfloat16", lambda: True)
    assert taken(networks) == "torch"
    assert taken(networks, precision="float32") == "graph"
    assert taken(networks, engine="graph") == "graph"


def test_gpu_is_taken_by_torch(networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pick(name: str) -> torch.device:
        asked.append(name)
        return torch.device("meta")

    monkeypatch.setattr("napari_xmag.nets.device.pick_device", pick)
    monkeypatch.setattr(open_module, "_open_torch", lambda *_: _Named("torch"))
    monkeypatch.setattr(open_module, "accelerator_possible", lambda: True)
    assert taken(networks) == "torch"
    assert taken(networks, device="cuda") == "torch"
    assert asked == ["auto", "cuda"]
    with pytest.raises(ConfigError, match=r"engine graph, which runs on the CPU.*device cuda"):
        taken(networks, device="cuda", engine="graph")
    assert taken(networks, engine="graph") == "graph"


@dataclass
class _Named:
    name: str


def test_device_that_might_be_but_is_not_leaves_the_cpu(
    networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_module, "accelerator_possible", lambda: True)
    monkeypatch.setattr("napari_xmag.nets.device.pick_device", lambda _: torch.device("cpu"))
    assert taken(networks) == "graph"


def test_unknown_device_is_refused(networks: LiveNetworks) -> None:
    with pytest.raises(ConfigError, match="toaster"):
        taken(networks, device="toaster")


def test_without_onnx_runtime_torch_runs_and_the_log_says_why(
    networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> None:
        raise MISSING

    monkeypatch.setattr(open_module, "require_runtime", missing)
    with caplog.at_level(logging.INFO):
        assert taken(networks) == "torch"
    assert "PyTorch runs the network. Expected ONNX Runtime" in caplog.text
    with pytest.raises(GraphError, match="Install it"):
        taken(networks, engine="graph")


def test_network_that_cannot_be_converted_runs_in_torch(
    networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: tmp_path)
    tries: list[Path] = []

    def fails(student: Student, granularity: Granularity, path: Path) -> None:
        tries.append(path)
        raise GraphError(expected="to convert it", found="that it cannot be", hint="Torch.")

    monkeypatch.setattr("napari_xmag.nets.engines.convert.convert", fails)
    assert [taken(networks), taken(networks)] == ["torch", "torch"]
    assert len(tries) == 1  # known by then
    with pytest.raises(GraphError, match="cannot be"):
        taken(networks, engine="graph")


def test_cache_that_cannot_be_written_leaves_torch(
    networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "graphs"
    place.write_text("a file lies there")
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: place)
    assert taken(networks) == "torch"


def test_those_who_need_one_graph_at_once_make_it_once(
    networks: LiveNetworks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: tmp_path / "graphs")
    begun, made = threading.Barrier(2), []

    def counted(*given: Any) -> None:
        made.append(1)
        convert(*given)

    def make() -> Path:
        begun.wait()
        return graph_of(networks)

    monkeypatch.setattr("napari_xmag.nets.engines.convert.convert", counted)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(make) for _ in range(2))
        assert first.result() == second.result()
    assert len(made) == 1


def test_engines_agree(networks: LiveNetworks) -> None:
    tiles = pixels(4, 64)
    tissue = np.array([[True], [False], [True], [True]])
    engines = [open_engine(networks, EngineSettings(engine=name)) for name in ("torch", "graph")]
    in_torch, as_graph = (engine.score(tiles, tissue) for engine in engines)
    for name in ("attention_logit", "patch_evidence", "feature_sum"):
        np.testing.assert_allclose(
            getattr(as_graph, name), getattr(in_torch, name), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(*(engine.encode(tiles) for engine in engines), rtol=1e-4, atol=1e-5)
    assert {engine.precision for engine in engines} == {"float32"}
    assert {engine.device for engine in engines} == {"cpu"}


def test_graph_of_a_class_that_was_changed_since_is_made_anew(networks: LiveNetworks) -> None:
    name = graph_name(networks.fingerprint(), networks.granularity)
    open_engine(networks, EngineSettings())
    before = kept_graph(name)
    assert before is not None
    bytes_before = before.read_bytes()
    backbone = networks.own_student.backbone
    forward = backbone.forward_features
    backbone.forward_features = lambda images: 2 * forward(images)  # type: ignore[assignment]
    assert graph_name(networks.fingerprint(), networks.granularity) == name
    tiles = pixels(2, 64)
    engines = [open_engine(networks, EngineSettings(engine=kind)) for kind in ("torch", "graph")]
    np.testing.assert_allclose(*(engine.encode(tiles) for engine in engines), rtol=1e-4, atol=1e-5)
    assert before.read_bytes() != bytes_before
    before.unlink()  # the other tests share it


@dataclass
class _NoTorch:
    """Networks of which nothing but the kept graph may be used."""

    stored: StoredModel
    granularity: Granularity = "tiles"
    asked: list[str] = field(default_factory=list)
    engines: None = None

    def fingerprint(self) -> str:
        return self.stored.fingerprint()

    def student(self) -> Student:
        raise AssertionError("the student was asked for")

    def head(self) -> AttentionHead:
        raise AssertionError("the head was asked for")

    def agree_with(self, graph: Path) -> bool:
        return self.stored.agree_with(graph)

    def head_arrays(self) -> Any:
        return self.stored.head_arrays()


def test_command_with_a_kept_graph_imports_no_torch(
    pyramid_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: home / "graphs")
    save_model(tiny_model(), tmp_path / "tiny")
    open_engine(StoredModel.open(tmp_path / "tiny"), EngineSettings(engine="graph"))
    command = ["analyze", str(pyramid_slide), "--model", str(tmp_path / "tiny"), "--device", "cpu"]
    command += ["--precision", "float32", "--engine", "graph", "--out", str(tmp_path / "out")]
    code = (
        "import sys\n"
        "from napari_xmag.cli import main\n"
        f"status = main({command!r})\n"
        "print('LOADED', status, *{name.split('.')[0] for name in sys.modules})"
    )
    environment = {**os.environ, "NAPARI_XMAG_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    status, *loaded = done.stdout.split("LOADED")[1].split()
    assert status == "0", done.stderr
    assert "onnxruntime" in loaded
    assert not set(loaded) & {"torch", "timm"}
    result = json.loads((tmp_path / "out" / pyramid_slide.stem / "result.json").read_text())
    assert result["settings"]["engine"] == "graph"


def test_stored_model_keeps_its_engine_for_the_next_slide(tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "tiny")
    stored, other = (StoredModel.open(tmp_path / "tiny") for _ in range(2))
    first = open_engine(stored, EngineSettings(engine="torch"))
    assert open_engine(stored, EngineSettings(engine="torch")) is first
    assert open_engine(stored, EngineSettings(engine="torch", batch_size=3)) is not first
    assert open_engine(other, EngineSettings(engine="torch")) is not first
    live = LiveNetworks.of_model(stored.model)  # may learn on, so nothing of it is kept
    assert open_engine(live, EngineSettings("torch")) is not open_engine(
        live, EngineSettings("torch")
    )


def test_stored_model_needs_its_networks_once(tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "tiny")
    stored = StoredModel.open(tmp_path / "tiny")
    first = open_engine(stored, EngineSettings(engine="graph"))
    again = open_engine(_NoTorch(stored), EngineSettings(engine="graph"))
    in_torch = open_engine(LiveNetworks.of_model(stored.model), EngineSettings(engine="torch"))
    tiles, tissue = pixels(3, 64), np.ones((3, 1), bool)
    for engine in (first, again):
        np.testing.assert_allclose(
            engine.score(tiles, tissue).attention_logit,
            in_torch.score(tiles, tissue).attention_logit,
            rtol=1e-4,
            atol=1e-5,
        )
