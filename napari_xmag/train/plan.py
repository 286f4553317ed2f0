"""What a training will take, measured on a few of its slides before it starts."""

import shutil
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_xmag.cohort.rows import TRAIN, VALIDATION, CohortRow
from napari_xmag.errors import ConfigError
from napari_xmag.mil.head_training import new_head
from napari_xmag.mil.task import HeadBatch, HeadTask
from napari_xmag.nets.device import autocast, encode_bag
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import Progress
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.end_to_end import BagBatch, EndToEndTask
from napari_xmag.train.end_to_end_stage import changed_bag, training_chunk
from napari_xmag.train.tiles import Indices, Pixels, SlideTiles

_SLIDES = 3
_TILES = 16
_PLACES = 512
_GB = 1e9
# Weights, gradients, both moments of AdamW, moving average, and the best one so far.
_COPIES = 6


@dataclass(frozen=True)
class _Trial:
    """A few tiles of one slide, and what looking at the slide took."""

    tiles: SlideTiles
    pixels: Pixels
    count: int
    patches: int
    look_seconds: float
    read_seconds: float

    def read(self, _tiles: SlideTiles, indices: Indices) -> Pixels:
        """Return pixels that were read before, as `ReadsTiles` wants it."""
        return self.pixels[indices]


def make_plan(
    rows: Sequence[CohortRow],
    student: Student,
    config: TrainConfig,
    device: torch.device,
    cache: Path,
    divisions: int = 1,
) -> Generator[Progress, None, dict[str, object]]:
    """Measure a few slides and tell what the whole training will take.

    Parameters
    ----------
    rows
        All slides, each with its split.
    student
        The encoder, on ``device``.
    cache
        Folder of features and tiles.
    divisions
        How often all of it is trained.

    Returns
    -------
    Facts by name, ready for JSON; times are in minutes, sizes in GB (10⁹ bytes).

    Raises
    ------
    ConfigError
        When the disk has too little room.
    """
    by_size = sorted(rows, key=lambda row: row.slide.stat().st_size)
    middles = (np.arange(_SLIDES) + 0.5) * len(rows) / _SLIDES
    chosen = [by_size[index] for index in sorted({int(middle) for middle in middles})]
    meter = ProgressMeter("plan", len(chosen) + 1)
    trials = []
    for row in chosen:
        trials.append((yield from run_with_progress(partial(_looked, row, student, config), meter)))
        meter.add(1)
    rates = yield from run_with_progress(partial(_rates, trials, student, config, device), meter)
    plan = _facts(rows, trials, rates, student, config, divisions)
    plan |= {"device": str(device), "disk_free_gb": _free(cache)}
    if float(str(plan["disk_gb"])) > float(str(plan["disk_free_gb"])):
        raise ConfigError(
            expected=f"{plan['disk_gb']} GB of disk for features and tiles",
            found=f"{plan['disk_free_gb']} GB free at {cache}",
            hint="Choose another place for the cache, or lower end_to_end.store_gb.",
        )
    return plan


def _looked(row: CohortRow, student: Student, config: TrainConfig) -> _Trial:
    from napari_xmag.slide.bag import plan_bag
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.tiles import read_tiles
    from napari_xmag.slide.tissue import find_tissue

    spec, begun = student.spec, time.perf_counter()
    cells = spec.cells if config.granularity == "cells" else 1
    with closing(open_slide(row.slide, mpp=row.mpp)) as slide:
        bag = plan_bag(
            slide,
            find_tissue(slide),
            mpp=spec.mpp,
            tile_px=spec.tile_px,
            cells=cells,
            min_tissue=config.min_tissue,
        )
        looked, boxes = time.perf_counter(), bag.tiles.boxes[:_TILES]
        found = [tile for tile in read_tiles(slide, boxes, spec.tile_px) if tile is not None]
    done = time.perf_counter()
    readable = [tile for tile in found if tile.pixels is not None]
    none = np.empty((0, spec.tile_px, spec.tile_px, 3), np.uint8)
    pixels = [tile.pixels for tile in readable if tile.pixels is not None]
    members = bag.members[[tile.index for tile in readable]]
    return _Trial(
        SlideTiles(row.slide, row.mpp, spec.tile_px, np.zeros((len(pixels), 4)), members >= 0),
        np.stack(pixels) if pixels else none,
        len(bag.tiles.boxes),
        len(bag.patches.boxes),
        looked - begun,
        (done - looked) / max(len(found), 1),
    )


@dataclass(frozen=True)
class _Rates:
    """Seconds a tile takes in each way of using it, seconds a place takes in the head's training,
    and the bytes of activations of a chunk.
    """

    encoded: float
    learned: float
    placed: float
    activations: int
    chunk: int
    precision: str


