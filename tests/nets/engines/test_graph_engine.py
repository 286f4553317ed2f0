"""A graph gives what PyTorch gives, for every kind of network and readout."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_xmag.errors import GraphError, ModelError
from napari_xmag.nets.device import DeviceBatch, encode_bag
from napari_xmag.nets.engines.convert import convert, require_same
from napari_xmag.nets.engines.graph_cache import graph_name, keep_graph, kept_graph
from napari_xmag.nets.engines.graph_engine import GraphEngine
from napari_xmag.nets.engines.head_graph import HeadGraph
from napari_xmag.nets.engines.networks import LiveNetworks
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student, StudentSpec, build_student
from napari_xmag.zoo import load_model
from tests.nets.students import CASES

CPU = torch.device("cpu")


def pixels(count: int, side: int) -> np.ndarray:
    """Tiles of smooth colours with noise: no network sees only what saturates it."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(40, 250, (count, 4, 4, 3)).repeat(side // 4, 1).repeat(side // 4, 2)
    return np.clip(coarse + rng.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)


def graph_of(student: Student, granularity: Granularity) -> Path:
    """Return the graph of a student, converted once for all tests."""
    name = graph_name(LiveNetworks(student, granularity).fingerprint(), granularity)
    return kept_graph(name) or keep_graph(name, partial(convert, student, granularity))


def three_layers() -> Student:
    torch.manual_seed(0)
    spec = StudentSpec(2.0, 128, layers=3)
    return build_student("mobilenetv1_100", spec).eval()


def deviations() -> Student:
    student = three_layers()
    return Student(student.backbone, replace(student.spec, embedding="avg+std")).eval()


def two_blocks() -> Student:
    torch.manual_seed(0)
    spec = StudentSpec(2.0, 64, embedding="cls", layers=2)
    args = {"embed_dim": 48, "depth": 2, "num_heads": 2}
    return build_student("vit_tiny_patch16_224", spec, **args).eval()


