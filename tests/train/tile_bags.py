"""Slides that exist only as numbers: tiles drawn from their place, for tasks that learn on them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.mil.task import HeadTask
from napari_xmag.nets.device import DeviceBatch
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student, StudentSpec, build_student
from napari_xmag.train.end_to_end import BagBatch, EndToEndTask, TileBag
from napari_xmag.train.tiles import SlideTiles

TILE_PX = 64


class DrawnTiles:
    """Gives each tile noise of its own, always the same."""

    def __init__(self) -> None:
        self.reads: list[list[int]] = []

    def read(self, tiles: SlideTiles, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        self.reads.append([int(index) for index in indices])
        side = tiles.tile_px
        draws = [
            np.random.default_rng([len(tiles.path.name), int(index)]).integers(
                0, 256, (side // 8, side // 8, 3), dtype=np.uint8
            )
            for index in indices
        ]
        return np.stack([draw.repeat(8, 0).repeat(8, 1) for draw in draws])


def drawn_slide(name: str, count: int, cells: int = 1, tile_px: int = TILE_PX) -> SlideTiles:
    """A slide of so many tiles; with cells, some of them are glass."""
    tissue = np.random.default_rng(count).random((count, cells * cells)) < 0.7
    tissue[:, 0] = True
    boxes = np.tile([0.0, 0.0, tile_px, tile_px], (count, 1))
    return SlideTiles(Path(name), None, tile_px, boxes, tissue)


def tiny_student(kind: str) -> Student:
    """A network with batch norms, or a transformer with dropout and drop path."""
    torch.manual_seed(1)
    spec = StudentSpec(2.0, TILE_PX, cells=2)
    if kind == "resnet":
        student = build_student("test_resnet", spec)
        for name, tensor in student.state_dict().items():
            if "bn" in name or "downsample" in name:  # new ones would let nothing through
                tensor.copy_(tensor + 0.3 * torch.rand(tensor.shape) if tensor.ndim else tensor)
        return student
    sizes = {"embed_dim": 48, "depth": 2, "num_heads": 2, "patch_size": 16}
    drops = {"drop_rate": 0.1, "proj_drop_rate": 0.1, "attn_drop_rate": 0.1, "drop_path_rate": 0.3}
    return build_student("vit_tiny_patch16_224", spec, **sizes, **drops)


def tiny_task(
    kind: str, granularity: Granularity, *, chunk: int = 3, dropout: float = 0.3
) -> EndToEndTask:
    """A task with a head that has learned nothing."""
    student = tiny_student(kind)
    dim = student.dim if granularity == "tiles" else student.cell_dim
    head = AttentionHead(dim, 8, 2, dropout)
    mean, std = torch.linspace(-0.1, 0.1, dim), torch.linspace(0.5, 2, dim)
    weights, of_patches = torch.tensor([0.5, 2.0]), torch.tensor([3.0, 0.4])
    slides = HeadTask(head, mean, std, weights, label_smoothing=0.1, patch_weights=of_patches)
    device = torch.device("cpu")
    return EndToEndTask(student, slides, granularity, DeviceBatch(device, chunk, "float32"))


def batch_of(bags: list[TileBag], reader: DrawnTiles, thread: ThreadPoolExecutor) -> BagBatch:
    return BagBatch(bags, 1.5, reader, thread, slides=2.0)


def drawn_labels(tiles: SlideTiles) -> NDArray[np.int64]:
    """Classes 0 and 1 of the cells of a slide, and no class for about half of them."""
    draw = np.random.default_rng([7, len(tiles)])
    labels = draw.integers(0, 2, tiles.tissue.shape)
    return np.where(draw.random(labels.shape) < 0.5, labels, -1)
