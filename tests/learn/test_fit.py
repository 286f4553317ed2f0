"""The loop: schedule, moving average, events, reproducible, stoppable."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_xmag.errors import ConfigError
from napari_xmag.learn.fit import Fit
from napari_xmag.learn.fit_config import FitConfig, warmup_cosine
from napari_xmag.learn.optimizer import parameter_groups
from napari_xmag.learn.scalars import ScalarLog, read_scalars
from napari_xmag.progress.events import EpochDone, Progress, Stage
from tests.listener import Clock, Gate, Listener


class Line(nn.Module):
    """Fits y = 3 x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": ((self.weight - 3) * batch).pow(2).mean(), "output": self.weight * batch}


def batches(epoch: int) -> Iterator[Tensor]:
    torch.manual_seed(epoch)
    for _ in range(5):
        yield torch.rand(8) + 0.5


def fit(task: nn.Module, **settings: float) -> Fit:
    return Fit(task, FitConfig(**{"epochs": 40, "lr": 0.1, **settings}), 5, nullcontext)


def test_schedule_rises_then_falls_to_zero() -> None:
    values = [warmup_cosine(step, 100, 0.1) for step in range(101)]
    assert values[0] == pytest.approx(1 / 11)
    assert values[10] == 1
    assert values[55] == pytest.approx(0.5)
    assert values[100] == pytest.approx(0, abs=1e-12)
    assert values[:11] == sorted(values[:11])
    assert values[10:] == sorted(values[10:], reverse=True)


def test_it_learns_and_reports_each_epoch() -> None:
    task = Line()
    runner = fit(task)
    done = [
        event
        for event in runner.run(batches, lambda model: {"validation": model.weight.item()})
        if isinstance(event, EpochDone)
    ]
    assert [event.epoch for event in done] == list(range(1, 41))
    assert done[0].scalars["train_loss"] > 100 * done[-1].scalars["train_loss"]
    assert done[-1].scalars["validation"] == pytest.approx(3, abs=0.1)
    assert set(done[0].scalars) == {"train_loss", "validation", "lr"}


def test_average_follows_its_formula() -> None:
    task = Line()
    runner = fit(task, ema_decay=0.5)
    expected = 0.0
    for step in range(1, 6):
        runner.step(torch.ones(4))
        # The warm-up: 1 - step^(-2/3), never above the decay that was asked for.
        decay = min(1 - step ** (-2 / 3), 0.5)
        expected = decay * expected + (1 - decay) * task.weight.item()
    average = runner.average
    assert isinstance(average, Line)
    assert average.weight.item() == pytest.approx(expected, rel=1e-5)
    assert average.weight.item() < task.weight.item()
    assert not average.training


def test_the_same_twice() -> None:
    results = []
    for _ in range(2):
        task = Line()
        list(fit(task, epochs=3).run(batches))
        results.append(task.weight.item())
    assert results[0] == results[1]


def test_slow_steps_are_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    listener.slow_down(monkeypatch, f"{__name__}.Line.forward", f"{__name__}.unchanged")
    runner = fit(Line(), epochs=1)
    listener.listen(runner.run(batches, lambda _: unchanged()))
    assert len(listener.called) == 2
    assert not listener.silent
    assert all(isinstance(event, Progress | EpochDone) for event in listener.events)


def unchanged() -> dict[str, float]:
    return {"auc": 0.5}


def test_closing_stops_before_the_next_step() -> None:
    gate = Gate()

    class Held(Line):
        def forward(self, batch: Tensor) -> dict[str, Tensor]:
            gate.hold()
            return super().forward(batch)

    events = fit(Held(), epochs=1).run(lambda epoch: iter([torch.ones(2)] * 100))
    next(events)
    assert gate.reached.wait(60)
    gate.open()
    events.close()
    assert gate.passed == 1


def test_an_infinite_loss_is_refused_and_the_weights_stay() -> None:
    task = Line()
    with pytest.raises(ConfigError, match="step 0"):
        list(fit(task).run(lambda epoch: iter([torch.tensor([float("nan")])])))
    assert task.weight.item() == 0


def test_many_short_steps_give_events_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("napari_xmag.progress.heartbeat.time", clock)

    class Short(Line):
        def forward(self, batch: Tensor) -> dict[str, Tensor]:
            clock.now += 0.02
            return super().forward(batch)

    runner = Fit(Short(), FitConfig(epochs=1), 60, nullcontext)
    events = list(runner.run(lambda epoch: iter([torch.ones(2)] * 60)))
    beats = [event for event in events if isinstance(event, Progress)]
    assert 3 <= len(beats) <= 5  # 1.2 seconds, an event each quarter
    assert [event.done for event in beats] == sorted(event.done for event in beats)
    assert beats[-1].done > 30


