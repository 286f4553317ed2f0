#!/usr/bin/env python3
"""Measure what one GPU does for training and distillation.

usage: benchmark_gpu_learning.py SLIDE OUT [--device cuda] [--parts training distillation]
       [--networks bundled vit_base_patch14_dinov2] [--teacher vit_large_patch14_dinov2]
       [--held SLIDE --fields 512]

training      end to end on 2,000 tiles of SLIDE in memory: tiles/s of whole steps, peak memory
distillation  fields/s of `napari-xmag distill run`: the teacher sees fields of SLIDE, then each
              network learns from its features; needs --held

Networks, figures and OUT as in benchmark_gpu.py.
"""

import argparse
import gc
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_gpu import BUNDLED, Figures, Parts, folder_of, gpu_parser, measure, tiles_of

TRAINING_TILES = 2000


def main() -> None:
    """Measure the parts that were asked for."""
    parser = gpu_parser(__doc__, PARTS)
    parser.add_argument("--teacher", default="vit_large_patch14_dinov2")
    parser.add_argument("--held", type=Path, help="another slide, held out in distillation")
    parser.add_argument("--fields", type=int, default=512)
    measure(parser.parse_args(), PARTS)


def training(args: argparse.Namespace) -> Figures:
    """Return tiles/s of whole steps end to end on one slide of 2,000 tiles, and peak memory."""
    return {network: _training(network, args) for network in args.networks}


def _training(network: str, args: argparse.Namespace) -> Figures:
    import torch

    from napari_xmag.mil.head_training import new_head
    from napari_xmag.mil.task import HeadTask
    from napari_xmag.nets.device import autocast, ready_on
    from napari_xmag.nets.folders.stored import StoredModel
    from napari_xmag.train.config import TrainConfig
    from napari_xmag.train.end_to_end import BagBatch, EndToEndTask, TileBag
    from napari_xmag.train.end_to_end_stage import training_chunk
    from napari_xmag.train.tiles import SlideTiles

    stored, device = StoredModel.open(folder_of(network, args.out)), torch.device(args.device)
    info, student = stored.info, ready_on(stored.model.student, device)
    few = tiles_of(args.slide, info.mpp, info.tile_px, 250)
    config = TrainConfig(granularity=info.granularity)
    dim = student.dim if info.granularity == "tiles" else student.cell_dim
    head = HeadTask(
        new_head(dim, 2, config.head_settings),
        torch.zeros(dim),
        torch.ones(dim),
        torch.ones(2),
    ).to(device)
    chunk = training_chunk(device, None, config)
    task = EndToEndTask(student, head, info.granularity, chunk).requires_grad_(True).train()
    tissue = np.ones((TRAINING_TILES, stored.cells**2), bool)
    tiles = SlideTiles(args.slide, None, info.tile_px, np.zeros((TRAINING_TILES, 4)), tissue)
    bag = TileBag(tiles, 0, np.arange(TRAINING_TILES))
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-6)
    times = []
    with ThreadPoolExecutor(1) as thread:
        batch = BagBatch([bag], 1.0, _InMemory(few), thread)
        for _ in range(3):
            begun = time.perf_counter()
            with autocast(device, chunk.dtype):
                loss = task(batch)["loss"]
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
            times.append(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
    found = {
        "step_s": min(times[1:]),
        "tiles_per_s": TRAINING_TILES / min(times[1:]),
        "chunk": chunk.size,
        "precision": str(chunk.dtype),
        "peak_gb": peak,
    }
    del task, student, head, optimizer, batch
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return found


class _InMemory:
    """Gives some tiles again and again."""

    def __init__(self, pixels: Any) -> None:
        self.pixels = pixels

    def read(self, _tiles: Any, indices: Any) -> Any:
        return self.pixels[indices % len(self.pixels)]


def distillation(args: argparse.Namespace) -> Figures:
    """Return fields/s of the teacher and of each student, as `distill run` says them."""
    _save_backbone(args.teacher, args.out / "teacher", 224)
    return {network: _distilled(network, args) for network in args.networks}


def _fields(side: int, args: argparse.Namespace) -> tuple[Path, float]:
    """Sample fields of 4×4 tiles of ``side`` px; return where, and fields/s."""
    from napari_xmag.distill.prepare import PrepareConfig, prepare

    folder = args.out / f"fields-{side}"
    config = PrepareConfig(field_px=4 * side, per_slide=args.fields)
    begun, last = time.perf_counter(), None
    for event in prepare([args.slide, args.held], folder, config):
        last = event
    return folder, getattr(last, "fields", 0) / (time.perf_counter() - begun)


def _save_backbone(name: str, folder: Path, side: int) -> None:
    """Save a network of random weights as a timm folder."""
    from safetensors.torch import save_file

    from napari_xmag.nets.student import build_backbone

    network = build_backbone(name, img_size=side)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    size = {"input_size": [3, side, side], "mean": [0.5] * 3, "std": [0.5] * 3, "num_classes": 0}
    config = {"architecture": name, "num_classes": 0, "pretrained_cfg": size}
    config["model_args"] = {"img_size": side}
    (folder / "config.json").write_text(json.dumps(config))


def _distilled(network: str, args: argparse.Namespace) -> Figures:
    from napari_xmag.distill.config import load_distill_config
    from napari_xmag.distill.run import distill
    from napari_xmag.progress.events import EpochDone, Progress

    start, side = ("mobilenetv1_100", 256) if network == BUNDLED else (network, 224)
    fields, prepared = _fields(side, args)
    home = (args.out / f"distill-{network}").resolve()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    text = _RECIPE.format(
        fields=fields.resolve(),
        held=args.held.name,
        start=start,
        tile_px=side,
        batch=min(128, args.fields // 2),
        teacher=(args.out / "teacher").resolve(),
        device=args.device,
    )
    (home / "config.toml").write_text(text)
    rates: dict[str, list[float]] = {"prepare (fields)": [prepared]}
    epochs: list[float] = []
    for event in distill(load_distill_config(home / "config.toml")):
        if isinstance(event, Progress) and event.per_second:
            rates.setdefault(f"{event.stage} ({event.unit})", []).append(event.per_second)
        elif isinstance(event, EpochDone):
            epochs.append(time.perf_counter())
    gaps = [later - one for one, later in pairwise(epochs)]
    return {"last_rate": {name: found[-1] for name, found in rates.items()}, "epoch_s": gaps}


_RECIPE = """
[data]
fields = "{fields}"
cache = "cache"
validation = ["{held}"]
validation_fields = 64
agreement_fields = 0
[teacher]
name = "local-dir:{teacher}"
tile_px = 224
[student]
start = "{start}"
tile_px = {tile_px}
freeze_norm = true
[fit]
epochs = 5
lr = 1e-4
[run]
out = "student"
batch_size = {batch}
device = "{device}"
"""
PARTS: Parts = {"training": training, "distillation": distillation}

if __name__ == "__main__":
    sys.exit(main())
