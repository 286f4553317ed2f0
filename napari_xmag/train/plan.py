"""What a training will take, measured on a few of its slides before it starts."""

import shutil
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from napari_xmag.mil.task import HeadBatch, HeadTask, SlideBag
from napari_xmag.nets.device import autocast, encode_bag
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import Progress, RunPlan, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.end_to_end import BagBatch, EndToEndTask
from napari_xmag.train.end_to_end_stage import LabelledSlide, changed_bag, training_chunk
from napari_xmag.train.tiles import Indices, Pixels, SlideTiles

_SLIDES = 3
_TILES = 16
_PLACES = 512
_GB = 1e9
# Weights, gradients, both moments of AdamW, moving average, and the best one so far. A checkpoint
# holds as much, but that the model takes the place of the gradients.
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
    out: Path,
    divisions: int = 1,
) -> Generator[Progress, None, RunPlan]:
    """Measure a few slides and tell what the whole training will take.

    Parameters
    ----------
    rows
        All slides, each with its split.
    student
        The encoder, on ``device``.
    cache
        Folder of features and tiles.
    out
        Folder of checkpoints and models.
    divisions
        How often all of it is trained.

    Raises
    ------
    ConfigError
        When a disk that will be written to has too little room.
    """
    meter = ProgressMeter(Stage.PLANNING, _SLIDES + 1)
    chosen = yield from run_with_progress(partial(_chosen, rows), meter)
    trials = []
    for row in chosen:
        trials.append((yield from run_with_progress(partial(_looked, row, student, config), meter)))
        meter.add(1)
    rates = yield from run_with_progress(partial(_rates, trials, student, config, device), meter)
    estimate = _Estimate(rows, trials, rates, student, config, divisions)
    plan = estimate.plan(device, _free(cache))
    _require_room(plan.disk_gb, cache, "features and tiles")
    together = _disk(out) == _disk(cache)
    _require_room(
        estimate.record_gb + (plan.disk_gb if together else 0.0),
        out,
        "checkpoints and models" + (", features and tiles" if together else ""),
    )
    return plan


def _require_room(wanted: float, folder: Path, what: str) -> None:
    free = _free(folder)
    if wanted > free:
        raise ConfigError(
            expected=f"{wanted:.3g} GB of free disk space for {what}",
            found=f"{free:.3g} GB free at {folder}",
            hint="Make room, choose another folder for the run or its cache, or lower "
            "end_to_end.store_gb.",
        )


def _chosen(rows: Sequence[CohortRow]) -> list[CohortRow]:
    """Return a small, a middling and a large slide."""
    by_size = sorted(rows, key=lambda row: row.slide.stat().st_size)
    middles = (np.arange(_SLIDES) + 0.5) * len(rows) / _SLIDES
    return [by_size[index] for index in sorted({int(middle) for middle in middles})]


