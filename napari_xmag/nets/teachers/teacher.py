"""A frozen 20x network whose features the student learns."""

import logging
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from napari_xmag.errors import ModelError
from napari_xmag.filenames import CONFIG, WEIGHTS
from napari_xmag.files import parse_json
from napari_xmag.nets import checkpoint_layouts
from napari_xmag.nets.student import build_backbone
from napari_xmag.nets.teachers.known import FeatureRule, TeacherSpec
from napari_xmag.nets.weights import hub_folder, require_safetensors

__all__ = ["FeatureRule", "Teacher", "TeacherSpec", "field_features", "load_teacher"]

_log = logging.getLogger(__name__)

_VIT_TILE_PX = 224


class Teacher(nn.Module):
    """Frozen network from uint8 tiles to one feature vector each."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, spec: TeacherSpec) -> None:
        super().__init__()
        self.spec = spec
        self._require_class_token(network)
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

    def _require_class_token(self, network: nn.Module) -> None:
        wanted = self.spec.feature in ("cls", "cls_mean")
        if wanted and getattr(network, "cls_token", None) is None:
            raise ModelError(
                expected=f"a network with a class token, for the feature {self.spec.feature!r}",
                found=f"{type(network).__name__} without one",
                hint="Set the feature to 'pooled'.",
            )

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
    """Load a teacher from safetensors through timm, and say first what its licence demands.

    Networks published for the transformers library (DINOv2 only) are renamed for timm.

    Raises
    ------
    ModelError
        When it cannot be made or loaded, with the reason.
    """
    _log.warning("%s", spec.notice)
    network = _network(spec).to(memory_format=torch.channels_last)
    return Teacher(network, spec)


def untrained_teacher(spec: TeacherSpec) -> Teacher:
    """Build a teacher's architecture with random weights: as fast as the real one, and no more.

    Raises
    ------
    ModelError
        When the recipe names no architecture, or timm cannot build it.
    """
    if not spec.architecture:
        raise ModelError(
            expected=f"the architecture of {spec.title or spec.name}",
            found="a recipe that reads it from the published files",
            hint="Name another teacher, or an architecture of timm.",
        )
    network = build_backbone(spec.architecture, **_with_layers(spec.arguments))
    return Teacher(network.to(memory_format=torch.channels_last), spec)


def _network(spec: TeacherSpec) -> nn.Module:
    kind, _, place = spec.name.partition(":")
    arguments = _with_layers(spec.arguments)
    if kind not in ("hf-hub", "local-dir"):
        return build_backbone(spec.name, pretrained=True, **arguments)
    # A recipe that names its architecture needs no config.json.
    described = not spec.architecture
    folder = hub_folder(place, config=described) if kind == "hf-hub" else Path(place)
    require_safetensors(folder, config=described)
    config = _config(folder)
    if config.get("model_type") == "dinov2":
        return _from_transformers(folder, config, spec.tile_px or _VIT_TILE_PX)
    if not spec.architecture or "architecture" in config:
        return build_backbone(f"local-dir:{folder}", **arguments)
    return build_backbone(spec.architecture, pretrained=folder / WEIGHTS, **arguments)


def _from_transformers(folder: Path, config: dict[str, Any], tile_px: int) -> nn.Module:
    state = checkpoint_layouts.from_transformers(checkpoint_layouts.read_state(folder / WEIGHTS))
    shape = checkpoint_layouts.shape_of(state, heads=config.get("num_attention_heads"))
    network = checkpoint_layouts.build_vit(state, shape, tile_px, offset=0)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = config.get("layer_norm_eps", module.eps)
    return network


def _with_layers(arguments: dict[str, Any]) -> dict[str, Any]:
    """Put timm's layer in the place of its name, as for SwiGLUPacked."""
    import timm.layers

    name = arguments.get("mlp_layer")
    if not isinstance(name, str):
        return dict(arguments)
    layer = getattr(timm.layers, name, None)
    if layer is None:
        raise ModelError(
            expected=f"the layer {name!r} for mlp_layer",
            found="no such layer in timm.layers",
            hint="Correct its name, or update timm.",
        )
    return arguments | {"mlp_layer": layer}


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        content = parse_json(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ModelError(
            expected=f"a readable {path}",
            found=str(error),
            hint="Fetch the teacher again.",
            causes=[error],
        ) from error
    return cast(dict[str, Any], content)


def field_features(teacher: Teacher, field_pixels: Tensor, cells: int = 4) -> Tensor:
    """Return the teacher's features of the cells of fields.

    Parameters
    ----------
    field_pixels
        uint8 (…, 3, S, S), S divisible by ``cells``: one field, or several.

    Returns
    -------
    float32 (…, cells, cells, D); ``[row, column]`` belongs to the tile in that row and column.
    """
    side = field_pixels.shape[-1] // cells
    # Rows are cut first, which leaves the columns second to last.
    tiles = field_pixels.unfold(-2, side, side).unfold(-2, side, side).movedim(-5, -3)
    features: Tensor = teacher(tiles.reshape(-1, 3, side, side))
    return features.view(*field_pixels.shape[:-3], cells, cells, -1)
