"""The one training loop: it steps a task that returns {"loss", …} and never knows which."""

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_xmag.errors import ConfigError
from napari_xmag.train.beat import Pace, beating
from napari_xmag.train.events import EpochDone, Progress

Batches = Callable[[int], Iterable[Any]]


class FitConfig(BaseModel):
    """How the optimiser walks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=10, ge=1, description="Passes over all training data.")
    lr: float = Field(
        default=5e-4, gt=0, description="Highest learning rate, reached after the warm-up."
    )
    weight_decay: float = Field(
        default=0.05, ge=0, description="AdamW weight decay; biases and norms have none."
    )
    warmup: float = Field(
        default=0.1, ge=0, lt=1, description="Share of all steps in which the rate rises from zero."
    )
    clip: float = Field(
        default=1.0, gt=0, description="Largest gradient norm; longer ones are scaled."
    )
    ema_decay: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        description="Decay of the moving average of weights, which becomes the model; "
        "it rises to this value over the first steps.",
    )


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate at ``step`` of ``steps`` (0 … 1)."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def parameter_groups(
    task: nn.Module, config: FitConfig, scales: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return AdamW's groups: rates by name, no weight decay on biases and norms."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        scale = next((s for prefix, s in scales.items() if name.startswith(prefix)), 1.0)
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        if parameter.requires_grad:
            groups.setdefault((config.lr * scale, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


class Fit:
    """A task with its optimiser, schedule and moving average.

    Parameters
    ----------
    task
        Module whose ``forward(batch)`` returns a mapping with a scalar tensor ``"loss"``; other
        scalar tensors in it are reported as the mean over the epoch.
    steps_per_epoch
        Number of batches in one epoch.
    autocast
        Context manager factory under which ``forward`` runs (mixed precision).
    scales
        Factors of the learning rate for parameters whose name begins so, 1 for all others.

    Attributes
    ----------
    average
        The task with averaged weights and buffers: evaluate and export this one.
    """

    def __init__(
        self,
        task: nn.Module,
        config: FitConfig,
        steps_per_epoch: int,
        autocast: Callable[[], Any],
        scales: Mapping[str, float] | None = None,
    ) -> None:
        from timm.utils import ModelEmaV3

        self.task, self.config, self.autocast = task, config, autocast
        self.steps = max(steps_per_epoch * config.epochs, 1)
        self.steps_per_epoch = steps_per_epoch
        self.optimizer = torch.optim.AdamW(parameter_groups(task, config, scales or {}))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: warmup_cosine(step, self.steps, config.warmup)
        )
        self._ema = ModelEmaV3(task, decay=config.ema_decay, use_warmup=True)
        self._step = 0

    @property
    def average(self) -> nn.Module:
        """The task with averaged weights, in evaluation mode."""
        module: nn.Module = self._ema.module
        return module.eval()

    def step(self, batch: Any) -> dict[str, float]:
        """Take one optimiser step and return the scalars of the task's output.

        Raises
        ------
        ConfigError
            When the loss is not finite: the weights are left as they were.
        """
        self.task.train()
        with self.autocast():
            output: Mapping[str, Any] = self.task(batch)
        loss: Tensor = output["loss"]
        if not torch.isfinite(loss):
            raise ConfigError(
                wanted="a finite loss",
                found=f"{loss.item()} at step {self._step}",
                remedy="Lower the learning rate.",
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.task.parameters(), self.config.clip)
        self.optimizer.step()
        self.schedule.step()
        self._step += 1
        self._ema.update(self.task, step=self._step)
        return {
            name: value.item()
            for name, value in output.items()
            if isinstance(value, Tensor) and value.ndim == 0
        }

    def run(
        self, batches: Batches, evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None
    ) -> Generator[Progress | EpochDone, None, None]:
        """Train all epochs; yield at least twice a second and once after each epoch.

        Parameters
        ----------
        batches
            Called with the epoch (from 0), gives that epoch's batches.
        evaluate
            Called after each epoch with ``average``; its scalars join the epoch's.
        """
        pace = Pace("training", self.steps)
        for epoch in range(self.config.epochs):
            sums: dict[str, float] = {}
            count = 0
            feed = iter(batches(epoch))
            while (
                scalars := (yield from beating(lambda feed=feed: self._next(feed), pace))  # type: ignore[misc]
            ) is not None:
                count += 1
                pace.add(1)
                sums = {name: sums.get(name, 0.0) + value for name, value in scalars.items()}
            means = {f"train_{name}": value / max(count, 1) for name, value in sums.items()}
            if evaluate is not None:
                means |= yield from beating(lambda: dict(evaluate(self.average)), pace)
            means["lr"] = float(self.schedule.get_last_lr()[0])
            yield EpochDone(epoch + 1, self.config.epochs, means)

    def _next(self, feed: Any) -> dict[str, float] | None:
        batch = next(feed, None)
        return None if batch is None else self.step(batch)
