"""A tiny network as a timm folder, and configurations with other values."""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from napari_xmag.distill.config import DistillConfig

QUICK = {"validation_fields": 4, "agreement_fields": 6}
"""Settings of the data for tests that look at other things than the figures."""


def save_tiny(folder: Path, *, seed: int) -> Path:
    """Save a small network with random weights as a timm folder."""
    torch.manual_seed(seed)
    network = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {
        "architecture": "test_resnet",
        "num_classes": 0,
        "pretrained_cfg": {
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "input_size": [3, 64, 64],
            "num_classes": 0,
            "license": "test-1.0",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def changed(config: DistillConfig, **parts: dict[str, Any]) -> DistillConfig:
    """Return the configuration with other values in some of its parts."""
    return config.model_copy(
        update={
            name: getattr(config, name).model_copy(update=values) for name, values in parts.items()
        }
    )