def _looked(row: CohortRow, student: Student, config: TrainConfig) -> _Trial:
    from napari_xmag.slide.bag import plan_bag
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.tiles import read_tiles
    from napari_xmag.slide.tissue import find_tissue

    spec, begun = student.spec, time.perf_counter()
    cells = spec.cells if config.granularity == "cells" else 1
    with open_slide(row.slide, mpp=row.mpp) as slide:
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
    """What a device needs, as measured.

    Attributes
    ----------
    encoded, learned
        Seconds per tile, encoded or learned from.
    placed
        Seconds per patch in the training of the head.
    activations
        Bytes that a chunk keeps for the gradients.
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
        bag = changed_bag(LabelledSlide(trial.tiles, 0), config, (config.seed, 0, 0))
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
    task(HeadBatch([SlideBag(features, 0)], 1.0))["loss"].backward()


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


@dataclass(frozen=True)
class _Estimate:
    """All slides, extrapolated from a few of them."""

    rows: Sequence[CohortRow]
    trials: Sequence[_Trial]
    rates: _Rates
    student: Student
    config: TrainConfig
    divisions: int

    @property
    def end_to_end(self) -> bool:
        """Whether the encoder learns, too."""
        return self.config.mode == "end-to-end"

    @property
    def tiles(self) -> float:
        """Tiles of a slide."""
        return _mean([trial.count for trial in self.trials])

    @property
    def patches(self) -> float:
        """Patches of a slide."""
        return _mean([trial.patches for trial in self.trials])

    def slides_of(self, split: str) -> int:
        """Return how many slides a split has."""
        return sum(row.split == split for row in self.rows)

    @property
    def minutes_features(self) -> float:
        """Time to look at all slides, read and encode them once."""
        look = _mean([trial.look_seconds for trial in self.trials])
        read = _mean([trial.read_seconds for trial in self.trials])
        return len(self.rows) * (look + self.tiles * max(read, self.rates.encoded)) / 60

    @property
    def minutes_head(self) -> float:
        """Time to train the head once."""
        steps = self.config.head_fit.epochs * self.slides_of(TRAIN)
        return steps * self.patches * self.rates.placed / 60

    @property
    def minutes_per_epoch(self) -> float:
        """Time of an epoch end to end, validation included."""
        most = min(self.tiles, self.config.tiles_per_epoch or self.tiles)
        training = self.slides_of(TRAIN) * most * self.rates.learned
        return (training + self.slides_of(VALIDATION) * self.tiles * self.rates.encoded) / 60

    @property
    def minutes(self) -> float:
        """Time of everything."""
        each = self.minutes_head
        if self.end_to_end:
            # The encoder that learned encodes all slides once more.
            each += self.config.end_to_end.fit.epochs * self.minutes_per_epoch
            each += self.minutes_features
        return self.minutes_features + self.divisions * each

    @property
    def disk_gb(self) -> float:
        """Room for features, and for tiles as far as they are kept."""
        student = self.student
        dim = student.dim if self.config.granularity == "tiles" else student.cell_dim
        features = len(self.rows) * self.patches * dim * 4 / _GB
        if not self.end_to_end:
            return features
        kept = (self.slides_of(TRAIN) + self.slides_of(VALIDATION)) * self.tiles
        pixels = kept * 3 * student.spec.tile_px**2 / _GB
        return 2 * features + min(pixels, self.config.end_to_end.store_gb)

    @property
    def record_gb(self) -> float:
        """Room for the checkpoint and the model of each division, and for a newer checkpoint."""
        weights = sum(parameter.numel() for parameter in self.student.parameters()) * 4
        return (self.divisions + 1) * (_COPIES if self.end_to_end else 1) * weights / _GB

    @property
    def memory_gb(self) -> float:
        """Memory for weights, and for what learning them takes."""
        weights = sum(parameter.numel() for parameter in self.student.parameters()) * 4
        if not self.end_to_end:
            return weights / _GB
        return (_COPIES * weights + self.rates.activations) / _GB

    def plan(self, device: torch.device, disk_free_gb: float) -> RunPlan:
        """Return the plan in rounded numbers."""
        return RunPlan(
            slides=len(self.rows),
            training_slides=self.slides_of(TRAIN),
            validation_slides=self.slides_of(VALIDATION),
            measured_slides=len(self.trials),
            tiles=round(self.tiles * len(self.rows)),
            tiles_per_slide=round(self.tiles),
            memory_gb=round(self.memory_gb, 2),
            disk_gb=round(self.disk_gb, 2),
            disk_free_gb=disk_free_gb,
            minutes=round(self.minutes, 1),
            minutes_features=round(self.minutes_features, 1),
            minutes_head=round(self.minutes_head, 1),
            device=str(device),
            precision=self.rates.precision,
            tiles_at_once=self.rates.chunk if self.end_to_end else None,
            minutes_per_epoch=round(self.minutes_per_epoch, 1) if self.end_to_end else None,
        )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _free(folder: Path) -> float:
    return round(shutil.disk_usage(_existing(folder)).free / _GB, 2)


def _disk(folder: Path) -> int:
    return _existing(folder).stat().st_dev


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
