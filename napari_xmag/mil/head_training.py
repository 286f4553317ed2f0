"""Training of an attention head on the frozen features of slides."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
from napari_xmag.nets.device import autocast
from napari_xmag.nets.heads.abmil import AttentionHead
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
    """Every slide's row, features and class index, in one order.

    Attributes
    ----------
    patches
        Of each slide int64 (P,), the classes of its patches, below zero where nobody named one;
        None for a slide without such labels. Empty when no slide has any.
    """

    rows: list[CohortRow]
    features: list[SlideFeatures]
    classes: tuple[str, ...]
    patches: Sequence[NDArray[np.int64] | None] = ()

    def of(self, split: str | None = None) -> list[SlideBag]:
        """Return the bags of one split, or of all slides."""
        return [
            SlideBag(
                torch.from_numpy(item.features),
                self.classes.index(row.label),
                None if labels is None else torch.from_numpy(labels),
            )
            for row, item, labels in zip(self.rows, self.features, self.labels, strict=True)
            if split in (None, row.split)
        ]

    @property
    def labels(self) -> Sequence[NDArray[np.int64] | None]:
        """The classes of the patches of each slide, one entry for each."""
        return self.patches or [None] * len(self.rows)


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
    labels = [bag.label for bag in training]
    meter = ProgressMeter(Stage.HEAD, 0)
    measuring = partial(_moments, [bag.features for bag in training])
    mean, std = yield from run_with_progress(measuring, meter)
    torch.manual_seed(settings.seed)
    weights = class_weights(labels, len(bags.classes), balance=settings.class_weights)
    head = new_head(len(mean), len(bags.classes), settings)
    of_patches = patch_weights([bag.patches for bag in training], len(bags.classes), settings)
    task = HeadTask(head, mean, std, weights, settings.label_smoothing, of_patches).to(at.device)
    steps = step_count(len(labels), settings.batch_size, at.processes)
    scales = head_scales("head.")
    fit = fit_of(task, settings.fit, steps, bool(validation), at, torch.float32, scales)

    def batches(epoch: int) -> Iterator[HeadBatch]:
        seed_epoch(settings.seed, epoch, at.processes)
        for own, *divisors in shares(task, labels, steps, settings.seed, epoch, at.processes):
            yield HeadBatch([_on(training[i], at.device) for i in own], *divisors)

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, HeadTask)
        return head_figures(model, validation)

    validate = evaluate if validation else None
    yield from at.run(fit, batches, validate, stage=Stage.HEAD, size=settings.batch_size)
    average = fit.average
    assert isinstance(average, HeadTask)
    return average


def _on(bag: SlideBag, device: torch.device) -> SlideBag:
    patches = None if bag.patches is None else bag.patches.to(device)
    return bag._replace(features=bag.features.to(device), patches=patches)


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


def learns_from_patches(bags: Bags, settings: HeadSettings) -> bool:
    """Return whether a head learns from labelled patches of the training slides of ``bags``."""
    patches = [bag.patches for bag in bags.of(TRAIN)]
    return patch_weights(patches, len(bags.classes), settings) is not None


def patch_weights(
    patches: Sequence[Tensor | None], classes: int, settings: HeadSettings
) -> Tensor | None:
    """Return the weight of each class (C,) in the loss of labelled patches; None for no such loss.

    Each labelled slide counts alike, and so do the classes, where ``class_weights`` says so.
    Patches of a single class cannot tell the head what that class is not: they teach nothing.

    Parameters
    ----------
    patches
        Of each training slide, as in `SlideBag`.
    """
    shares = [share for some in patches if (share := _shares_of(some, classes)) is not None]
    mass = torch.stack(shares).sum(0) if shares else torch.zeros(classes)
    present = mass > 0
    if not settings.patch_weight or present.sum() < 2:
        return None
    balanced = mass.sum() / (present.sum() * mass.clamp_min(1e-12))
    weights = torch.where(present, balanced if settings.class_weights else 1.0, 0.0)
    return settings.patch_weight * weights


def _shares_of(patches: Tensor | None, classes: int) -> Tensor | None:
    """Return which share of a slide's labelled patches each class has; None without any."""
    if patches is None or not (known := patches[patches >= 0]).numel():
        return None
    return torch.bincount(known, minlength=classes) / known.numel()


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


