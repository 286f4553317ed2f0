"""Small checkpoints of DINOv2's layout, and its forward pass written out for the tests.

Names, shapes and arithmetic as in facebookresearch/dinov2, models/vision_transformer.py.
"""

import torch
from torch import Tensor
from torch.nn import functional

GRID, PATCH, WIDTH, HEADS, DEPTH = 4, 14, 128, 2, 2


def checkpoint(
    *, grid: int = GRID, patch: int = PATCH, gated: bool = False, registers: int = 0
) -> dict[str, Tensor]:
    """Random weights under DINOv2's names, positions for ``grid`` tokens a side."""
    hidden = 344 if gated else 4 * WIDTH
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "mask_token": (1, WIDTH),
        "pos_embed": (1, 1 + grid**2, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, patch, patch),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    if registers:
        shapes["register_tokens"] = (1, registers, WIDTH)
    first, last = ("w12", "w3") if gated else ("fc1", "fc2")
    for block in (f"blocks.{i}" for i in range(DEPTH)):
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (WIDTH,), f"{block}.{norm}.bias": (WIDTH,)}
        shapes |= {f"{block}.ls1.gamma": (WIDTH,), f"{block}.ls2.gamma": (WIDTH,)}
        for name, rows, columns in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            (f"mlp.{first}", 2 * hidden if gated else hidden, WIDTH),
            (f"mlp.{last}", WIDTH, hidden),
        ):
            shapes |= {f"{block}.{name}.weight": (rows, columns), f"{block}.{name}.bias": (rows,)}
    random = torch.Generator().manual_seed(0)
    return {key: 0.2 * torch.randn(shape, generator=random) for key, shape in shapes.items()}


def features(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """Return the normalized tokens (B, 1 + registers + N, WIDTH) of images."""
    width = state["cls_token"].shape[-1]
    patches = functional.conv2d(
        images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH
    )
    grid = patches.shape[-1]
    tokens = patches.flatten(2).transpose(1, 2)
    tokens = torch.cat([state["cls_token"].expand(len(tokens), -1, -1), tokens], dim=1)
    tokens = tokens + _positions(state["pos_embed"], grid)
    if "register_tokens" in state:
        registers = state["register_tokens"].expand(len(tokens), -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
    for i in range(DEPTH):
        block = {k.removeprefix(f"blocks.{i}."): v for k, v in state.items() if f"blocks.{i}." in k}
        tokens = tokens + _attention(block, _norm(tokens, block, "norm1")) * block["ls1.gamma"]
        tokens = tokens + _mlp(block, _norm(tokens, block, "norm2")) * block["ls2.gamma"]
    assert tokens.shape[-1] == width
    return _norm(tokens, state, "norm")


def _positions(positions: Tensor, grid: int) -> Tensor:
    side = round((positions.shape[1] - 1) ** 0.5)
    if side == grid:
        return positions
    image = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    factor = (grid + 0.1) / side
    image = functional.interpolate(image, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat([positions[:, :1], image.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _norm(tokens: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return functional.layer_norm(tokens, weight.shape, weight, bias, eps=1e-6)


def _linear(tokens: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return functional.linear(tokens, state[f"{name}.weight"], state[f"{name}.bias"])


def _attention(block: dict[str, Tensor], tokens: Tensor) -> Tensor:
    batch, count, width = tokens.shape
    qkv = _linear(tokens, block, "attn.qkv").view(batch, count, 3, HEADS, width // HEADS)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) * (width // HEADS) ** -0.5).softmax(-1)
    return _linear((weights @ value).transpose(1, 2).flatten(2), block, "attn.proj")


def _mlp(block: dict[str, Tensor], tokens: Tensor) -> Tensor:
    if "mlp.w12.weight" in block:
        gate, value = _linear(tokens, block, "mlp.w12").chunk(2, dim=-1)
        return _linear(functional.silu(gate) * value, block, "mlp.w3")
    return _linear(functional.gelu(_linear(tokens, block, "mlp.fc1")), block, "mlp.fc2")
