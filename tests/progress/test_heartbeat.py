"""Long steps still answer, whatever they do, and end where they are told to."""

import threading
from collections.abc import Generator

import pytest

from napari_xmag.progress import heartbeat
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import (
    ProgressMeter,
    Steps,
    finish,
    over_items,
    run_steps,
    run_with_progress,
)
from tests.listener import Clock, Listener


def nothing() -> str:
    return "done"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(heartbeat, "time", made)
    return made


def test_a_slow_step_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    listener.slow_down(monkeypatch, f"{__name__}.nothing")
    meter = ProgressMeter(Stage.TEACHER, 7, "fields", item="S12: A.svs")
    assert listener.listen(run_with_progress(lambda: nothing(), meter)) == "done"
    assert listener.called
    assert not listener.silent
    first = listener.events[0]
    assert isinstance(first, Progress)
    assert (first.stage, first.done, first.total) == (Stage.TEACHER, 0, 7)
    assert (first.unit, first.item) == ("fields", "S12: A.svs")


def test_short_steps_share_an_event(clock: Clock) -> None:
    meter, events = ProgressMeter(Stage.HEAD, 100, "slides"), []
    for _ in range(100):
        clock.now += 0.01
        meter.add(1)
        events += list(run_with_progress(nothing, meter))
    assert 3 <= len(events) <= 4
    assert events[-1].per_second == pytest.approx(100)
    assert events[-1].seconds_left == pytest.approx((100 - events[-1].done) / 100)


def test_what_was_done_before_says_nothing_of_the_rate(clock: Clock) -> None:
    meter = ProgressMeter(Stage.HEAD, 100, "slides")
    meter.begin(50, 6, 10)
    clock.now += 10
    meter.add(20)
    event = meter.event()
    assert (event.done, event.epoch, event.epochs) == (70, 6, 10)
    assert event.per_second == pytest.approx(2)
    assert event.seconds_left == pytest.approx(15)


def test_the_error_of_a_step_is_raised_here() -> None:
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        finish(run_with_progress(broken, ProgressMeter(Stage.HEAD)))


def three_steps(seen: list[str]) -> Steps[str]:
    try:
        for number in range(3):
            seen.append(f"{number} in {threading.current_thread().name.split('_')[0]}")
            yield 10
    finally:
        seen.append("closed")
    return "all"


def test_steps_run_in_the_thread_and_are_counted() -> None:
    seen: list[str] = []
    meter = ProgressMeter(Stage.RESAMPLING, 30, "resamples")
    assert finish(run_steps(three_steps(seen), meter)) == "all"
    assert seen == ["0 in xmag-step", "1 in xmag-step", "2 in xmag-step", "closed"]
    assert meter.done == 30


def test_steps_are_heard_of_and_end_after_the_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    released = threading.Event()

    def held() -> Steps[None]:
        for number in range(3):
            seen.append(str(number))
            assert released.wait(60)
            yield 1

    events = run_steps(held(), ProgressMeter(Stage.RESAMPLING, 3))
    assert isinstance(next(events), Progress)
    assert isinstance(next(events), Progress)
    assert seen == ["0"]
    released.set()
    events.close()
    assert seen == ["0"]


def test_items_are_numbered_and_the_time_for_all_of_them_is_told(clock: Clock) -> None:
    def work(name: str) -> Generator[Progress, None, str]:
        clock.now += 5
        yield Progress(Stage.ENCODING, 5, 10, "tiles", item=name)
        clock.now += 5
        return name.upper()

    listener = Listener()
    results = listener.listen(over_items(Stage.ENCODING, ["a", "b", "c", "d"], work))
    assert results == ["A", "B", "C", "D"]
    told = listener.events
    halves = [event for event in told if event.item]
    assert [(event.item, event.number, event.items) for event in halves] == [
        ("a", 1, 4), ("b", 2, 4), ("c", 3, 4), ("d", 4, 4),
    ]  # fmt: skip
    assert [event.seconds_left for event in halves] == pytest.approx([35, 25, 15, 5])
    assert told[-1].share == 1


def test_items_that_say_nothing_are_heard_of_too(clock: Clock) -> None:
    def silent(_: int) -> Generator[Progress, None, None]:
        clock.now += 0.01
        return
        yield

    told = list(over_items(Stage.ENCODING, range(300), silent))
    assert 9 <= len(told) <= 13
    assert told[-1].number == 300


def test_closing_closes_the_item_that_is_under_way() -> None:
    closed = []

    def work(name: str) -> Generator[Progress, None, None]:
        try:
            yield Progress(Stage.ENCODING, 0, 1)
        finally:
            closed.append(name)

    events = over_items(Stage.ENCODING, ["a", "b"], work)
    next(events)
    events.close()
    assert closed == ["a"]
