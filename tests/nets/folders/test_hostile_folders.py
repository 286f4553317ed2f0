"""Model folders of anyone: every lie is refused in words, when checked, added and loaded."""

import hashlib
import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from napari_xmag.cli import main
from napari_xmag.errors import ModelError
from napari_xmag.nets.folders.tensors import read_tensor_headers
from napari_xmag.nets.info import ModelInfo
from napari_xmag.zoo import check_model, load_model, open_model, save_model
from tests.nets.students import tiny_model

Config = dict[str, Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "tiny"
    save_model(tiny_model(), folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def pinned(folder: Path, change: Callable[[Config], None] = lambda _: None) -> Path:
    """Change the config and make its hashes true again, as whoever means harm would."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    files = config["xmag"]["files"]
    for name in files:
        files[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def with_tensor(folder: Path, file: str, name: str, value: float) -> Path:
    arrays = load_file(folder / file)
    arrays[name] = arrays[name].copy()
    arrays[name].flat[-1] = value
    save_file(arrays, folder / file)
    return pinned(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        ("model.safetensors", "patch_embed.proj.weight"),
        ("head.safetensors", "score.bias"),
        ("head.safetensors", "training_range.mean"),
        ("head.safetensors", "training_range.within"),
    ],
)
def test_numbers_that_are_none_are_refused(
    folder: Path, file: str, tensor: str, value: float
) -> None:
    with_tensor(folder, file, tensor, value)
    for use in (check_model, load_model, open_model):
        with pytest.raises(ModelError, match=r"not finite numbers"):
            use(folder)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("name", ["temperature", "threshold", "mpp", "limit", "mean", "std"])
def test_numbers_of_a_config_are_numbers(folder: Path, name: str, number: str) -> None:
    def mark(config: Config) -> None:
        xmag = config["xmag"]
        place = xmag["training_range"] if name == "limit" else xmag
        place[name] = ["@@", 0.5, 0.5] if name in ("mean", "std") else "@@"

    path = pinned(folder, mark) / "config.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"@@"', number), encoding="utf-8")
    with pytest.raises(ModelError, match="not a finite number"):
        check_model(folder)


def _set(*keys: str, value: object) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        place: Any = config
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("architecture", value=None), "architecture None"),
        (_set("architecture", value=["vit"]), "architecture"),
        (_set("architecture", value="local-dir:/etc"), "architecture"),
        (_set("architecture", value="../../evil"), "architecture"),
        (_set("architecture", value="no_such_network"), "timm cannot build"),
        (_set("model_args", value=[1]), "model_args"),
        (_set("model_args", "checkpoint_path", value="evil.pth"), "load something"),
        (_set("model_args", "embed_dim", value=10**9), "embed_dim"),
        (_set("model_args", "depth", value=60_000), "depth"),
        (_set("model_args", "depth", value=4), "differ from those of"),
        (_set("model_args", "nested", value={"a": {"b": [1]}}), "nested"),
        (_set("pretrained_cfg", "file", value="/etc/passwd"), "pretrained_cfg with file"),
        (_set("pretrained_cfg", "url", value="https://example.org/x.pth"), "url"),
        (_set("pretrained_cfg", "hf_hub_id", value="a/b"), "hf_hub_id"),
        (_set("xmag", "tile_px", value=10_000_000), "tile_px 10000000"),
        (_set("xmag", "tile_px", value=True), "tile_px True"),
        (_set("xmag", "mpp", value=1e-6), "mpp 1e-06"),
        (_set("xmag", "cells", value=10**6), "cells 1000000"),
        (_set("xmag", "embedding", value="max"), "embedding 'max'"),
        (_set("xmag", "embedding", value="avg+std"), "avg\\+std of one layer"),
        (_set("xmag", "classes", value=["a" * 100_000, "b"]), "a name of 100,000 letters"),
        (_set("xmag", "classes", value=["a\nb", "b"]), "cannot be seen"),
        (_set("xmag", "classes", value=["", "b"]), "an empty name"),
        (_set("xmag", "classes", value="ab"), "classes 'ab'"),
        (_set("xmag", "classes", value=[1, 2]), r"classes \[1, 2\]"),
        (_set("xmag", "head", "hidden", value=9), "of shape"),
        (_set("xmag", "head", "dim", value="48"), "head dim '48'"),
        (_set("xmag", "training_range", "slides", value=-1), "training range"),
    ],
)
def test_a_config_that_lies_is_refused(
    folder: Path, change: Callable[[Config], None], words: str
) -> None:
    pinned(folder, change)
    with pytest.raises(ModelError, match=words):
        check_model(folder)


def test_a_config_nested_beyond_all_use_or_too_long_is_refused(folder: Path) -> None:
    for text in ("[" * 100_000 + "]" * 100_000, '{"a": "' + "x" * 2_000_000 + '"}'):
        (folder / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(ModelError, match=r"nested too deeply|more than"):
            check_model(folder)


def _declaring(shape: list[int], size: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"weight": [1.0]}), "no header of safetensors"),
        (b"", "no header of safetensors"),
        (struct.pack("<Q", 2**40) + b"{}", "no header of safetensors"),
        (_declaring([25 * 10**9], 100 * 10**9), "100,000,000"),
        (_declaring([3], 100), "does not fit its bytes"),
        (_declaring([-1], 4), "does not fit its bytes"),
        (struct.pack("<Q", 4) + b"[1]x", "no header|no JSON|Extra data"),
    ],
)
def test_weights_that_are_none_are_not_complete(
    folder: Path, content: bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "model.safetensors").write_bytes(content)
    pinned(folder)
    with pytest.raises(ModelError, match=words):
        open_model(folder)
    assert main(["models", "check", str(folder)]) == 1
    assert main(["models", "add", str(folder)]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert "complete" not in said.out


def test_weights_of_another_network_are_not_complete(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"other": np.zeros(3, np.float32)}, folder / "model.safetensors")
    pinned(folder)
    assert main(["models", "check", str(folder)]) == 1
    assert "differ from those of vit_tiny_patch16_224" in capsys.readouterr().err


def test_headers_are_read_as_safetensors_reads_them(saved: Path) -> None:
    arrays = load_file(saved / "model.safetensors")
    header = read_tensor_headers(saved / "model.safetensors")
    assert {name: tensor.shape for name, tensor in header.items()} == {
        name: array.shape for name, array in arrays.items()
    }


def test_a_model_of_numbers_that_cannot_be_is_not_made() -> None:
    with pytest.raises(ModelError, match="mpp"):
        ModelInfo(name="m", display_name="m", classes=("a", "b"), mpp=1e-6, tile_px=64)
