"""Published architectures with random weights: as fast or slow as the real ones, and gated by none.

Sizes as their authors state them for timm (UNI2-h, H-optimus-0, Virchow2: model cards).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "uni2-h": (
        "vit_giant_patch14_224",
        {
            "depth": 24,
            "num_heads": 24,
            "init_values": 1e-5,
            "embed_dim": 1536,
            "mlp_ratio": 2.66667 * 2,
            "no_embed_class": True,
            "reg_tokens": 8,
            "dynamic_img_size": True,
            **_SWIGLU,
        },
    ),
    "h-optimus-0": (
        "vit_giant_patch14_reg4_dinov2",
        {"init_values": 1e-5, "dynamic_img_size": False},
    ),
    "vit-b-14": ("vit_base_patch14_dinov2", {}),
}
"""timm name and arguments of each shape."""


def build_shape(name: str, tile_px: int) -> "nn.Module":
    """Build a shape for tiles of ``tile_px`` pixels."""
    import timm
    import torch

    source, given = SHAPES[name]
    arguments = dict(given)
    if arguments.get("mlp_layer"):
        arguments["mlp_layer"] = timm.layers.SwiGLUPacked
        arguments["act_layer"] = torch.nn.SiLU
    network: nn.Module = timm.create_model(
        source, pretrained=False, num_classes=0, img_size=tile_px, **arguments
    )
    return network.eval()
