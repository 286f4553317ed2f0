"""A compiled network is made for one size of batch, and gives what the network gives."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from napari_xmag.nets.engines.networks import LiveNetworks
from napari_xmag.nets.engines.open import EngineSettings, open_engine
from tests.nets.engines.test_graph_engine import pixels
from tests.nets.students import tiny_model

AS_IT_IS = EngineSettings("torch", "cpu", 4, "float32")
COMPILED = EngineSettings("compiled", "cpu", 4, "float32")


def test_batches_are_filled_up_and_nothing_of_that_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def compile(self: nn.Module, *, dynamic: bool) -> None:
        assert not dynamic
        self.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))

    monkeypatch.setattr(nn.Module, "compile", compile)
    model = tiny_model()
    side = model.student.spec.tile_px
    networks = LiveNetworks.of_model(model)
    plain, compiled = (open_engine(networks, how) for how in (AS_IT_IS, COMPILED))
    assert [plain.name, compiled.name] == ["torch", "compiled"]
    assert sizes == [4]  # it was tried, and the model of the caller was left as it was
    tiles = pixels(7, side)
    np.testing.assert_allclose(compiled.encode(tiles), plain.encode(tiles), rtol=1e-4, atol=1e-5)
    tissue = np.ones(plain.encode(tiles).shape[:2], bool)
    tissue[::2] = False
    found, expected = (engine.score(tiles, tissue) for engine in (compiled, plain))
    np.testing.assert_allclose(found.attention_logit, expected.attention_logit, atol=1e-4)
    np.testing.assert_allclose(found.feature_sum, expected.feature_sum, rtol=1e-4, atol=1e-3)
    assert set(sizes) == {4}
    compiled.take_less()
    assert compiled.batch_size == 4


def test_machine_without_a_compiler_runs_the_network_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compile(self: nn.Module, *, dynamic: bool) -> None:
        raise RuntimeError("No working C++ compiler found\nand much more")

    monkeypatch.setattr(nn.Module, "compile", compile)
    model = tiny_model()
    side = model.student.spec.tile_px
    networks = LiveNetworks.of_model(model)
    with caplog.at_level(logging.WARNING):
        engine = open_engine(networks, COMPILED)
    assert engine.name == "torch"
    assert "cannot be compiled for cpu (RuntimeError: No working C++ compiler found)" in caplog.text
    tiles = pixels(3, side)
    expected = open_engine(networks, AS_IT_IS).encode(tiles)
    np.testing.assert_allclose(engine.encode(tiles), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_lanes_of_a_gpu_give_what_the_cpu_gives() -> None:
    from napari_xmag.nets.engines.lanes import EngineLanes

    model = tiny_model()
    side = model.student.spec.tile_px
    networks = LiveNetworks.of_model(model)
    tiles = pixels(61, side)
    exact = open_engine(networks, AS_IT_IS).encode(tiles)
    for name in ("torch", "compiled"):
        engine = open_engine(networks, EngineSettings(name, "cuda", 8))
        assert engine.name == name
        lanes = EngineLanes(engine)
        futures = [lanes.submit(engine.encode, tiles[i : i + 8]) for i in range(0, 61, 8)]
        found = np.concatenate([future.result() for future in futures])
        lanes.close()
        cosine = (found * exact).sum(-1) / np.linalg.norm(found, axis=-1)
        assert (cosine / np.linalg.norm(exact, axis=-1)).min() > 0.998
