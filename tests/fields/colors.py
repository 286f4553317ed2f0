"""Fields of plain patches, and a teacher that names their colours."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.fields.pairs import CachedPairs
from napari_xmag.fields.shards import FieldRecord, write_shard
from napari_xmag.fields.teacher_cache import cached_pairs
from napari_xmag.geometry import Box
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teachers.teacher import Teacher, TeacherSpec
from napari_xmag.progress.heartbeat import finish

SPEC = StudentSpec(mpp=2.0, tile_px=32)


class MeanColor(nn.Module):
    """A teacher whose feature is the mean colour of its tile; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.calls = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.calls += 1
        return pixels.mean((2, 3)) * self.gain


def mean_color() -> tuple[MeanColor, Teacher]:
    """Return the network, and the teacher that it is."""
    network = MeanColor()
    spec = TeacherSpec("mean", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return network, Teacher(network, spec)


def field(seed: int) -> NDArray[np.uint8]:
    """128 px in 4×4 patches of plain random colours."""
    colors = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), dtype=np.uint8)
    return colors.repeat(32, 0).repeat(32, 1)


def records(folder: Path, count: int = 3) -> list[FieldRecord]:
    """Write a shard of fields 0, 1, … of one slide."""
    with write_shard(folder / "s.tar", mpp=0.5, quality=95) as writer:
        for number in range(count):
            writer.add(Box(number, 0, 128, 128), field(number), slide="s.tiff")
    return writer.records


def run(
    folder: Path, rows: list[FieldRecord], teacher: Teacher, spec: StudentSpec = SPEC
) -> CachedPairs:
    return finish(cached_pairs(folder, rows, teacher, spec, folder / "cache"))
