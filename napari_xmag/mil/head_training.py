"""Training of an attention head on the frozen features of slides."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.cohort.rows import TRAIN, VALIDATION, CohortRow
from napari_xmag.errors import ConfigError
from napari_xmag.filenames import CHECKPOINTS
from napari_xmag.learn.distributed import Processes
from napari_xmag.learn.fit import Fit, FitConfig
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.mil.features import SlideFeatures
from napari_xmag.mil.head_settings import HeadSettings
from napari_xmag.mil.task import HeadBatch, HeadTask, SlideBag
from napari_xmag.nets.abmil import AttentionHead
from napari_xmag.nets.device import autocast
from napari_xmag.progress.events import RunEvent, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, Steps, finish, run_with_progress
from napari_xmag.stats.metrics import slide_metrics

SCORE = "validation_score"
"""What early stopping watches: the validation AUC, and between equal ones the lower loss."""

_LOSS_SHARE = 1e-3

_ATTENTION_RATE = 8.0
"""Attention learns so much faster than evidence: otherwise the slides are told apart by the mean
of nearly equal patches before it has begun to choose.
"""


@dataclass(frozen=True)
class Bags:
    """Every slide's row, features and class index, in one order."""

    rows: list[CohortRow]
    features: list[SlideFeatures]
    classes: tuple[str, ...]

    def of(self, split: str) -> list[SlideBag]:
        """Return the bags of one split."""
        return [
            (torch.from_numpy(item.features), self.classes.index(row.label))
            for row, item in zip(self.rows, self.features, strict=True)
            if row.split == split
        ]


@dataclass(frozen=True)
class Workplace:
    """Where a training computes and what it leaves.

    Attributes
    ----------
    device
        Where it computes.
    folder
        Of the run, with ``checkpoints/``; None to leave nothing.
    resume
        Whether it goes on from the checkpoints.
    processes
        Those that share the work.
    scalars
        Where the figures of each epoch go.
    settings
        What must be the same to go on.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    folder: Path | None = None
    resume: bool = False
    processes: Processes = field(default_factory=Processes)
    scalars: ScalarLog | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        fit: Fit,
        batches: Any,
        evaluate: Any,
        *,
        stage: Stage,
        size: int,
        start: Callable[[], Mapping[str, float]] | None = None,
    ) -> Generator[RunEvent, None, None]:
        """Run one stage with its checkpoint; ``size`` slides are in a batch."""
        yield from fit.run(
            batches,
            evaluate,
            checkpoint=self.folder and self.folder / CHECKPOINTS / f"{stage}.safetensors",
            resume=self.resume,
            scalars=self.scalars,
            monitor=SCORE if fit.config.patience else None,
            stage=stage,
            settings=self.settings,
            count=(size, "slides"),
            start=start,
        )


def train_head(
    bags: Bags, settings: HeadSettings, workplace: Workplace | None = None
) -> Generator[RunEvent, None, HeadTask]:
    """Train a head on the training slides of ``bags``; validation slides are only watched.

    Returns
    -------
    The task with averaged weights.
    """
    at = workplace or Workplace()
    training, validation = bags.of(TRAIN), bags.of(VALIDATION)
    labels = [label for _, label in training]
    meter = ProgressMeter(Stage.HEAD, 0)
    measuring = partial(_moments, [features for features, _ in training])
    mean, std = yield from run_with_progress(measuring, meter)
    torch.manual_seed(settings.seed)
    weights = class_weights(labels, len(bags.classes), balance=settings.class_weights)
    head = new_head(len(mean), len(bags.classes), settings)
    task = HeadTask(head, mean, std, weights, settings.label_smoothing).to(at.device)
    steps = step_count(len(labels), settings.batch_size, at.processes)
    scales = head_scales("head.")
    fit = fit_of(task, settings.fit, steps, bool(validation), at, torch.float32, scales)

    def batches(epoch: int) -> Iterator[HeadBatch]:
        seed_epoch(settings.seed, epoch, at.processes)
        for own, weight in shares(task, labels, steps, settings.seed, epoch, at.processes):
            bags_of_step = [(training[i][0].to(at.device), labels[i]) for i in own]
            yield HeadBatch(bags_of_step, weight)

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, HeadTask)
        return head_figures(model, validation)

    judge = evaluate if validation else None
    yield from at.run(fit, batches, judge, stage=Stage.HEAD, size=settings.batch_size)
    average = fit.average
    assert isinstance(average, HeadTask)
    return average


def new_head(dim: int, classes: int, settings: HeadSettings) -> AttentionHead:
    """Return a head that attends to all patches alike and finds evidence in none.

    Evidence and attention of a trained head are then what it learned. From random weights the
    draw itself would stay in the maps: a few slides teach in few steps, and each patch has more
    than a thousand features.
    """
    head = AttentionHead(dim, settings.hidden, classes, settings.dropout)
    for weight in (head.attend.weight, head.score.weight, head.score.bias):
        nn.init.zeros_(weight)
    return head


def head_scales(prefix: str) -> dict[str, float]:
    """Return the factors of the learning rate of a head whose parameters' names begin so."""
    return {f"{prefix}attend.": _ATTENTION_RATE}


