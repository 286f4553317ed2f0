"""A cohort is encoded as a graph where that pays, and with the same features."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.errors import GraphError
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.device import DeviceBatch, encode_bag
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student
from tests.train.cohorts import tiny_encoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Student:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny").student.eval()


@pytest.fixture
def pixels(student: Student) -> np.ndarray:
    side = student.spec.tile_px
    return np.random.default_rng(0).integers(0, 256, (9, side, side, 3), np.uint8)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("granularity", ["tiles", "cells"])
def test_many_tiles_are_encoded_as_a_graph_with_the_features_of_pytorch(
    student: Student, pixels: np.ndarray, granularity: Granularity
) -> None:
    expected = encode_bag(student, pixels, DeviceBatch(CPU, precision="float32"), granularity)
    batch = DeviceBatch(CPU, precision="float32")
    with closing(TileEncoder(student, granularity, batch, slides=30)) as encoder:
        encoder.prepare(30)
        assert encoder.engine == "graph"
        found = encoder.encode(pixels)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("slides", "tiles"), [(1, 30), (30, 3)])
def test_few_tiles_are_not_worth_a_graph(
    student: Student, pixels: np.ndarray, slides: int, tiles: int
) -> None:
    with closing(TileEncoder(student, slides=slides)) as encoder:
        encoder.prepare(tiles)
        encoder.prepare(10_000)  # the first slide decides
        assert encoder.engine == "torch"
        assert encoder.encode(pixels).shape == (9, 1, student.dim)


def test_a_network_that_cannot_be_converted_is_encoded_in_pytorch(
    student: Student, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise GraphError(expected="a graph", found="an operation that has none", hint="")

    monkeypatch.setattr("napari_xmag.nets.engines.open.graph_of", refuse)
    with closing(TileEncoder(student, slides=1000)) as encoder:
        encoder.prepare(1000)
        assert encoder.engine == "torch"
        assert encoder.encode(pixels).shape == (9, 1, student.dim)