def test_groups_have_their_own_rates_and_norms_no_decay() -> None:
    task = nn.ModuleDict({"student": nn.Linear(2, 3), "heads": nn.Linear(3, 4)})
    groups = parameter_groups(task, FitConfig(lr=0.1, weight_decay=0.3), {"student.": 0.5})
    found = {
        tuple(p.shape): (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }
    assert found == {(3, 2): (0.05, 0.3), (3,): (0.05, 0.0), (4, 3): (0.1, 0.3), (4,): (0.1, 0.0)}


class Noisy(nn.Module):
    """A small network with dropout and batch norm: random state and buffers count."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.net = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.net(batch) - batch.sum(1, keepdim=True)).square().mean()}


def noisy_batches(epoch: int) -> Iterator[Tensor]:
    torch.manual_seed(epoch)
    for _ in range(5):
        yield torch.rand(8, 6)


def noisy_fit(**settings: float) -> Fit:
    return Fit(Noisy(), FitConfig(**{"epochs": 5, "lr": 0.05, **settings}), 5, nullcontext)


def same(one: Fit, other: Fit) -> bool:
    states = [(f.task.state_dict() | {f"a.{k}": v for k, v in f.average.state_dict().items()})
              for f in (one, other)]  # fmt: skip
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_accumulated_batches_are_one_large_batch() -> None:
    parts = [torch.rand(4) + 0.5 for _ in range(6)]
    config = FitConfig(epochs=1, lr=0.1, accumulate=2)
    small, large = Line(), Line()
    one = Fit(small, config, 6, nullcontext)
    list(one.run(lambda epoch: iter(parts)))
    other = Fit(large, config.model_copy(update={"accumulate": 1}), 3, nullcontext)
    whole = [torch.cat(parts[i : i + 2]) for i in (0, 2, 4)]
    list(other.run(lambda epoch: iter(whole)))
    assert one.steps == other.steps == 3
    assert small.weight.item() == pytest.approx(large.weight.item(), rel=1e-6)


def test_the_last_batches_of_an_epoch_make_a_step_of_their_own() -> None:
    runner = Fit(Line(), FitConfig(epochs=2, accumulate=3), 5, nullcontext)
    assert runner.steps == 4
    done = [e for e in runner.run(batches) if isinstance(e, EpochDone)]
    assert done[-1].scalars["lr"] == pytest.approx(0, abs=1e-12)  # all steps were taken


def test_resumed_after_a_break_is_as_if_there_was_none(tmp_path: Path) -> None:
    whole, path = noisy_fit(accumulate=2), tmp_path / "c.safetensors"
    list(whole.run(noisy_batches))
    broken = noisy_fit(accumulate=2)
    events = broken.run(noisy_batches, checkpoint=path)
    while not isinstance(event := next(events), EpochDone) or event.epoch < 2:
        pass
    events.close()
    resumed = noisy_fit(accumulate=2)
    done = list(resumed.run(noisy_batches, checkpoint=path, resume=True))
    assert [e.epoch for e in done if isinstance(e, EpochDone)] == [3, 4, 5]
    assert same(whole, resumed)
    again = noisy_fit(accumulate=2)
    assert not list(again.run(noisy_batches, checkpoint=path, resume=True))
    assert same(whole, again)


def test_killed_in_the_middle_of_an_epoch_and_resumed(tmp_path: Path) -> None:
    # Sums depend on the number of threads: both processes must have the same.
    program = f"""
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads({torch.get_num_threads()})
from tests.learn.test_fit import noisy_batches, noisy_fit

def batches(epoch):
    for number, batch in enumerate(noisy_batches(epoch)):
        if (epoch, number) == (3, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

list(noisy_fit().run(batches, checkpoint=Path(sys.argv[1])))
"""
    path = tmp_path / "c.safetensors"
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    resumed, whole = noisy_fit(), noisy_fit()
    done = list(resumed.run(noisy_batches, checkpoint=path, resume=True))
    assert [e.epoch for e in done if isinstance(e, EpochDone)] == [4, 5]
    list(whole.run(noisy_batches))
    assert same(whole, resumed)


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    list(noisy_fit().run(noisy_batches, checkpoint=path, settings={"seed": 1}))
    with pytest.raises(ConfigError, match=r"fit\.lr was 0\.05, now 0\.1; seed was 1, now 2"):
        list(
            noisy_fit(lr=0.1).run(noisy_batches, checkpoint=path, resume=True, settings={"seed": 2})
        )


FIGURES = [0.1, 0.7, 0.3, 0.2, 0.9]


def watched(runner: Fit, seen: list[Tensor], **records: Any) -> list[EpochDone]:
    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Line)
        seen.append(model.weight.detach().clone())
        return {"auc": FIGURES[len(seen) - 1]}

    events = runner.run(batches, evaluate, monitor="auc", **records)
    return [event for event in events if isinstance(event, EpochDone)]


def test_it_stops_when_nothing_gets_better_and_keeps_the_best(tmp_path: Path) -> None:
    seen: list[Tensor] = []
    runner, path = fit(Line(), epochs=5, patience=2), tmp_path / "c.safetensors"
    done = watched(runner, seen, checkpoint=path)
    assert [event.epoch for event in done] == [1, 2, 3, 4]
    assert torch.equal(runner.average.weight, seen[1])  # type: ignore[arg-type]
    assert not torch.equal(seen[1], seen[3])
    again = fit(Line(), epochs=5, patience=2)
    assert watched(again, seen, checkpoint=path, resume=True) == []
    assert torch.equal(again.average.weight, seen[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "best"), [(0.8, 0), (0.6, 2)])
def test_it_ends_as_it_began_where_no_epoch_is_better(
    start: float, best: int, tmp_path: Path
) -> None:
    begun, path = Line(), tmp_path / "c.safetensors"
    seen: list[Tensor] = []
    weight = begun.weight.detach().clone()
    runner = fit(begun, epochs=4, patience=3)
    watched(runner, seen, start=lambda: {"auc": start}, checkpoint=path)
    kept = weight if best == 0 else seen[best - 1]
    assert runner.best_epoch == best
    assert torch.equal(runner.average.weight, kept)  # type: ignore[arg-type]
    assert not torch.equal(weight, seen[1])

    again = fit(Line(), epochs=4, patience=3)
    watched(again, seen, start=lambda: {"auc": start}, checkpoint=path, resume=True)
    assert again.best_epoch == best
    assert torch.equal(again.average.weight, kept)  # type: ignore[arg-type]


def test_the_best_may_be_the_last() -> None:
    seen: list[Tensor] = []
    runner = fit(Line(), epochs=5)
    assert len(watched(runner, seen)) == 5
    assert torch.equal(runner.average.weight, seen[4])  # type: ignore[arg-type]


def test_nothing_to_watch_is_said() -> None:
    with pytest.raises(ConfigError, match="patience 2 and no validation slides"):
        list(fit(Line(), patience=2).run(batches))
    with pytest.raises(ConfigError, match=r"'auc'.*train_loss"):
        list(fit(Line()).run(batches, monitor="auc"))


def test_figures_go_into_the_table(tmp_path: Path) -> None:
    with ScalarLog(tmp_path) as scalars:
        done = [
            event
            for event in fit(Line(), epochs=2).run(batches, scalars=scalars, stage=Stage.HEAD)
            if isinstance(event, EpochDone)
        ]
    assert read_scalars(tmp_path) == [
        {"stage": "head", "epoch": event.epoch, **event.scalars} for event in done
    ]


def test_progress_counts_what_batches_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    listener.slow_down(monkeypatch, f"{__name__}.Line.forward")
    listener.listen(fit(Line(), epochs=1).run(batches, count=(8, "fields")))
    seen = [event for event in listener.events if isinstance(event, Progress)]
    assert {(e.total, e.unit) for e in seen} == {(40, "fields")}
    assert {e.done % 8 for e in seen} == {0}


def test_the_longest_prefix_gives_the_rate() -> None:
    task = nn.ModuleDict({"a": nn.ModuleDict({"b": nn.Linear(2, 3), "c": nn.Linear(3, 4)})})
    groups = parameter_groups(task, FitConfig(lr=1.0), {"a.": 0.5, "a.b.": 0.25, "a.c.bias": 0.1})
    found = {tuple(p.shape): group["lr"] for group in groups for p in group["params"]}
    assert found == {(3, 2): 0.25, (3,): 0.25, (4, 3): 0.5, (4,): 0.1}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_float16_on_a_gpu_scales_its_losses() -> None:
    task = Noisy().cuda()
    half = lambda: torch.autocast("cuda", torch.float16)  # noqa: E731
    runner = Fit(task, FitConfig(epochs=3, lr=0.05), 5, half)
    assert runner.scaled
    done = list(runner.run(lambda epoch: (b.cuda() for b in noisy_batches(epoch))))
    losses = [e.scalars["train_loss"] for e in done if isinstance(e, EpochDone)]
    assert losses[-1] < losses[0]


def test_only_float16_scales_its_losses() -> None:
    assert not noisy_fit().scaled
    half = lambda dtype: lambda: torch.autocast("cpu", dtype)  # noqa: E731
    assert not Fit(Noisy(), FitConfig(), 5, half(torch.bfloat16)).scaled
    assert Fit(Noisy(), FitConfig(), 5, half(torch.float16)).scaled


class Cramped(Line):
    """Has memory for so many values at once."""

    room = 8

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        if self.room > 3:
            ((self.weight - 3) * batch).sum().backward()  # half of the work is done
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(batch)

    def shrink(self, error: BaseException) -> None:
        assert error.__traceback__ is None
        self.room //= 2


def test_a_task_that_can_shrinks_when_memory_runs_out() -> None:
    cramped, roomy = Cramped(), Line()
    fit(cramped).step(torch.ones(4))
    fit(roomy).step(torch.ones(4))
    assert cramped.room == 2
    assert cramped.weight.item() == roomy.weight.item()


def test_other_errors_are_raised_as_they_are() -> None:
    task = Cramped()
    task.room, task.weight = 1, nn.Parameter(torch.zeros(3))
    runner = fit(task)
    with pytest.raises(RuntimeError, match="size of tensor"):
        runner.step(torch.ones(4))
