"""A frozen 20x network whose features the student learns."""

import logging
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_xmag.errors import ModelError

log = logging.getLogger(__name__)
FeatureRule = Literal["pooled", "cls", "cls_mean"]


@dataclass(frozen=True)
class TeacherSpec:
    """How a teacher is loaded and what of it is the feature.

    Attributes
    ----------
    name
        timm name; may begin with ``hf-hub:`` or ``local-dir:``.
    feature
        ``pooled``: the network's own pooling; ``cls``: the class token; ``cls_mean``: class token
        and mean patch token side by side (register tokens left out).
    tile_px
        Side in pixels at which the teacher sees a tile, or None to feed the tile as it is cut
        (right for a convolutional teacher; a ViT wants its own size).
    mean, std
        Normalisation of RGB in 0…1; None: the network's own.
    licence
        As stated by its authors; copied into the student's card.
    arguments
        Further arguments of ``timm.create_model``.
    """

    name: str
    feature: FeatureRule = "pooled"
    tile_px: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    licence: str = "not stated"
    arguments: dict[str, Any] = field(default_factory=dict)


class Teacher(nn.Module):
    """Frozen network from uint8 tiles to one feature vector each."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, spec: TeacherSpec) -> None:
        super().__init__()
        self.spec = spec
        self.network = network.eval().requires_grad_(False)
        own: dict[str, Any] = getattr(network, "pretrained_cfg", None) or {}
        mean = spec.mean or own.get("mean", (0.485, 0.456, 0.406))
        std = spec.std or own.get("std", (0.229, 0.224, 0.225))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode: a teacher does not learn."""
        return super().train(False)

    @torch.inference_mode()
    def forward(self, tiles: Tensor) -> Tensor:
        """Encode uint8 tiles (B, 3, H, W) into float32 features (B, D)."""
        pixels = tiles.float()
        side = self.spec.tile_px
        if side is not None and tiles.shape[-1] != side:
            pixels = nn.functional.interpolate(
                pixels, size=(side, side), mode="bicubic", antialias=True, align_corners=False
            ).clamp(0, 255)
        pixels = ((pixels / 255 - self.mean) / self.std).to(memory_format=torch.channels_last)
        return self._feature(pixels).float()

    def _feature(self, pixels: Tensor) -> Tensor:
        if self.spec.feature == "pooled":
            pooled: Tensor = self.network(pixels)
            return pooled
        tokens: Tensor = self.network.forward_features(pixels)  # type: ignore[operator]
        if self.spec.feature == "cls":
            return tokens[:, 0]
        prefix = int(getattr(self.network, "num_prefix_tokens", 1))
        return torch.cat([tokens[:, 0], tokens[:, prefix:].mean(1)], dim=1)


def load_teacher(spec: TeacherSpec) -> Teacher:
    """Load a teacher through timm.

    Raises
    ------
    ModelError
        When timm cannot make or load it, with timm's own reason.
    """
    import timm

    try:
        network = timm.create_model(spec.name, pretrained=True, num_classes=0, **spec.arguments)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            wanted=f"the teacher {spec.name}",
            found=str(error),
            remedy="Check its name or folder; a gated one needs your own login.",
            causes=[error],
        ) from error
    log.info("teacher %s, licence: %s", spec.name, spec.licence)
    return Teacher(network.to(memory_format=torch.channels_last), spec)


def field_features(teacher: Teacher, field_pixels: Tensor, cells: int = 4) -> Tensor:
    """Return the teacher's features of the cells of one field.

    Parameters
    ----------
    field_pixels
        uint8 (3, S, S), S divisible by ``cells``.

    Returns
    -------
    float32 (cells, cells, D); ``[row, column]`` belongs to the tile in that row and column.
    """
    side = field_pixels.shape[-1] // cells
    tiles = field_pixels.unfold(1, side, side).unfold(2, side, side)
    tiles = tiles.permute(1, 2, 0, 3, 4).reshape(cells * cells, 3, side, side)
    features: Tensor = teacher(tiles)
    return features.view(cells, cells, -1)
