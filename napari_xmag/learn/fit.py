"""The one training loop: it steps a task that returns {"loss", …} and never knows which."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from napari_xmag.errors import ConfigError
from napari_xmag.learn.checkpoint import (
    flattened,
    load_checkpoint,
    parted,
    require_same_settings,
    save_checkpoint,
)
from napari_xmag.learn.distributed import Processes, gather
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.learn.train_step import TrainStep
from napari_xmag.progress.events import EpochDone, Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress, step_thread

__all__ = ["Batches", "Evaluate", "Fit", "FitConfig", "resuming_settings"]

Batches = Callable[[int], Iterable[Any]]
Evaluate = Callable[[nn.Module], Mapping[str, float]]


def resuming_settings(
    config: FitConfig, monitor: str | None, others: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that must be as it was when `Fit.run` resumes; JSON-able where ``others`` are."""
    return {"fit": config.model_dump(), "monitor": monitor, **others}


@dataclass(frozen=True)
class _Best:
    """The monitored figure of the best epoch so far (from 1; 0: as it began), and its average."""

    value: float
    epoch: int
    state: Mapping[str, Tensor]


class Fit:
    """A task with its optimizer, schedule and moving average.

    Parameters
    ----------
    task
        Module whose ``forward(batch)`` returns a mapping with a scalar tensor ``"loss"``; other
        scalar tensors in it are reported as the mean over the epoch. Where it has
        ``shrink(error)``, that is called when memory runs out, and the batch tried again.
    steps_per_epoch
        Number of batches in one epoch.
    autocast
        Context manager factory under which ``forward`` runs (mixed precision). In float16 losses
        are scaled.
    scales
        Factors of the learning rate for parameters whose name begins so, 1 for all others.
    processes
        Those that train together; each brings batches of its own, of the same size.

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
        processes: Processes | None = None,
    ) -> None:
        self.config, self.processes = config, processes or Processes()
        self.steps_per_epoch = steps_per_epoch
        steps = max(-(-steps_per_epoch // config.accumulate) * config.epochs, 1)
        self._train_step = TrainStep(task, config, steps, autocast, scales or {}, self.processes)
        self._best: _Best | None = None

    @property
    def average(self) -> nn.Module:
        """The task with averaged weights, in evaluation mode."""
        return self._train_step.average

    @property
    def best_epoch(self) -> int | None:
        """Which epoch's average is kept, 0 for what it began with; None where none is chosen."""
        return None if self._best is None else self._best.epoch

    @property
    def task(self) -> nn.Module:
        """The task that learns."""
        return self._train_step.task

    @property
    def steps(self) -> int:
        """Steps of the optimizer in all epochs."""
        return self._train_step.steps

    @property
    def scaled(self) -> bool:
        """Whether losses are scaled, as float16 needs."""
        return self._train_step.scaled

    def step(self, *batches: Any) -> dict[str, float]:
        """Take one optimizer step on batches and return the scalars of the task's last output.

        Raises
        ------
        ConfigError
            When the loss is not finite: the weights are left as they were.
        """
        scalars: dict[str, float] = {}
        for batch in batches:
            scalars = self._train_step.accumulate(batch)
        self._train_step.update()
        return scalars

    def run(
        self,
        batches: Batches,
        evaluate: Evaluate | None = None,
        *,
        checkpoint: Path | None = None,
        resume: bool = False,
        scalars: ScalarLog | None = None,
        monitor: str | None = None,
        stage: Stage = Stage.TRAINING,
        settings: Mapping[str, Any] | None = None,
        count: tuple[int, str] = (1, "steps"),
        start: Callable[[], Mapping[str, float]] | None = None,
    ) -> Generator[Progress | EpochDone, None, None]:
        """Train all epochs; yield at least twice a second and once after each epoch.

        Parameters
        ----------
        batches
            Called with the epoch (from 0), gives that epoch's batches. What is random in them, or
            in the task, must follow from a seed and the epoch alone.
        evaluate
            Called after each epoch with ``average``, in every process; the first one's scalars
            join the epoch's.
        checkpoint
            File written after each epoch.
        resume
            Go on after the last epoch of the checkpoint, if there is one.
        scalars
            Where the figures of each epoch go.
        monitor
            Name of the scalar whose highest value tells which epoch's average is kept; the last
            one's when None.
        stage
            What this run is, in events and tables.
        settings
            What else must be as it was when a run resumes; JSON-able.
        count
            How many of what a batch holds, for the progress: ``(64, "fields")``.
        start
            Gives the figures of the task as it begins. It ends so where ``monitor`` is higher in
            them than after any epoch.

        Raises
        ------
        ConfigError
            When the loss is not finite, the settings are others than the checkpoint's, or there
            is nothing to monitor.
        ModelError
            When the checkpoint is broken.
        ExportError
            When checkpoint or scalars cannot be written.
        """
        self._require_monitor(monitor)
        facts = resuming_settings(self.config, monitor, settings or {})
        each, epochs = count[0] * self.steps_per_epoch, self.config.epochs
        meter, first = ProgressMeter(stage, each * epochs, count[1]), 0
        with step_thread() as thread:
            if resume and checkpoint:
                taking_up = partial(self._go_on, checkpoint, facts)
                first = yield from run_with_progress(taking_up, meter, thread)
            meter.begin(each * first, min(first + 1, epochs), epochs)
            if start is not None and monitor is not None and self._best is None:
                beginning = partial(self._evaluated, 0, {}, lambda _: start(), monitor)
                yield from run_with_progress(beginning, meter, thread)
            for epoch in range(first, epochs):
                if self._enough(epoch):
                    break
                meter.epoch = epoch + 1
                means = yield from self._pass(batches(epoch), meter, count[0], thread)
                judging = partial(self._evaluated, epoch + 1, means, evaluate, monitor)
                figures = yield from run_with_progress(judging, meter, thread)
                done = EpochDone(epoch + 1, epochs, figures, stage)
                recording = partial(self._record, done, scalars, checkpoint, facts)
                yield from run_with_progress(recording, meter, thread)
                yield done
            if self._best is not None:
                ending = partial(self.average.load_state_dict, self._best.state)
                yield from run_with_progress(ending, meter, thread)

    def _pass(
        self, batches: Iterable[Any], meter: ProgressMeter, each: int, thread: ThreadPoolExecutor
    ) -> Generator[Progress, None, dict[str, float]]:
        """Train one epoch; return the mean of each scalar over this process's batches."""
        sums: dict[str, float] = {}
        source, count = iter(batches), 0
        self._train_step.gathered = 0
        try:
            while (
                scalars := (yield from run_with_progress(lambda: self._next(source), meter, thread))
            ) is not None:
                count += 1
                meter.add(each)
                sums = {name: sums.get(name, 0.0) + value for name, value in scalars.items()}
        finally:
            if isinstance(source, Generator):
                source.close()
        return {f"train_{name}": value / max(count, 1) for name, value in sums.items()}

    def _evaluated(
        self,
        epoch: int,
        means: Mapping[str, float],
        evaluate: Evaluate | None,
        monitor: str | None,
    ) -> dict[str, float]:
        """Return all figures of an epoch, the same in every process; note the best one."""
        parts = gather(dict(means), self.processes)
        figures = {name: sum(part[name] for part in parts) / len(parts) for name in means}
        if evaluate is not None:
            figures |= gather(dict(evaluate(self.average)), self.processes)[0]
        figures["lr"] = self._train_step.rate
        self._note_best(epoch, figures, monitor)
        return figures

    def _next(self, source: Iterator[Any]) -> dict[str, float] | None:
        batch = next(source, None)
        scalars = None if batch is None else self._train_step.accumulate(batch)
        gathered = self._train_step.gathered
        if gathered and (scalars is None or gathered == self.config.accumulate):
            self._train_step.update()
        return scalars

    def _require_monitor(self, monitor: str | None) -> None:
        if self.config.patience and monitor is None:
            raise ConfigError(
                expected="a validation score for early stopping",
                found=f"patience {self.config.patience} and no validation slides",
                hint="Hold out slides for validation, or set patience to 0.",
            )

    def _note_best(self, epoch: int, means: Mapping[str, float], monitor: str | None) -> None:
        if monitor is None:
            return
        if monitor not in means:
            raise ConfigError(
                expected=f"the score {monitor!r} after each epoch",
                found=f"only {', '.join(means)}",
                hint="Hold out slides for validation, or keep the last epoch.",
            )
        value = means[monitor]
        if self._best is None or value > self._best.value:
            state = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
            self._best = _Best(value, epoch, state)

    def _enough(self, epoch: int) -> bool:
        """Whether ``epoch`` epochs without a better one were too many."""
        patience = self.config.patience
        return bool(patience and self._best and epoch - self._best.epoch >= patience)

    def _record(
        self,
        done: EpochDone,
        scalars: ScalarLog | None,
        checkpoint: Path | None,
        facts: Mapping[str, Any],
    ) -> None:
        if not self.processes.first:
            return
        if scalars is not None:
            scalars.write(done.epoch, done.scalars, done.stage)
        if checkpoint is not None:
            self._save(checkpoint, done.epoch, facts)

    def _save(self, path: Path, epoch: int, settings: Mapping[str, Any]) -> None:
        tensors, facts = self._train_step.state()
        best = self._best and {"value": self._best.value, "epoch": self._best.epoch}
        if self._best and self._best.epoch != epoch:
            tensors |= flattened({"best": self._best.state})
        save_checkpoint(
            path, tensors, {**facts, "epoch": epoch, "best": best, "settings": settings}
        )

    def _go_on(self, path: Path, settings: Mapping[str, Any]) -> int:
        """Take up a checkpoint, if there is one; return how many epochs it has behind it."""
        if not gather(path.exists(), self.processes)[0]:
            return 0
        tensors, facts = load_checkpoint(path)
        require_same_settings(facts["settings"], settings, path)
        self._train_step.restore(tensors, facts)
        if facts["best"] is not None:
            parts = parted(tensors)
            kept = parts.get("best", parts["average"])
            self._best = _Best(facts["best"]["value"], facts["best"]["epoch"], kept)
        return int(facts["epoch"])
