"""Checkpoints: whole or none, and nobody goes on with other settings."""

import resource
from pathlib import Path

import pytest
import torch

from napari_xmag.errors import ConfigError, ExportError, ModelError
from napari_xmag.learn.checkpoint import (
    flattened,
    load_checkpoint,
    load_facts,
    parted,
    require_same_settings,
    save_checkpoint,
)


def test_tensors_and_facts_come_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "c.safetensors"
    turned = torch.arange(6.0).view(2, 3).T  # not contiguous
    save_checkpoint(path, {"a": turned, "b": turned}, {"epoch": 3, "rate": 0.1, "best": None})
    tensors, facts = load_checkpoint(path)
    assert facts == {"epoch": 3, "rate": 0.1, "best": None}
    assert torch.equal(tensors["a"], turned)
    assert torch.equal(tensors["b"], turned)
    assert load_facts(path) == facts


def test_parts_are_joined_and_parted() -> None:
    parts = {"task": {"a/b": torch.ones(1)}, "average": {"a": torch.zeros(2)}}
    whole = flattened(parts)
    assert sorted(whole) == ["average/a", "task/a/b"]
    assert parted(whole) == parts


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"a": torch.ones(3)}, {"epoch": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(ExportError, match=r"c\.safetensors.*free space|Free some disk space"):
            save_checkpoint(path, {"a": torch.ones(100_000)}, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load_checkpoint(path)[1] == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"c\.safetensors"):
        save_checkpoint(tmp_path / "file" / "c.safetensors", {"a": torch.ones(3)}, {})


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".part-1234-c.safetensors").write_bytes(b"half")
    save_checkpoint(tmp_path / "c.safetensors", {"a": torch.ones(3)}, {})
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all", "no facts"])
def test_a_broken_checkpoint_is_named(tmp_path: Path, content: bytes | str | None) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "c.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        save_file({"a": torch.ones(1)}, path)
    for load in (load_checkpoint, load_facts):
        with pytest.raises(ModelError, match=r"c\.safetensors.*another folder"):
            load(path)


def test_every_differing_setting_is_named() -> None:
    old = {"fit": {"lr": 0.1, "epochs": 3}, "seed": 0, "betas": [1, 2]}
    require_same_settings(old, {**old, "betas": (1, 2)}, Path("c"))
    new = {"fit": {"lr": 0.2, "epochs": 3, "clip": 1.0}, "seed": 1, "betas": (1, 2)}
    with pytest.raises(ConfigError) as caught:
        require_same_settings(old, new, Path("c"))
    assert "fit.clip was not set, now 1.0; fit.lr was 0.1, now 0.2; seed was 0, now 1" in str(
        caught.value
    )
