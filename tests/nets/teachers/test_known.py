"""Known teachers built small, saved as folders and loaded back; their feature rules; licences."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_xmag.errors import ModelError
from napari_xmag.nets.teachers.known import TEACHERS, Sharing, TeacherSpec, teacher_spec
from napari_xmag.nets.teachers.teacher import Teacher, load_teacher

REGISTERS = {
    "uni2-h": 8,
    "virchow2": 4,
    "h-optimus-0": 4,
    "h-optimus-1": 4,
    "h0-mini": 4,
    "prov-gigapath": 0,
}
"""What the authors' cards say; Midnight-12k and Phikon-v2 have none."""

PARAMETERS = {
    "uni2-h": 681.4,
    "virchow2": 631.2,
    "h-optimus-0": 1134.8,
    "h-optimus-1": 1134.8,
    "h0-mini": 85.7,
    "prov-gigapath": 1135.0,
}
"""Published sizes in millions."""

SMALL = {"embed_dim": 96, "depth": 2, "num_heads": 2}


def _timm(spec: TeacherSpec, sizes: Mapping[str, Any]) -> nn.Module:
    arguments = {**spec.arguments, **sizes}
    if "mlp_layer" in arguments:
        arguments |= {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU}
    return timm.create_model(spec.architecture, pretrained=False, num_classes=0, **arguments)


def _scrambled(network: nn.Module) -> nn.Module:
    """Random weights everywhere: timm's own start leaves the blocks next to nothing."""
    random = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=random)
    return network.eval()


def _bytes() -> Tensor:
    return torch.randint(
        0, 256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(1)
    ).byte()


def _tokens(network: nn.Module, spec: TeacherSpec) -> Tensor:
    mean = torch.tensor(spec.mean).view(3, 1, 1)
    std = torch.tensor(spec.std).view(3, 1, 1)
    with torch.no_grad():
        return network.forward_features((_bytes() / 255 - mean) / std)


@pytest.mark.parametrize("described", [False, True], ids=["weights alone", "with config.json"])
@pytest.mark.parametrize("name", REGISTERS)
def test_timm_teacher_loads_back_with_its_rule(tmp_path: Path, name: str, described: bool) -> None:
    network = _scrambled(_timm(TEACHERS[name], SMALL))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    if described:
        config = {
            "architecture": TEACHERS[name].architecture,
            "num_classes": 0,
            "pretrained_cfg": {"num_classes": 0, "input_size": [3, 224, 224]},
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
    spec = teacher_spec(name, tmp_path, arguments=SMALL)
    features = load_teacher(spec)(_bytes())
    tokens = _tokens(network, spec)
    patches = tokens[:, 1 + REGISTERS[name] :]
    assert patches.shape[1] == (14**2 if name == "prov-gigapath" else 16**2)
    expected = tokens[:, 0]
    if name in ("virchow2", "h0-mini"):
        expected = torch.cat([tokens[:, 0], patches.mean(1)], dim=1)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REGISTERS)
def test_recipe_builds_the_network_of_the_published_size(name: str) -> None:
    spec = TEACHERS[name]
    with torch.device("meta"):
        network = _timm(spec, {})
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert millions == pytest.approx(PARAMETERS[name], abs=0.06)
    assert network.num_prefix_tokens == 1 + REGISTERS[name]
    assert spec.width == network.num_features * (2 if spec.feature == "cls_mean" else 1)


def _as_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a timm state as transformers' Dinov2Model writes it down."""
    renamed = {"embeddings.mask_token": torch.zeros(1, 96)}
    outside = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    inside = {
        "attn.proj": "attention.output.dense",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }
    gated = len(state["blocks.0.mlp.fc1.weight"]) != state["blocks.0.mlp.fc2.weight"].shape[1]
    inside |= {"mlp.fc1": "mlp.weights_in", "mlp.fc2": "mlp.weights_out"} if gated else {}
    for key, value in state.items():
        if key in outside:
            renamed[outside[key]] = value
            continue
        _, block, rest = key.split(".", 2)
        start = f"encoder.layer.{block}."
        if rest.startswith("attn.qkv"):
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                name = f"{start}attention.attention.{part}.{rest.rpartition('.')[2]}"
                renamed[name] = piece.contiguous()
            continue
        for old, new in inside.items():
            rest = rest.replace(old, new)
        renamed[start + rest] = value
    return renamed


@pytest.mark.parametrize(
    ("name", "architecture", "patch_px"),
    [("midnight-12k", "vit_giant_patch14_dinov2", 14), ("phikon-v2", "vit_large_patch16_224", 16)],
)
def test_transformers_teacher_loads_through_timm(
    tmp_path: Path, name: str, architecture: str, patch_px: int
) -> None:
    sizes = SMALL | {"img_size": 224, "patch_size": patch_px, "init_values": 1.0}
    network = _scrambled(timm.create_model(architecture, num_classes=0, **sizes))
    save_file(_as_transformers(network.state_dict()), tmp_path / "model.safetensors")
    config = {"model_type": "dinov2", "num_attention_heads": 2, "layer_norm_eps": 1e-6}
    (tmp_path / "config.json").write_text(json.dumps(config))
    spec = teacher_spec(name, tmp_path)
    expected = _tokens(network, spec)[:, 0]
    torch.testing.assert_close(load_teacher(spec)(_bytes()), expected, rtol=1e-4, atol=1e-5)


