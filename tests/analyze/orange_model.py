"""A model without chance: it attends to orange, and calls a slide with orange "orange"."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity, ModelInfo, TrainingRange
from napari_xmag.nets.model import SlideModel
from napari_xmag.nets.student import Student, StudentSpec

TILE_PX = 64
MPP = 2.0
TILE_UM = TILE_PX * MPP

_ORANGE = (250, 140, 40)
_GRAIN_PX = 16


class MeanColor(nn.Module):
    """A backbone whose feature map is the mean colour of blocks of 16 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.feature_info = [{"reduction": 16}]

    def forward_features(self, images: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(images * self.gain, 16)


def orange_model(
    mpp: float = MPP,
    *,
    attention: float = 40.0,
    demonstration: bool = False,
    training_range: TrainingRange | None = None,
    granularity: Granularity = "tiles",
) -> SlideModel:
    """Return the model; with ``attention`` 0 it attends to all tiles alike."""
    spec = StudentSpec(mpp, TILE_PX, mean=(0, 0, 0), std=(1, 1, 1))
    student = Student(MeanColor(), spec)
    head = AttentionHead(3, 1, 2)
    orangeness = torch.tensor([1.0, 0.0, -1.0])
    with torch.no_grad():
        head.value.weight.copy_(0.1 * orangeness[None])
        head.value.bias.zero_()
        head.gate.weight.zero_()
        head.gate.bias.fill_(20.0)  # always open
        head.attend.weight.fill_(attention * 10)
        head.score.weight.copy_(torch.stack([8 * orangeness, -8 * orangeness]))
        head.score.bias.copy_(torch.tensor([-1.0, 1.0]))
    info = ModelInfo(
        name="orange",
        display_name="Orange finder",
        classes=("orange", "other"),
        mpp=mpp,
        tile_px=TILE_PX,
        temperature=2.0,
        demonstration=demonstration,
        sha256="0" * 64,
        training_range=training_range,
        granularity=granularity,
    )
    return SlideModel(student, head, info).eval()


def orange_tissue(width: int, height: int) -> NDArray[np.uint8]:
    """Return orange pixels (height, width, 3) with the texture of tissue: ink has none."""
    shape = height // _GRAIN_PX + 1, width // _GRAIN_PX + 1
    grain = np.random.default_rng(0).integers(-40, 41, shape)
    texture = np.kron(grain, np.ones((_GRAIN_PX, _GRAIN_PX), int))[:height, :width, None]
    return np.clip(np.array(_ORANGE) + texture, 0, 255).astype(np.uint8)
