"""Vision transformers of DINOv2 and of the transformers library under timm's names.

The three write the same network down differently (checked against facebookresearch/dinov2
``models/vision_transformer.py``, transformers ``models/dinov2`` and timm
``models/vision_transformer.py``): Oquab et al. 2023, arXiv 2304.07193.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_xmag.errors import ModelError
from napari_xmag.nets.student import build_backbone
from napari_xmag.nets.weights import CONVERT

State = dict[str, Tensor]

_HEAD_WIDTH = 64
"""Every DINOv2 network has heads of 64 channels."""

_SIZES = {384: "small", 1024: "large"}

# The moving average is the model. The teacher comes last: in XMAG's own checkpoints it is UNI2-h,
# in DINOv2's teacher checkpoints it is all there is.
_PREFIXES = ("student_ema.", "student.", "backbone.", "module.", "model.", "_orig_mod.", "teacher.")

_CHUNK = re.compile(r"^blocks\.\d+\.(\d+)\.")

_FROM_TRANSFORMERS = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^embeddings\.", ""),
        (r"^layernorm\.", "norm."),
        (r"^encoder\.layer\.", "blocks."),
        (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
        (r"\.mlp\.weights_in\.", ".mlp.w12."),
        (r"\.mlp\.weights_out\.", ".mlp.w3."),
    )
)


@dataclass(frozen=True)
class Shape:
    """What the weights of a DINOv2 network say of its shape."""

    width: int
    depth: int
    heads: int
    patch_px: int
    hidden: int
    gated: bool
    registers: int

    @property
    def architecture(self) -> str:
        """The timm network of this kind; its sizes may differ from these."""
        size = "giant" if self.gated else _SIZES.get(self.width, "base")
        return f"vit_{size}_patch14_{'reg4_' if self.registers else ''}dinov2"

    def arguments(self, tile_px: int) -> dict[str, Any]:
        """Return what timm needs beside the name to build it for such a tile."""
        ratio = self.hidden / self.width
        if int(self.width * ratio) != self.hidden:  # timm cuts off, and rounding may take one away
            ratio = math.nextafter(ratio, math.inf)
        return {
            "img_size": tile_px,
            "patch_size": self.patch_px,
            "embed_dim": self.width,
            "depth": self.depth,
            "num_heads": self.heads,
            "mlp_ratio": ratio,
            "init_values": 1.0,
            "reg_tokens": self.registers,
            "no_embed_class": bool(self.registers),
        }


def read_state(path: Path) -> State:
    """Read a safetensors file.

    Raises
    ------
    ModelError
        When it is missing, pickled or broken.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        raise ModelError(
            expected="a checkpoint in safetensors format", found=path.name, hint=CONVERT
        )
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            expected=f"the weights in {path}",
            found=str(error),
            hint="Check the path, or fetch the file again.",
            causes=[error],
        ) from error


def plain_names(state: Mapping[str, Tensor]) -> State:
    """Return the network of a DINOv2 checkpoint alone, without prefixes and heads.

    Of a checkpoint with several networks the student's moving average is taken
    (``student_ema.``), else the student, else a teacher.

    Raises
    ------
    ModelError
        When it holds no such network.
    """
    found = dict(state)
    while "cls_token" not in found:
        prefix = next((p for p in _PREFIXES if any(key.startswith(p) for key in found)), None)
        if prefix is None:
            raise _not_dinov2("no cls_token")
        found = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    # DINOv2 trains in chunks of blocks: blocks.CHUNK.BLOCK, where BLOCK counts on over chunks.
    found = {_CHUNK.sub(r"blocks.\1.", key): value for key, value in found.items()}
    kept = ("cls_token", "pos_embed", "register_tokens", "patch_embed.", "blocks.", "norm.")
    return {key: value for key, value in found.items() if key.startswith(kept)}


