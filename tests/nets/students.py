"""Small students and slide models with random weights, of every kind of backbone."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import ModelInfo, TrainingRange
from napari_xmag.nets.model import SlideModel
from napari_xmag.nets.student import Student, StudentSpec, build_student


@dataclass(frozen=True)
class Case:
    """One kind of backbone, with the sizes it must give."""

    source: str
    tile_px: int
    dim: int
    grid: int
    embedding: Literal["cls", "avg"] = "avg"
    args: dict[str, Any] = field(default_factory=dict)

    def student(self) -> Student:
        torch.manual_seed(0)
        spec = StudentSpec(2.0, self.tile_px, embedding=self.embedding)
        return build_student(self.source, spec, **self.args).eval()


TINY_VIT = {"embed_dim": 48, "depth": 2, "num_heads": 2}

CASES = {
    "vit-cls": Case("vit_tiny_patch16_224", 64, 48, 4, "cls", TINY_VIT),
    "vit-patch14-registers": Case(
        "vit_tiny_patch16_224", 112, 48, 8, "cls", TINY_VIT | {"patch_size": 14, "reg_tokens": 4}
    ),
    "vit-registers-avg": Case(
        "vit_tiny_patch16_224",
        64,
        48,
        4,
        "avg",
        TINY_VIT | {"reg_tokens": 4, "class_token": False, "global_pool": "avg"},
    ),
    "eva-rope": Case("eva02_tiny_patch14_224", 56, 192, 4, "cls", {"depth": 2}),
    "mobilenet": Case("mobilenetv1_100", 128, 1024, 4),
    "resnet": Case("resnet10t", 256, 512, 8),
    "swin-channels-last": Case(
        "swin_tiny_patch4_window7_224",
        128,
        256,
        4,
        "avg",
        {"embed_dim": 32, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8), "window_size": 4},
    ),
}


def tiny_model(name: str = "tiny", *, with_range: bool = True) -> SlideModel:
    """A slide model of some hundred kilobytes: 64-px tiles at 2 µm/px, two classes."""
    student = CASES["vit-cls"].student()
    features = np.random.default_rng(0).normal(size=(5, 20, student.dim))
    info = ModelInfo(
        name=name,
        display_name="Tiny model of the tests",
        classes=("benign", "malignant"),
        mpp=2.0,
        tile_px=64,
        temperature=2.0,
        demonstration=True,
        licence="BSD-3-Clause",
        training_range=TrainingRange.fit(list(features)) if with_range else None,
        description="Random weights.",
    )
    return SlideModel(student, AttentionHead(student.dim, 8, 2), info).eval()
