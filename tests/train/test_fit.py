"""The loop: schedule, moving average, events, reproducible, stoppable."""

import time
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from napari_xmag.errors import ConfigError
from napari_xmag.train.events import EpochDone, Progress
from napari_xmag.train.fit import Fit, FitConfig, parameter_groups, warmup_cosine


class Line(nn.Module):
    """Fits y = 3 x."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seconds = seconds

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        time.sleep(self.seconds)
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


def test_slow_steps_still_give_two_events_a_second() -> None:
    runner = fit(Line(seconds=0.8), epochs=1)
    last = begun = time.monotonic()
    gaps = []
    for event in runner.run(lambda epoch: iter([torch.ones(2)] * 2)):
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
        assert isinstance(event, Progress | EpochDone)
    assert last - begun > 1.5
    assert max(gaps) < 0.5


def test_closing_stops_before_the_next_step() -> None:
    seen = []

    def watched(epoch: int) -> Iterator[Tensor]:
        for number in range(100):
            seen.append(number)
            yield torch.ones(2)

    events = fit(Line(seconds=0.6), epochs=1).run(watched)
    next(events)
    events.close()
    time.sleep(0.7)
    assert seen == [0]


def test_an_infinite_loss_is_refused_and_the_weights_stay() -> None:
    task = Line()
    with pytest.raises(ConfigError, match="step 0"):
        list(fit(task).run(lambda epoch: iter([torch.tensor([float("nan")])])))
    assert task.weight.item() == 0


def test_many_short_steps_give_events_too() -> None:
    runner = Fit(Line(seconds=0.02), FitConfig(epochs=1), 60, nullcontext)
    events = list(runner.run(lambda epoch: iter([torch.ones(2)] * 60)))
    beats = [event for event in events if isinstance(event, Progress)]
    assert 3 <= len(beats) < 30
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