def from_transformers(state: Mapping[str, Tensor]) -> State:
    """Return the weights of a transformers Dinov2Model under DINOv2's names."""
    named: State = {}
    for key, value in state.items():
        key = key.removeprefix("dinov2.")
        for pattern, name in _FROM_TRANSFORMERS:
            key = pattern.sub(name, key)
        named[key] = value
    for key in [key for key in named if ".attn.query." in key]:
        parts = [named.pop(key.replace("query", part)) for part in ("query", "key", "value")]
        named[key.replace("query", "qkv")] = torch.cat(parts)
    return plain_names(named)


def shape_of(state: Mapping[str, Tensor], heads: int | None = None) -> Shape:
    """Read the shape off the weights (DINOv2's names).

    Raises
    ------
    ModelError
        When they are not those of such a network.
    """
    try:
        width = state["cls_token"].shape[-1]
        depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
        gated = "blocks.0.mlp.w12.weight" in state
        registers = state["register_tokens"].shape[1] if "register_tokens" in state else 0
        return Shape(
            width=width,
            depth=depth,
            heads=heads or width // _HEAD_WIDTH,
            patch_px=state["patch_embed.proj.weight"].shape[-1],
            hidden=len(state[f"blocks.0.mlp.{'w12' if gated else 'fc1'}.weight"]),
            gated=gated,
            registers=registers,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise _not_dinov2(f"{type(error).__name__}: {error}", error) from error


def to_timm(state: Mapping[str, Tensor], grid: int, *, offset: float) -> State:
    """Rename DINOv2's weights for timm and fit their positions to a grid of tokens.

    Parameters
    ----------
    state
        Under DINOv2's names, see `plain_names`.
    grid
        Tokens a side.
    offset
        Of the published interpolation; see `resize_positions`.
    """
    named = {
        key.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2."): value
        for key, value in state.items()
    }
    registers = named.pop("register_tokens", None)
    positions = named["pos_embed"]
    placed = resize_positions(positions[:, 1:], grid, offset, antialias=registers is not None)
    if registers is None:
        return named | {"pos_embed": torch.cat([positions[:, :1], placed], dim=1)}
    # timm keeps the class token's position in the token itself where registers have none.
    return named | {
        "reg_token": registers,
        "cls_token": named["cls_token"] + positions[:, :1],
        "pos_embed": placed,
    }


def resize_positions(positions: Tensor, grid: int, offset: float, *, antialias: bool) -> Tensor:
    """Resample positions (1, N, D) to a grid as the published code does in its forward pass.

    DINOv2 without registers scales by ``(grid + 0.1) / old`` and does not antialias; with
    registers, and in transformers, the size itself is asked for (offset 0).
    """
    side = round(positions.shape[1] ** 0.5)
    if side == grid:
        return positions
    image = positions.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    how: dict[str, Any] = {"size": (grid, grid)}
    if offset and not antialias:
        how = {"scale_factor": (float(grid + offset) / side,) * 2}
    image = nn.functional.interpolate(image, mode="bicubic", antialias=antialias, **how)
    return image.permute(0, 2, 3, 1).reshape(1, grid * grid, -1).to(positions.dtype)


def build_vit(state: Mapping[str, Tensor], shape: Shape, tile_px: int, offset: float) -> nn.Module:
    """Build the timm network of DINOv2 weights for such a tile, and load them, all of them.

    Raises
    ------
    ModelError
        When a weight is missing, left over or of another size, or the tile is no whole number of
        patches.
    """
    if tile_px % shape.patch_px:
        raise ModelError(
            expected=f"tiles of a multiple of {shape.patch_px} px",
            found=f"{tile_px} px",
            hint="Choose another tile size.",
        )
    network = build_backbone(shape.architecture, **shape.arguments(tile_px))
    try:
        network.load_state_dict(to_timm(state, tile_px // shape.patch_px, offset=offset))
    except RuntimeError as error:
        raise _not_dinov2(str(error), error) from error
    return network


def _not_dinov2(found: str, cause: Exception | None = None) -> ModelError:
    return ModelError(
        expected="the weights of a DINOv2 vision transformer",
        found=found,
        hint="Check that the checkpoint is of that layout.",
        causes=() if cause is None else (cause,),
    )
