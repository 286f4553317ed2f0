"""The second stage: encoder and head together, on the tiles of whole slides."""

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import nan

import numpy as np
import torch
from torch import nn

from napari_xmag.cohort.rows import TRAIN, VALIDATION
from napari_xmag.learn.distributed import Processes, await_all, gather, share
from napari_xmag.mil.head_training import (
    Bags,
    Workplace,
    figures_of,
    fit_of,
    head_figures,
    head_scales,
    seed_epoch,
    shares,
    step_count,
)
from napari_xmag.mil.task import HeadTask
from napari_xmag.nets.device import DeviceBatch
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import Progress, RunEvent, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, over_items, run_with_progress
from napari_xmag.train.augment import draw_view
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.end_to_end import BagBatch, EndToEndTask, TileBag, layer_scales
from napari_xmag.train.tiles import ReadsTiles, SlideTiles, TileReader, TileStore

_TRAINING_CHUNK = 32

LabelledTiles = Sequence[tuple[SlideTiles, int]]
"""Tiles of slides, and the index of the class of each."""


def tiles_of(bags: Bags, split: str, tile_px: int) -> LabelledTiles:
    """Return the tiles of each slide of one split, and its class."""
    return [
        (SlideTiles.of(row.slide, row.mpp, tile_px, item), bags.classes.index(row.label))
        for row, item in zip(bags.rows, bags.features, strict=True)
        if row.split == split
    ]


def train_end_to_end(
    bags: Bags,
    slides: HeadTask,
    student: Student,
    config: TrainConfig,
    store: TileStore,
    workplace: Workplace,
) -> Generator[RunEvent, None, tuple[EndToEndTask, int | None]]:
    """Train the encoder with the head that was trained on its features; neither is changed.

    Returns
    -------
    The task with averaged weights, and the epoch that has them, the best on the validation slides:
    0 if none was better than what it came with, None if there are no such slides.
    """
    settings, at = config.end_to_end, workplace
    chunk = training_chunk(at.device, settings.chunk, config)
    task = EndToEndTask(deepcopy(student), deepcopy(slides), config.granularity, chunk)
    task.requires_grad_(True)
    side = student.spec.tile_px
    training, validation = tiles_of(bags, TRAIN, side), tiles_of(bags, VALIDATION, side)
    yield from _keep([tiles for tiles, _ in (*training, *validation)], store, at.processes)
    steps = step_count(len(training), settings.batch_size, at.processes)
    scales = layer_scales(task, settings.encoder_rate, settings.layer_decay)
    scales |= head_scales("slides.head.")
    making = partial(fit_of, task, settings.fit, steps, bool(validation), at, chunk.dtype, scales)
    fit = yield from run_with_progress(making, ProgressMeter(Stage.END_TO_END, 0))
    start = partial(head_figures, slides, bags.of(VALIDATION)) if validation else None
    with closing(TileReader(store)) as reader, ThreadPoolExecutor(1, "xmag-ahead") as thread:
        batches = partial(_tile_batches, task, training, steps, config, at, reader, thread)
        judge = partial(_judged, validation, at.processes, reader, thread) if validation else None
        size = settings.batch_size
        events = at.run(fit, batches, judge, stage=Stage.END_TO_END, size=size, start=start)
        reads = _reads(training, validation, config, at)
        yield from _stoppable(events, reader, reads, settings.fit.epochs)
    average = fit.average
    assert isinstance(average, EndToEndTask)
    return average, fit.best_epoch


def training_chunk(device: torch.device, size: int | None, config: TrainConfig) -> DeviceBatch:
    """Return how many tiles learn at once on a device, and in which precision."""
    if size is None and device.type != "cpu":
        size = _TRAINING_CHUNK
    return DeviceBatch(device, size, config.precision)


def _tile_batches(
    task: EndToEndTask,
    training: LabelledTiles,
    steps: int,
    config: TrainConfig,
    at: Workplace,
    reader: ReadsTiles,
    thread: ThreadPoolExecutor,
    epoch: int,
) -> Iterator[BagBatch]:
    seed_epoch(config.seed, epoch, at.processes)
    labels = [label for _, label in training]
    for own, weight in shares(task.slides, labels, steps, config.seed, epoch, at.processes):
        bags = [
            changed_bag(training[i][0], labels[i], config, (config.seed, epoch, int(i)))
            for i in own
        ]
        yield BagBatch(bags, weight, reader, thread)


def changed_bag(
    tiles: SlideTiles, label: int, config: TrainConfig, seed: tuple[int, ...]
) -> TileBag:
    """Return a slide with the tiles that take part and how they look; the same for a seed."""
    chosen = np.arange(len(tiles))
    most = config.tiles_per_epoch
    if most is not None and most < len(tiles):
        chosen = np.sort(np.random.default_rng((*seed, 1)).choice(len(tiles), most, replace=False))
    return TileBag(tiles, label, chosen, draw_view(config.augment, len(tiles), seed))


def _judged(
    validation: LabelledTiles,
    processes: Processes,
    reader: ReadsTiles,
    thread: ThreadPoolExecutor,
    model: nn.Module,
) -> dict[str, float]:
    """Judge all validation slides, each process its share."""
    assert isinstance(model, EndToEndTask)
    own = []
    with torch.inference_mode():
        for index in share(len(validation), processes):
            tiles, label = validation[index]
            bag = TileBag(tiles, label, np.arange(len(tiles)))
            own.append(model.logits([bag], reader, thread)[0].double().cpu().numpy())
    logits = np.array([row for part in gather(own, processes) for row in part])
    return figures_of(logits, [label for _, label in validation])


def _reads(
    training: LabelledTiles,
    validation: LabelledTiles,
    config: TrainConfig,
    at: Workplace,
) -> int:
    """Return how many tiles this process reads in an epoch: those that teach are read twice."""
    most = config.tiles_per_epoch
    teaching = sum(min(len(tiles), most or len(tiles)) for tiles, _ in training)
    return (2 * teaching + sum(len(tiles) for tiles, _ in validation)) // at.processes.world


def _stoppable(
    events: Generator[RunEvent, None, None], reader: TileReader, reads: int, epochs: int
) -> Generator[RunEvent, None, None]:
    """Pass events on, with the progress in tiles; when closed, end within the step that runs.

    A step holds several slides whole: on a small machine it takes a minute.
    """
    begun, before = time.monotonic(), None
    with closing(events):
        for event in events:
            if isinstance(event, Progress):
                if before is None:
                    before = epochs * event.done // max(event.total, 1) * reads
                event = _in_tiles(event, before, reader.count, epochs * reads, begun)
            try:
                yield event
            except GeneratorExit:
                reader.stop()
                raise


def _in_tiles(event: Progress, before: int, count: int, total: int, begun: float) -> Progress:
    rate = count / max(time.monotonic() - begun, 1e-9)
    done = min(before + count, total)
    left = (total - done) / rate if rate else nan
    return replace(event, done=done, total=total, unit="tiles", per_second=rate, seconds_left=left)


def _keep(
    slides: Sequence[SlideTiles], store: TileStore, processes: Processes
) -> Generator[Progress, None, None]:
    """Keep the pixels of slides as long as there is room."""

    def keep(tiles: SlideTiles) -> Generator[Progress, None, None]:
        if not store.holds(tiles) and store.has_room(tiles):
            yield from store.keep(tiles)

    own = [slides[index] for index in share(len(slides), processes)]
    yield from over_items(Stage.STORING, own, keep)
    yield from await_all(processes, Stage.STORING)
