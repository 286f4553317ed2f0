"""The steps of a training: gradients gathered over batches and processes, weights averaged."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_xmag.errors import ConfigError
from napari_xmag.learn.checkpoint import flattened, parted
from napari_xmag.learn.distributed import Processes, average_gradients, start_alike
from napari_xmag.learn.fit_config import FitConfig, warmup_cosine
from napari_xmag.learn.optimizer import (
    loss_scaler,
    optimizer_tensors,
    parameter_groups,
    restore_optimizer,
)
from napari_xmag.memory import out_of_memory


class TrainStep:
    """A task, its optimizer, schedule and moving average; see `napari_xmag.learn.fit.Fit`.

    Parameters
    ----------
    steps
        Steps of the whole schedule.

    Attributes
    ----------
    gathered
        Batches whose gradients wait for the next step.
    """

    def __init__(
        self,
        task: nn.Module,
        config: FitConfig,
        steps: int,
        autocast: Callable[[], Any],
        scales: Mapping[str, float],
        processes: Processes,
    ) -> None:
        from timm.utils import ModelEmaV3

        self.task, self.config, self.steps = task, config, steps
        self._autocast, self._processes = autocast, processes
        start_alike(task, processes)
        self._optimizer = torch.optim.AdamW(parameter_groups(task, config, scales))
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._scaler = loss_scaler(task, autocast)
        self._ema = ModelEmaV3(task, decay=config.ema_decay, use_warmup=True)
        self._step = self.gathered = 0
        self._set_rates()

    @property
    def average(self) -> nn.Module:
        """The task with averaged weights, in evaluation mode."""
        module: nn.Module = self._ema.module
        return module.eval()

    @property
    def scaled(self) -> bool:
        """Whether losses are scaled, as float16 needs."""
        return self._scaler.is_enabled()

    @property
    def rate(self) -> float:
        """Learning rate of the first group of parameters, now."""
        return float(self._optimizer.param_groups[0]["lr"])

    def accumulate(self, batch: Any) -> dict[str, float]:
        """Add a batch's gradients to those gathered since the last step; return its scalars.

        Where memory runs out in the first batch of a step, a task that can ``shrink(error)`` does
        so and tries again.

        Raises
        ------
        ConfigError
            When the loss is not finite; the gathered gradients are dropped.
        """
        while isinstance(found := self._try(batch), BaseException):
            torch.cuda.empty_cache()  # does nothing where no GPU was used
            self.task.shrink(found)  # type: ignore[operator]
        if not math.isfinite(found["loss"]):
            self.gathered = 0
            raise ConfigError(
                expected="a finite loss",
                found=f"{found['loss']} at step {self._step}",
                hint="Lower the learning rate.",
            )
        self.gathered += 1
        return found

    def update(self) -> None:
        """Take one step along the mean of the gathered gradients."""
        parameters = list(self.task.parameters())
        if self.gathered > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad /= self.gathered
        # Before they are unscaled, so that all processes see an overflow of any.
        average_gradients(parameters, self._processes)
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(parameters, self.config.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._step, self.gathered = self._step + 1, 0
        self._set_rates()
        self._ema.update(self.task, step=self._step)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the next epoch depends on: tensors and JSON-able facts.

        Random numbers are not among it: they follow from the seed and the epoch alone.
        """
        parts: dict[str, Mapping[str, Tensor]] = {
            "task": self.task.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": optimizer_tensors(self._optimizer),
        }
        return flattened(parts), {"step": self._step, "scaler": self._scaler.state_dict()}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Undo `state`, for the same task and settings."""
        parts = parted(tensors)
        self.task.load_state_dict(parts["task"])
        self.average.load_state_dict(parts["average"])
        restore_optimizer(self._optimizer, parts["optimizer"])
        self._scaler.load_state_dict(facts["scaler"])
        self._step = int(facts["step"])
        self._set_rates()

    def _try(self, batch: Any) -> dict[str, float] | BaseException:
        """Return the batch's scalars, or why its gradients could not be had in this memory."""
        if self.gathered == 0:
            self._optimizer.zero_grad(set_to_none=True)
        try:
            return self._gradients(batch)
        except (RuntimeError, MemoryError) as error:
            can_shrink = self.gathered == 0 and hasattr(self.task, "shrink")
            if not (can_shrink and out_of_memory(error)):
                raise
            # Without its traceback, which would keep the failed attempt's tensors alive.
            return error.with_traceback(None)

    def _gradients(self, batch: Any) -> dict[str, float]:
        self.task.train()
        with self._autocast():
            output: Mapping[str, Any] = self.task(batch)
        self._scaler.scale(output["loss"]).backward()
        figures = {
            name: value.detach().float()
            for name, value in output.items()
            if isinstance(value, Tensor) and value.ndim == 0
        }
        # One wait for the device, after all its work is given.
        return dict(zip(figures, torch.stack([*figures.values()]).tolist(), strict=True))

    def _set_rates(self) -> None:
        factor = warmup_cosine(self._step, self.steps, self.config.warmup)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