def class_weights(labels: Sequence[int], classes: int, *, balance: bool) -> Tensor:
    """Return float (C,), the weight of each class: so that all count alike, or 1."""
    counts = np.bincount(labels, minlength=classes)
    weights = counts.sum() / (classes * counts) if balance else np.ones(classes)
    return torch.from_numpy(weights).float()


def step_count(slides: int, batch_size: int, processes: Processes) -> int:
    """Return the steps of an epoch; in each, every process has a slide at least.

    Raises
    ------
    ConfigError
        When there are fewer slides, or slides in a batch, than processes.
    """
    if min(slides, batch_size) < processes.world:
        raise ConfigError(
            expected=f"a training slide per step for each of {processes.world} processes",
            found=f"{slides} training slides and {batch_size} slides per batch",
            hint="Start fewer processes, or raise batch_size.",
        )
    return max(1, min(-(-slides // batch_size), slides // processes.world))


def seed_epoch(seed: int, epoch: int, processes: Processes) -> None:
    """Seed what an epoch draws in this process."""
    torch.manual_seed((seed * 100_003 + epoch) * processes.world + processes.rank)


def slide_logits(task: HeadTask, bags: Sequence[SlideBag]) -> Steps[NDArray[np.float64]]:
    """Compute the class logits (N, C) of slides from their features, slide by slide."""
    rows = []
    for features, _ in bags:
        rows.append(_logits(task, features))
        yield 1
    return np.array(rows)


@torch.inference_mode()
def _logits(task: HeadTask, features: Tensor) -> NDArray[np.float64]:
    logits: NDArray[np.float64] = task.logits(features.to(task.mean.device)).double().cpu().numpy()
    return logits


def head_figures(task: HeadTask, bags: Sequence[SlideBag]) -> dict[str, float]:
    """Return the validation figures of a head on features."""
    return figures_of(finish(slide_logits(task, bags)), [label for _, label in bags])


def fit_of(
    task: nn.Module,
    config: FitConfig,
    steps: int,
    watched: bool,
    at: Workplace,
    dtype: torch.dtype,
    scales: Mapping[str, float] | None = None,
) -> Fit:
    """Return the loop for a task; ``watched``: whether there are slides to validate it on."""
    # Without validation slides there is nothing to stop for.
    config = config if watched else config.model_copy(update={"patience": 0})
    return Fit(task, config, steps, partial(autocast, at.device, dtype), scales, at.processes)


def shares(
    task: HeadTask,
    labels: Sequence[int],
    steps: int,
    seed: int,
    epoch: int,
    processes: Processes,
) -> Iterator[tuple[NDArray[np.intp], float]]:
    """Yield this process's slides of each step, and what their losses are divided by."""
    order = np.random.default_rng([seed, epoch]).permutation(len(labels))
    for everyone in np.array_split(order, steps):
        weight = task.weight_of([labels[i] for i in everyone])
        yield everyone[processes.rank :: processes.world], weight / processes.world


def figures_of(logits: NDArray[np.float64], labels: Sequence[int]) -> dict[str, float]:
    """Return the validation figures of class logits (N, C): loss, AUC, accuracy and `SCORE`."""
    values = torch.from_numpy(logits)
    loss = float(nn.functional.cross_entropy(values, torch.tensor(list(labels))))
    figures = slide_metrics(labels, values.softmax(1).numpy())
    auc = figures["auc"]
    return {
        "validation_loss": loss,
        "validation_auc": auc,
        "validation_accuracy": figures["accuracy"],
        SCORE: (0.0 if np.isnan(auc) else auc) - _LOSS_SHARE * loss,
    }


def _moments(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (D,) over the patches of all slides, one at a time."""
    count = sum(len(item) for item in features)
    mean = sum(item.sum(0, dtype=torch.float64) for item in features) / count
    spread = sum((item.double() - mean).square().sum(0) for item in features)
    std = torch.sqrt(torch.as_tensor(spread) / max(count - 1, 1))
    return torch.as_tensor(mean).float(), std.float().clamp_min(1e-3)