LAYOUTS = {
    "class-token": (CASES["vit-cls"].student, "tiles"),
    "cells-of-registers": (CASES["vit-patch14-registers"].student, "cells"),
    "mean-of-registers": (CASES["vit-registers-avg"].student, "tiles"),
    "rotary-positions": (CASES["eva-rope"].student, "cells"),
    "convolutions": (CASES["mobilenet"].student, "tiles"),
    "residual-cells": (CASES["resnet"].student, "cells"),
    "channels-last-cells": (CASES["swin-channels-last"].student, "cells"),
    "stages-side-by-side-cells": (three_layers, "cells"),
    "deviations-of-stages": (deviations, "tiles"),
    "blocks-side-by-side-class-token": (two_blocks, "tiles"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_features_are_those_of_pytorch(layout: str) -> None:
    make, granularity = LAYOUTS[layout]
    student = make()
    tiles = pixels(5, student.spec.tile_px)
    expected = encode_bag(student, tiles, DeviceBatch(CPU, 5, "float32"), granularity).numpy()
    found = GraphEngine(graph_of(student, granularity)).encode(tiles)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    a, b = (
        features.reshape(-1, features.shape[-1]).astype(float) for features in (expected, found)
    )
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.9999
    np.testing.assert_allclose(b, a, rtol=0, atol=1e-3 * np.abs(a).max())
    # tiles differ, so that a graph of one tile for all could not pass
    assert np.abs(a - a.mean(0)).max() > 1e-3


def test_bundled_model_scores_as_with_pytorch() -> None:
    model = load_model()
    networks = LiveNetworks.of_model(model)
    tiles = pixels(3, model.info.tile_px)
    tissue = np.random.default_rng(1).random((3, 16)) < 0.6
    graph = graph_of(model.student, "cells")
    arrays = networks.head_arrays()
    assert arrays is not None
    found = GraphEngine(graph, HeadGraph(arrays)).score(tiles, tissue)
    features = encode_bag(model.student, tiles, DeviceBatch(CPU, 3, "float32"), "cells")[tissue]
    with torch.inference_mode():
        logit, evidence = model.head.patch_scores(features)
    np.testing.assert_allclose(found.attention_logit, logit, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.patch_evidence, evidence, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.feature_sum, features.double().sum(0), rtol=1e-4, atol=1e-3)
    assert found.attention_logit.shape == (tissue.sum(),)


def test_tiles_without_tissue_have_no_scores() -> None:
    model = load_model()
    arrays = LiveNetworks.of_model(model).head_arrays()
    assert arrays is not None
    engine = GraphEngine(graph_of(model.student, "cells"), HeadGraph(arrays))
    found = engine.score(pixels(2, 256), np.zeros((2, 16), bool))
    assert found.attention_logit.shape == (0,)
    assert found.patch_evidence.shape == (0, 2)
    assert not found.feature_sum.any()
    assert engine.encode(np.empty((0, 256, 256, 3), np.uint8)).shape == (0, 16, 1792)


@pytest.mark.parametrize("patches", [0, 1, 5000])
def test_head_scores_any_number_of_patches(patches: int) -> None:
    torch.manual_seed(3)
    head = AttentionHead(24, 5, 3).eval()
    features = torch.randn(patches, 24) * 3
    arrays = {name: tensor.numpy() for name, tensor in head.state_dict().items()}
    logit, evidence = HeadGraph(arrays).patch_scores(features.numpy())
    with torch.inference_mode():
        expected_logit, expected_evidence = head.patch_scores(features)
    np.testing.assert_allclose(logit, expected_logit, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(evidence, expected_evidence, rtol=1e-5, atol=1e-5)


def test_head_without_its_tensors_is_refused() -> None:
    with pytest.raises(ModelError, match=r"attention head.*score"):
        HeadGraph({"value.weight": np.ones((2, 3)), "gate.weight": np.ones((2, 3))})


def test_engine_without_a_head_does_not_score() -> None:
    student = CASES["vit-cls"].student()
    engine = GraphEngine(graph_of(student, "tiles"))
    with pytest.raises(ModelError, match="only encodes"):
        engine.score(pixels(1, 64), np.ones((1, 1), bool))


def test_tile_of_another_size_is_refused() -> None:
    engine = GraphEngine(graph_of(CASES["vit-cls"].student(), "tiles"))
    with pytest.raises(ModelError, match="32×32 px"):
        engine.encode(pixels(1, 32))


def test_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(GraphError, match="ONNX Runtime can run"):
        GraphEngine(tmp_path / "graph.onnx")


def test_student_stays_as_it_is(tmp_path: Path) -> None:
    student = CASES["vit-cls"].student().train()
    student.half()
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    convert(student, "tiles", tmp_path / "graph.onnx")
    assert student.training
    assert {str(tensor.dtype) for tensor in student.parameters()} == {"torch.float16"}
    for name, tensor in student.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_graph_of_another_network_is_found_out() -> None:
    student, other = CASES["vit-cls"].student(), CASES["vit-cls"].student()
    graph = graph_of(student, "tiles")
    require_same(student, "tiles", graph)
    with torch.no_grad():
        other.backbone.norm.weight.mul_(1.01)  # type: ignore[union-attr, operator]
    with pytest.raises(GraphError, match="difference"):
        require_same(other, "tiles", graph)


class _Undecided(nn.Module):
    """A backbone that goes another way for another picture, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.feature_info = [{"reduction": 16}]

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        if float(images.sum()) > 0:
            images = images * self.gain
        return nn.functional.avg_pool2d(images, 16)


def test_network_that_decides_by_the_picture_is_refused(tmp_path: Path) -> None:
    student = Student(_Undecided(), StudentSpec(2.0, 64)).eval()
    with pytest.raises(GraphError, match=r"to convert _Undecided to a graph") as caught:
        convert(student, "tiles", tmp_path / "graph.onnx")
    assert "\n" not in str(caught.value)
    assert caught.value.causes


def test_where_memory_is_short_fewer_tiles_are_encoded_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("napari_xmag.nets.engines.graph_engine.usable_cores", lambda: 3)
    engine = GraphEngine(graph_of(LAYOUTS["class-token"][0](), "tiles"))
    session = Crowded(engine._session, most=1, lanes=engine.lanes)
    monkeypatch.setattr(engine, "_session", session)
    tiles = pixels(6, 64)
    with ThreadPoolExecutor(engine.lanes) as lanes:
        found = list(lanes.map(lambda tile: engine.encode(tile[None]), tiles))
    assert session.refused
    assert np.array_equal(np.concatenate(found), session.whole.encode(tiles))
    assert "from now on 1 tiles at once" in caplog.text
    session.most = 0
    with pytest.raises(ModelError, match="Failed to allocate"):
        engine.encode(tiles[:1])


class Crowded:
    """A session that has memory for so many tiles at once; the first ones come together."""

    def __init__(self, session: Any, most: int, lanes: int) -> None:
        self.whole = GraphEngine(graph_of(LAYOUTS["class-token"][0](), "tiles"))
        self.most, self.refused = most, 0
        self._session, self._inside = session, 0
        self._lock, self._first = threading.Lock(), threading.Barrier(lanes)

    def run(self, *given: Any) -> Any:
        with self._lock:
            self._inside += 1
            crowded = self._inside > self.most
            self.refused += crowded
        try:
            with suppress(threading.BrokenBarrierError):  # opened before
                self._first.wait(30)
                self._first.abort()
            if crowded:
                raise RuntimeError("Failed to allocate memory for requested buffer of size 9")
            return self._session.run(*given)
        finally:
            with self._lock:
                self._inside -= 1