class PredictedSlide(NamedTuple):
    """What a model says of one slide, and what is true of it.

    Attributes
    ----------
    logits
        Float64 (C,).
    label
        Index of its class.
    evidence
        Float64 (K, C), of those patches whose class is known.
    patches
        Int64 (K,), their classes.
    """

    logits: NDArray[np.float64]
    label: int
    evidence: NDArray[np.float64]
    patches: NDArray[np.int64]

    @classmethod
    def of(
        cls, logits: Tensor, label: int, evidence: Tensor, patches: Tensor | None
    ) -> "PredictedSlide":
        """Keep what a head said of a slide, with evidence (P, C) of all of its patches."""
        labels = torch.full((len(evidence),), -1) if patches is None else patches.cpu()
        known = labels >= 0
        return cls(
            logits.double().cpu().numpy(),
            label,
            evidence[known.to(evidence.device)].double().cpu().numpy(),
            labels[known].numpy(),
        )


def predict_slides(task: HeadTask, bags: Sequence[SlideBag]) -> Steps[list[PredictedSlide]]:
    """Let a head judge slides from their features, slide by slide."""
    judged = []
    for bag in bags:
        judged.append(_evaluated(task, bag))
        yield 1
    return judged


@torch.inference_mode()
def _evaluated(task: HeadTask, bag: SlideBag) -> PredictedSlide:
    attention, evidence = task.scores(bag.features.to(task.mean.device))
    logits = task.head.pool(attention, evidence)[2]
    return PredictedSlide.of(logits, bag.label, evidence, bag.patches)


def head_figures(task: HeadTask, bags: Sequence[SlideBag]) -> dict[str, float]:
    """Return the validation figures of a head on features."""
    return figures_of(finish(predict_slides(task, bags)))


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
) -> Iterator[tuple[NDArray[np.intp], float, float]]:
    """Yield this process's slides of each step, and both divisors of `HeadBatch`."""
    order = np.random.default_rng([seed, epoch]).permutation(len(labels))
    for everyone in np.array_split(order, steps):
        weight = task.weight_of([labels[i] for i in everyone])
        own = everyone[processes.rank :: processes.world]
        yield own, weight / processes.world, len(everyone) / processes.world


def figures_of(judged: Sequence[PredictedSlide]) -> dict[str, float]:
    """Return the validation figures of slides: loss, AUC, accuracy and `SCORE`.

    Where patches of two classes are known, their AUC is among them, and the score is the mean of
    that AUC and of the slides'.
    """
    values = torch.from_numpy(np.array([slide.logits for slide in judged]))
    labels = [slide.label for slide in judged]
    loss = float(nn.functional.cross_entropy(values, torch.tensor(labels)))
    figures = slide_metrics(labels, values.softmax(1).numpy())
    aucs = {"validation_auc": figures["auc"]} | _patch_figures(judged)
    return {
        "validation_loss": loss,
        **aucs,
        "validation_accuracy": figures["accuracy"],
        SCORE: float(np.nan_to_num(list(aucs.values())).mean()) - _LOSS_SHARE * loss,
    }


def _patch_figures(judged: Sequence[PredictedSlide]) -> dict[str, float]:
    patches = np.concatenate([slide.patches for slide in judged])
    if len(np.unique(patches)) < 2:
        return {}
    evidence = torch.from_numpy(np.concatenate([slide.evidence for slide in judged]))
    return {"validation_patch_auc": slide_metrics(patches, evidence.softmax(1).numpy())["auc"]}


def _moments(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (D,) over the patches of all slides, one at a time."""
    count = sum(len(item) for item in features)
    mean = sum(item.sum(0, dtype=torch.float64) for item in features) / count
    spread = sum((item.double() - mean).square().sum(0) for item in features)
    std = torch.sqrt(torch.as_tensor(spread) / max(count - 1, 1))
    return torch.as_tensor(mean).float(), std.float().clamp_min(1e-3)
