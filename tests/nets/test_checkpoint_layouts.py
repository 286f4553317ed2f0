"""DINOv2's checkpoint layout: every name, prefixes, chunks, positions; same features as DINOv2."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_xmag.errors import ModelError
from napari_xmag.nets.checkpoint_layouts import build_vit, plain_names, read_state, shape_of
from tests.nets.dinov2 import GRID, checkpoint, features


def _tiles() -> Tensor:
    return torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(3))


def _rebuilt(state: dict[str, Tensor]) -> Tensor:
    plain = plain_names(state)
    network = build_vit(plain, shape_of(plain), 56, offset=0.1).eval()
    with torch.no_grad():
        return network.forward_features(_tiles())


@pytest.mark.parametrize("grid", [GRID, 9], ids=["own positions", "resampled positions"])
@pytest.mark.parametrize("gated", [False, True], ids=["mlp", "swiglu"])
def test_network_gives_the_features_of_dinov2(grid: int, gated: bool) -> None:
    state = checkpoint(grid=grid, gated=gated)
    torch.testing.assert_close(_rebuilt(state), features(state, _tiles()), rtol=1e-4, atol=1e-5)


def test_registers_stay_between_class_and_patch_tokens() -> None:
    state = checkpoint(registers=4)
    expected = features(state, _tiles())
    assert expected.shape[1] == 1 + 4 + GRID**2
    torch.testing.assert_close(_rebuilt(state), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "prefix",
    ["model.", "module.", "student.", "student.backbone.", "student_ema.model.", "_orig_mod."],
)
def test_prefixes_and_heads_are_dropped(prefix: str) -> None:
    state = checkpoint()
    found = {f"{prefix}{key}": value for key, value in state.items()}
    found |= {f"{prefix}dino_head.mlp.0.weight": torch.ones(3), "global_head.weight": torch.ones(1)}
    kept = plain_names(found)
    assert set(kept) == set(state) - {"mask_token"}
    assert all(torch.equal(kept[key], state[key]) for key in kept)


def test_moving_average_is_taken_before_student_and_teacher() -> None:
    average = checkpoint()
    others = {key: value + 1 for key, value in average.items()}
    found = {f"{name}.model.{key}": value for key, value in others.items()
             for name in ("teacher", "student")}  # fmt: skip
    found |= {f"student_ema.model.{key}": value for key, value in average.items()}
    assert torch.equal(plain_names(found)["norm.weight"], average["norm.weight"])


def test_chunks_of_blocks_are_joined() -> None:
    state = checkpoint()
    chunked = {
        key.replace("blocks.1.", "blocks.1.1.").replace("blocks.0.", "blocks.0.0."): value
        for key, value in state.items()
    }
    assert set(plain_names(chunked)) == set(plain_names(state))


def test_positions_are_resampled_as_dinov2_does_and_not_as_timm_does() -> None:
    state = checkpoint(grid=9)
    shape = shape_of(state)
    network = build_vit(plain_names(state), shape, 56, offset=0.1)
    image = state["pos_embed"][:, 1:].reshape(1, 9, 9, -1).permute(0, 3, 1, 2)
    factor = (GRID + 0.1) / 9
    expected = functional.interpolate(image, scale_factor=(factor, factor), mode="bicubic")
    placed = network.pos_embed[:, 1:]
    torch.testing.assert_close(placed, expected.permute(0, 2, 3, 1).reshape(1, GRID**2, -1))
    smooth = functional.interpolate(image, size=(GRID, GRID), mode="bicubic", antialias=True)
    assert (placed - smooth.permute(0, 2, 3, 1).reshape(1, GRID**2, -1)).abs().max() > 0.01


def test_missing_weight_is_named() -> None:
    state = plain_names(checkpoint())
    del state["blocks.1.ls2.gamma"]
    with pytest.raises(ModelError, match=r"blocks\.1\.ls2\.gamma"):
        build_vit(state, shape_of(state), 56, offset=0.1)


def test_other_layouts_are_refused() -> None:
    with pytest.raises(ModelError, match="no cls_token"):
        plain_names({"conv1.weight": torch.ones(1)})


@pytest.mark.parametrize("name", ["xmag.pth", "pytorch_model.bin"])
def test_pickled_checkpoint_is_refused_unread_with_the_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04never read")
    with pytest.raises(ModelError, match=r"can run code.*docs/teachers\.md"):
        read_state(tmp_path / name)


def test_broken_safetensors_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no header")
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        read_state(tmp_path / "x.safetensors")
