"""The second stage: encoder and head together, on the tiles of whole slides."""

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import nan
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
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


class LabelledSlide(NamedTuple):
    """The tiles of a slide, the index of its class, and the classes of its patches.

    ``patches`` is as in `napari_xmag.train.end_to_end.TileBag`.
    """

    tiles: SlideTiles
    label: int
    patches: NDArray[np.int64] | None = None

    @property
    def bag(self) -> TileBag:
        """All of the slide, as it is."""
        return TileBag(self.tiles, self.label, np.arange(len(self.tiles)), patches=self.patches)


def tiles_of(bags: Bags, split: str, tile_px: int) -> list[LabelledSlide]:
    """Return the tiles of each slide of one split, with all that is known of them."""
    return [
        LabelledSlide(
            SlideTiles.of(row.slide, row.mpp, tile_px, item),
            bags.classes.index(row.label),
            None if labels is None else _by_tile(labels, item.tissue),
        )
        for row, item, labels in zip(bags.rows, bags.features, bags.labels, strict=True)
        if row.split == split
    ]


def _by_tile(labels: NDArray[np.int64], tissue: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Put what is known of patches (P,) where they lie in the tiles (T, N)."""
    found = np.full(tissue.shape, -1, np.int64)
    found[tissue] = labels
    return found


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
    yield from _keep([item.tiles for item in (*training, *validation)], store, at.processes)
    steps = step_count(len(training), settings.batch_size, at.processes)
    scales = layer_scales(task, settings.encoder_rate, settings.layer_decay)
    scales |= head_scales("slides.head.")
    making = partial(fit_of, task, settings.fit, steps, bool(validation), at, chunk.dtype, scales)
    fit = yield from run_with_progress(making, ProgressMeter(Stage.END_TO_END, 0))
    start = partial(head_figures, slides, bags.of(VALIDATION)) if validation else None
    with closing(TileReader(store)) as reader, ThreadPoolExecutor(1, "xmag-ahead") as thread:
        batches = partial(_tile_batches, task, training, steps, config, at, reader, thread)
        evaluate = (
            partial(_evaluated, validation, at.processes, reader, thread) if validation else None
        )
        size = settings.batch_size
        events = at.run(fit, batches, evaluate, stage=Stage.END_TO_END, size=size, start=start)
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
    training: Sequence[LabelledSlide],
    steps: int,
    config: TrainConfig,
    at: Workplace,
    reader: ReadsTiles,
    thread: ThreadPoolExecutor,
    epoch: int,
) -> Iterator[BagBatch]:
    seed_epoch(config.seed, epoch, at.processes)
    labels = [slide.label for slide in training]
    drawn = shares(task.slides, labels, steps, config.seed, epoch, at.processes)
    for own, weight, slides in drawn:
        bags = [changed_bag(training[i], config, (config.seed, epoch, int(i))) for i in own]
        yield BagBatch(bags, weight, reader, thread, slides)


def changed_bag(slide: LabelledSlide, config: TrainConfig, seed: tuple[int, ...]) -> TileBag:
    """Return a slide with the tiles that take part and how they look; the same for a seed."""
    tiles, label, patches = slide
    chosen = np.arange(len(tiles))
    most = config.tiles_per_epoch
    if most is not None and most < len(tiles):
        chosen = np.sort(np.random.default_rng((*seed, 1)).choice(len(tiles), most, replace=False))
    return TileBag(tiles, label, chosen, draw_view(config.augment, len(tiles), seed), patches)


def _evaluated(
    validation: Sequence[LabelledSlide],
    processes: Processes,
    reader: ReadsTiles,
    thread: ThreadPoolExecutor,
    model: nn.Module,
) -> dict[str, float]:
    """Judge all validation slides, each process its share."""
    assert isinstance(model, EndToEndTask)
    own = share(len(validation), processes)
    with torch.inference_mode():
        judged = [model.judged(validation[index].bag, reader, thread) for index in own]
    return figures_of([slide for part in gather(judged, processes) for slide in part])


def _reads(
    training: Sequence[LabelledSlide],
    validation: Sequence[LabelledSlide],
    config: TrainConfig,
    at: Workplace,
) -> int:
    """Return how many tiles this process reads in an epoch: those that teach are read twice."""
    most = config.tiles_per_epoch
    teaching = sum(min(len(slide.tiles), most or len(slide.tiles)) for slide in training)
    watched = sum(len(slide.tiles) for slide in validation)
    return (2 * teaching + watched) // at.processes.world


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
