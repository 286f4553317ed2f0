"""Distil a student: cached teacher, one loop, the averaged student written as a folder."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_xmag.distill.augment import Augment
from napari_xmag.distill.config import AugmentConfig, DistillConfig
from napari_xmag.distill.encoder import save_encoder
from napari_xmag.distill.pairs import Pairs, cached_pairs, held_out, shuffled
from napari_xmag.distill.shards import FieldRecord, read_index
from napari_xmag.distill.task import DistillTask, PairBatch
from napari_xmag.errors import ConfigError
from napari_xmag.nets.device import autocast, pick_device, pick_dtype
from napari_xmag.nets.student import StudentSpec, build_student
from napari_xmag.nets.teacher import load_teacher
from napari_xmag.train.events import EpochDone, Event, Finished, Progress
from napari_xmag.train.fit import Fit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Feed:
    """Batches of random views of some rows of the pairs."""

    pairs: Pairs
    rows: NDArray[np.intp]
    augment: AugmentConfig
    size: int
    seed: int
    device: torch.device
    center: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def epoch(self, epoch: int) -> Iterator[PairBatch]:
        """Yield the batches of one epoch; the same for the same seed and epoch."""
        config = self.augment
        torch.manual_seed(self.seed * 100_003 + epoch)
        view = Augment(config.flips, config.color, config.color_probability)
        for rows in shuffled(self.rows, self.size, self.seed, epoch):
            pairs = [self._pair(int(row)) for row in rows]
            yield self._stack([view(*pair) for pair in pairs for _ in range(config.views)])

    def plain(self) -> Iterator[PairBatch]:
        """Yield all rows once, unchanged and in order."""
        for start in range(0, len(self.rows), self.size):
            rows = self.rows[start : start + self.size]
            yield self._stack([self._pair(int(row)) for row in rows])

    def _pair(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        view, grid = self.pairs.pair(row)
        return view, grid - torch.from_numpy(self.center[self.pairs.records[row].slide])

    def _stack(self, pairs: list[Any]) -> PairBatch:
        views, grids = zip(*pairs, strict=True)
        return PairBatch(torch.stack(views).to(self.device), torch.stack(grids).to(self.device))


def distill(config: DistillConfig) -> Generator[Event, None, None]:
    """Run a distillation; the last event is Finished with the student's folder.

    Raises
    ------
    ConfigError
        When data and settings do not go together.
    ModelError
        When student or teacher cannot be loaded.
    """
    begun = time.monotonic()
    torch.manual_seed(config.run.seed)
    device = pick_device(config.run.device)
    learning = training_autocast(device, config.run.half)
    student = build_student(
        config.student.start,
        config.student.spec(),
        pretrained=config.student.pretrained,
        **config.student.arguments,
    )
    records = read_index(config.data.fields)[: config.data.limit]
    validation = held_out(records, config.data.validation, config.run.seed)
    pairs = yield from _taught(config, records, student.spec, device)
    training, testing = _feeds(config, pairs, validation, device)
    weights = [teacher.weight for teacher in config.teachers]
    task = DistillTask(
        student,
        config.loss,
        pairs.widths,
        weights,
        freeze_norm=config.student.freeze_norm,
    ).to(device)
    fit = Fit(
        task.to(memory_format=torch.channels_last),
        config.fit,
        len(training),
        learning,
        scales={"student.": config.student.lr_scale},
    )
    scalars: Mapping[str, float] = {}
    for event in fit.run(training.epoch, lambda model: evaluate(model, testing, learning)):
        scalars = event.scalars if isinstance(event, EpochDone) else scalars
        yield event
    metrics = {
        **scalars,
        "fields": len(training.rows),
        "validation_fields": len(testing.rows),
        "validation_slides": validation,
        "seconds": round(time.monotonic() - begun),
    }
    _save(fit, config, metrics)
    yield Finished(config.run.out, metrics)


def evaluate(task: nn.Module, feed: Feed, precision: Callable[[], Any]) -> dict[str, float]:
    """Return the mean losses of the task on unchanged fields, weighted by their number."""
    sums: dict[str, float] = {}
    with torch.inference_mode(), precision():
        for batch in feed.plain():
            output = task(batch)
            for name in ("loss", "global", "local"):
                sums[name] = sums.get(name, 0.0) + float(output[name]) * len(batch.views)
    return {f"validation_{name}": value / len(feed.rows) for name, value in sums.items()}


def training_autocast(device: torch.device, wanted: bool) -> Callable[[], Any]:
    """Return the context under which a task learns on this device.

    bfloat16 has the range of float32; float16 would need its losses scaled and is left alone.
    """
    half = wanted and pick_dtype(device) == torch.bfloat16
    return lambda: autocast(device, torch.bfloat16 if half else torch.float32)


def _taught(
    config: DistillConfig,
    records: Sequence[FieldRecord],
    spec: StudentSpec,
    device: torch.device,
) -> Generator[Progress, None, Pairs]:
    """Let each teacher see the fields in turn; none is kept in memory."""
    parts = []
    for described in config.teachers:
        teacher = load_teacher(described.spec()).to(device)
        parts.append(
            (yield from cached_pairs(config.data.fields, records, teacher, spec, config.data.cache))
        )
    return replace(parts[0], more=tuple(part.targets for part in parts[1:]))


def _feeds(
    config: DistillConfig, pairs: Pairs, validation: list[str], device: torch.device
) -> tuple[Feed, Feed]:
    testing = pairs.rows(validation)
    training = np.setdiff1d(np.arange(len(pairs.records)), testing)
    size, seed = config.run.batch_size, config.run.seed
    if len(training) < size:
        raise ConfigError(
            wanted=f"at least one batch of {size} fields to learn from",
            found=f"{len(training)} fields",
            remedy="Prepare more fields or lower run.batch_size.",
        )
    centers = slide_centers(pairs, training, config.loss.center)
    return (
        Feed(pairs, training, config.augment, size, seed, device, centers),
        Feed(pairs, testing, config.augment, size, seed, device, centers),
    )


def slide_centers(
    pairs: Pairs, training: NDArray[np.intp], kind: Literal["none", "all", "slide"]
) -> dict[str, NDArray[np.float32]]:
    """Return for each slide what is taken off its teacher features: float32 (D,).

    A held-out slide is centred like the others: on the training fields, or on its own.
    """
    sums = {record.slide: np.zeros(sum(pairs.widths)) for record in pairs.records}
    counts = dict.fromkeys(sums, 0)
    everything, taught = np.zeros(sum(pairs.widths)), set(training.tolist())
    for row, record in enumerate(pairs.records if kind != "none" else ()):
        mean = pairs.grid(row).mean(axis=(0, 1), dtype=np.float64)
        sums[record.slide] += mean
        counts[record.slide] += 1
        everything += mean if row in taught else 0.0
    if kind != "slide":
        return {slide: (everything / len(training)).astype(np.float32) for slide in sums}
    return {slide: (total / counts[slide]).astype(np.float32) for slide, total in sums.items()}


def _save(fit: Fit, config: DistillConfig, metrics: Mapping[str, object]) -> None:
    average = fit.average
    if not isinstance(average, DistillTask):  # pragma: no cover - for the type checker
        raise TypeError(type(average))
    teachers = [teacher.spec() for teacher in config.teachers]
    save_encoder(
        average.student,
        config.run.out,
        licence=config.run.licence,
        origin={
            "teachers": [teacher.origin() for teacher in teachers],
            "teacher_licence": "; ".join(teacher.licence for teacher in teachers),
            "student": {
                "lr_scale": config.student.lr_scale,
                "freeze_norm": config.student.freeze_norm,
            },
            "loss": config.loss.model_dump(),
            "augment": config.augment.model_dump(),
            "fit": config.fit.model_dump(),
            "batch_size": config.run.batch_size,
            "seed": config.run.seed,
            "metrics": dict(metrics),
        },
    )
