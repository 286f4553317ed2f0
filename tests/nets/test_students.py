"""The students that the docs name: each builds, pools exactly to 4×4 and starts from a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from napari_xmag.nets.student import StudentSpec, build_student

SMALL = {"embed_dim": 96, "depth": 1, "num_heads": 2}

STUDENTS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "ViT-B/14": ("vit_base_patch14_dinov2", 224, 16, SMALL),
    "ViT-S/14": ("vit_small_patch14_dinov2", 224, 16, SMALL),
    "ViT-S/14 with registers": ("vit_small_patch14_reg4_dinov2", 224, 16, SMALL),
    "ViT-Ti/16": ("vit_tiny_patch16_224", 256, 16, {"depth": 1}),
    "MobileNetV1": ("mobilenetv1_100", 256, 8, {}),
    "ConvNeXt": ("convnext_atto", 256, 8, {}),
}


@pytest.mark.parametrize("name", STUDENTS)
def test_student_pools_exactly_and_starts_from_a_folder(tmp_path: Path, name: str) -> None:
    source, tile_px, grid, sizes = STUDENTS[name]
    embedding = "avg" if grid == 8 else "cls"
    spec = StudentSpec(2.0, tile_px, embedding=embedding)  # type: ignore[arg-type]
    network = timm.create_model(source, num_classes=0, img_size=tile_px, **sizes) if sizes else (
        timm.create_model(source, num_classes=0)
    )  # fmt: skip
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    config = {
        "architecture": source,
        "num_classes": 0,
        "model_args": sizes,
        "pretrained_cfg": {"num_classes": 0, "fixed_input_size": bool(sizes)},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    student = build_student(f"local-dir:{tmp_path}", spec).eval()
    assert student.grid == grid
    started = student.backbone.state_dict()
    for key, value in network.state_dict().items():
        torch.testing.assert_close(started[key], value)
    with torch.no_grad():
        output = student(torch.randint(0, 256, (1, 3, tile_px, tile_px)).byte())
    assert output.cells.shape == (1, student.cell_dim, 4, 4)
    assert output.embedding.shape == (1, student.dim)


def test_network_made_for_518_px_starts_a_student_of_224_px(tmp_path: Path) -> None:
    """As DINOv2's own weights from natural images do."""
    network = timm.create_model("vit_small_patch14_dinov2", num_classes=0, **SMALL)
    assert network.pos_embed.shape[1] == 1 + 37**2
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    config = {
        "architecture": "vit_small_patch14_dinov2",
        "num_classes": 0,
        "model_args": SMALL,
        "pretrained_cfg": {"input_size": [3, 518, 518], "fixed_input_size": True, "num_classes": 0},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    student = build_student(f"local-dir:{tmp_path}", StudentSpec(2.0, 224, embedding="cls"))
    assert student.grid == 16
    assert student.model_args["img_size"] == 224


@pytest.mark.parametrize(
    ("source", "sizes", "millions", "dim"),
    [
        ("vit_base_patch14_dinov2", {"img_size": 224}, 85.7, 768),
        ("vit_small_patch14_dinov2", {"img_size": 224}, 21.6, 384),
        ("vit_tiny_patch16_224", {}, 5.5, 192),
        ("mobilenetv1_100", {}, 3.2, 1024),
    ],
)
def test_students_are_of_the_sizes_the_docs_say(
    source: str, sizes: dict[str, int], millions: float, dim: int
) -> None:
    with torch.device("meta"):
        network = timm.create_model(source, num_classes=0, **sizes)
    assert network.num_features == dim
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.06)