class _Counting(nn.Module):
    """Tokens whose value says where they stand: class 0, registers 1–4, patches 5–260."""

    num_prefix_tokens = 5

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1))

    def forward_features(self, images: Tensor) -> Tensor:
        return torch.arange(261.0).view(1, 261, 1).expand(len(images), 261, 2) + torch.tensor(
            [0.0, 1000.0]
        )


def test_class_token_comes_first_and_registers_are_left_out_of_the_mean() -> None:
    spec = teacher_spec("virchow2")
    mean = sum(range(5, 261)) / 256
    features = Teacher(_Counting(), spec)(_bytes())
    assert features.tolist() == [[0.0, 1000.0, mean, 1000.0 + mean]] * 2
    alone = Teacher(_Counting(), teacher_spec("virchow2", feature="cls"))(_bytes())
    assert alone.tolist() == [[0.0, 1000.0]] * 2


def test_class_token_is_demanded_where_the_feature_needs_it() -> None:
    network = timm.create_model("resnet10t", num_classes=0)
    with pytest.raises(ModelError, match="Set the feature to 'pooled'"):
        Teacher(network, TeacherSpec("resnet10t", feature="cls"))


def test_any_timm_folder_is_a_teacher_with_its_own_pooling(tmp_path: Path) -> None:
    network = _scrambled(timm.create_model("resnet10t", num_classes=0))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(
        '{"architecture": "resnet10t", "num_classes": 0, "pretrained_cfg": {"num_classes": 0}}'
    )
    teacher = load_teacher(teacher_spec(f"local-dir:{tmp_path}"))
    assert teacher(_bytes()).shape == (2, 512)
    assert teacher.spec.sharing is Sharing.ASK


def test_licence_is_said_before_anything_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError):
        load_teacher(teacher_spec("uni2-h", tmp_path))
    assert "CC-BY-NC-ND-4.0" in caplog.text
    assert "derivatives" in caplog.text


def test_pickled_teacher_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04never read")
    with pytest.raises(ModelError, match=r"no model\.safetensors.*docs/teachers\.md"):
        load_teacher(teacher_spec("uni2-h", tmp_path))


def test_gated_teacher_without_login_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError("401 Client Error: gated repository")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ModelError, match=r"401.*hf auth login"):
        load_teacher(teacher_spec("virchow2"))


def test_hub_is_asked_for_safe_files_of_the_named_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def download(repository: str, **how: object) -> str:
        asked[repository] = how["allow_patterns"]
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    for name in TEACHERS:
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            load_teacher(teacher_spec(name))
    assert set(asked) == {spec.name.removeprefix("hf-hub:") for spec in TEACHERS.values()}
    assert all(files == ["config.json", "model.safetensors"] for files in asked.values())


def test_given_values_win_over_the_recipe_and_nothing_else_changes() -> None:
    spec = teacher_spec("UNI2-h", licence="my own", tile_px=None, arguments={"depth": 2})
    assert (spec.licence, spec.tile_px, spec.sharing) == ("my own", 224, Sharing.NO)
    assert spec.arguments == TEACHERS["uni2-h"].arguments | {"depth": 2}
    assert TEACHERS["uni2-h"].arguments["depth"] == 24


def test_folder_is_refused_for_a_teacher_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"local-dir:FOLDER"):
        teacher_spec("resnet10t", tmp_path)


def test_origin_copies_the_licence_and_no_path(tmp_path: Path) -> None:
    origin = teacher_spec("phikon-v2", tmp_path).origin()
    assert origin["licence"] == "Owkin non-commercial licence"
    assert origin["students_may_be_shared"] == "non-commercially"
    unnamed = teacher_spec(f"local-dir:{tmp_path / 'net'}").origin()
    assert str(tmp_path) not in json.dumps([origin, unnamed])
    assert unnamed["name"] == "net"


def test_every_recipe_is_json_able_and_says_its_licence() -> None:
    for name, spec in TEACHERS.items():
        json.dumps(spec.arguments)
        assert spec.title.lower() == name
        assert spec.licence != "not stated"
        assert spec.mpp == 0.5


def test_permissive_licence_of_an_unknown_teacher_lets_students_be_shared() -> None:
    assert teacher_spec("local-dir:x", licence="Apache-2.0").sharing is Sharing.YES
    assert teacher_spec("local-dir:x", licence="my own").sharing is Sharing.ASK
    assert teacher_spec("local-dir:x").sharing is Sharing.ASK