def _rates(
    trials: Sequence[_Trial], student: Student, config: TrainConfig, device: torch.device
) -> _Rates:
    trial = max(trials, key=lambda trial: len(trial.pixels))
    chunk = training_chunk(device, config.end_to_end.chunk, config)
    task = _new_task(student, config, device)
    count = max(len(trial.pixels), 1)
    rates = _Rates(
        _seconds(lambda: encode_bag(student, trial.pixels, None, config.granularity).cpu()) / count,
        0.0,
        _seconds(partial(_head_step, task.slides)) / _PLACES,
        0,
        chunk.size,
        str(chunk.dtype).removeprefix("torch."),
    )
    if config.mode == "head" or not len(trial.pixels):
        return rates
    with ThreadPoolExecutor(1) as thread:
        bag = changed_bag(trial.tiles, 0, config, (config.seed, 0, 0))
        batch = BagBatch([bag], 1.0, trial, thread)

        def step() -> None:
            with autocast(device, chunk.dtype):
                loss = task.train()(batch)["loss"]
            loss.backward()

        learned = _seconds(step) / len(bag.chosen)
    part = bag.chosen[: chunk.size]
    with autocast(device, chunk.dtype):
        pixels = torch.from_numpy(trial.pixels[part]).to(device).permute(0, 3, 1, 2)
        activations = _saved_bytes(task, lambda: task.scores(pixels, bag, part))
    return _Rates(rates.encoded, learned, rates.placed, activations, chunk.size, rates.precision)


def _new_task(student: Student, config: TrainConfig, device: torch.device) -> EndToEndTask:
    dim = student.dim if config.granularity == "tiles" else student.cell_dim
    head = HeadTask(
        new_head(dim, 2, config.head_settings),
        torch.zeros(dim),
        torch.ones(dim),
        torch.ones(2),
    ).to(device)
    chunk = training_chunk(device, config.end_to_end.chunk, config)
    task = EndToEndTask(deepcopy(student), head, config.granularity, chunk)
    return task.requires_grad_(True)


def _head_step(task: HeadTask) -> None:
    features = torch.zeros(_PLACES, len(task.mean), device=task.mean.device)
    task(HeadBatch([(features, 0)], 1.0))["loss"].backward()


def _seconds(work: Callable[[], object]) -> float:
    """Return how long work takes the second time; the first warms up."""
    for _ in range(2):
        begun = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    return time.perf_counter() - begun


def _saved_bytes(task: nn.Module, work: Callable[[], object]) -> int:
    """Return how many bytes autograd keeps for the way back, weights aside."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    own = {parameter.untyped_storage().data_ptr() for parameter in task.parameters()}
    return sum(size for place, size in kept.items() if place not in own)


def _facts(
    rows: Sequence[CohortRow],
    trials: Sequence[_Trial],
    rates: _Rates,
    student: Student,
    config: TrainConfig,
    divisions: int,
) -> dict[str, object]:
    tiles = _mean([trial.count for trial in trials])
    patches = _mean([trial.patches for trial in trials])
    look = _mean([trial.look_seconds for trial in trials])
    read = _mean([trial.read_seconds for trial in trials])
    training, validation = (sum(row.split == s for row in rows) for s in (TRAIN, VALIDATION))
    most = min(tiles, config.tiles_per_epoch or tiles)
    whole = config.mode == "end-to-end"
    features = len(rows) * (look + tiles * max(read, rates.encoded)) / 60
    head = config.head_fit.epochs * training * patches * rates.placed / 60
    epoch = (training * most * rates.learned + validation * tiles * rates.encoded) / 60
    # The encoder that learned encodes all slides once more.
    rest = config.end_to_end.fit.epochs * epoch + features if whole else 0.0
    dim = student.dim if config.granularity == "tiles" else student.cell_dim
    stored = (training + validation) * tiles * 3 * student.spec.tile_px**2 / _GB
    disk = len(rows) * patches * dim * 4 / _GB * (2 if whole else 1)
    disk += min(stored, config.end_to_end.store_gb) if whole else 0.0
    weights = sum(parameter.numel() for parameter in student.parameters()) * 4
    memory = (_COPIES * weights + rates.activations) if whole else weights
    facts: dict[str, object] = {
        "slides": len(rows),
        "training_slides": training,
        "validation_slides": validation,
        "measured_slides": len(trials),
        "tiles": round(tiles * len(rows)),
        "tiles_per_slide": round(tiles),
        "memory_gb": round(memory / _GB, 2),
        "disk_gb": round(disk, 2),
        "minutes_features": round(features, 1),
        "minutes_head": round(head, 1),
        "minutes": round(features + divisions * (head + rest), 1),
        "precision": rates.precision,
    }
    if whole:
        facts |= {"tiles_at_once": rates.chunk, "minutes_per_epoch": round(epoch, 1)}
    return facts


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _free(folder: Path) -> float:
    place = next(path for path in (folder, *folder.parents) if path.exists())
    return round(shutil.disk_usage(place).free / _GB, 2)
