"""Ten small slides, the dark ones named malignant, and an encoder with random weights."""

import tomllib
from pathlib import Path

import numpy as np
import torch

from napari_xmag.learn.fit import FitConfig
from napari_xmag.nets.encoder import Encoder, load_encoder, save_encoder
from napari_xmag.nets.student import StudentSpec, build_student
from napari_xmag.train.config import TrainConfig
from tests.slides import draw_section, write_pyramid

HEAD = TrainConfig(
    name="tiny",
    hidden=16,
    dropout=0.0,
    fit=FitConfig(epochs=15, lr=3e-3, ema_decay=0.5),
)

WHOLE_TOML = """
name = "tiny"
mode = "end-to-end"
granularity = "tiles"
hidden = 16

[fit]
epochs = 2
lr = 3e-3
ema_decay = 0.5

[end_to_end]
batch_size = 2
encoder_rate = 0.3

[end_to_end.fit]
epochs = 3
lr = 1e-3
ema_decay = 0.5
"""
WHOLE = TrainConfig.model_validate(tomllib.loads(WHOLE_TOML))


def write_slides(folder: Path) -> Path:
    """Write the slides, two of each patient, and their table; return its path."""
    rows = ["slide,label,patient"]
    for number in range(10):
        pixels = draw_section(900, 700, seed=number)
        if number % 2:
            pixels = np.where(pixels < 235, pixels * 0.8, pixels).astype(np.uint8)
        write_pyramid(folder / f"{number}.tiff", pixels)
        label = "malignant" if number % 2 else "benign"
        rows.append(f"{number}.tiff,{label},{label}-{number // 4}")
    (folder / "cohort.csv").write_text("\n".join(rows))
    return folder / "cohort.csv"


def tiny_encoder(folder: Path) -> Encoder:
    """Save and load an encoder that takes tiles of 128 px at 1 µm/px."""
    torch.manual_seed(3)
    student = build_student("test_resnet", StudentSpec(1.0, 128))
    save_encoder(student, folder, licence="test-1.0", origin={})
    return load_encoder(folder)
