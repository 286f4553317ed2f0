"""Threads of a card are warmed once each, and live as long as their engine."""

import threading

import pytest
import torch

from napari_xmag.nets.engines.card_threads import CardThreads

CPU = torch.device("cpu")


def test_every_thread_is_warmed_up_once_before_it_works() -> None:
    warmed: list[str] = []
    threads = CardThreads(CPU, 3, lambda: warmed.append(threading.current_thread().name))
    assert len(warmed) == len(set(warmed)) == 3
    all_at_once = threading.Barrier(3, timeout=60)

    def work(number: int) -> tuple[int, str]:
        all_at_once.wait()
        return number, threading.current_thread().name

    found: list[tuple[int, str]] = []
    callers = [
        threading.Thread(target=lambda n=n: found.append(threads.run(work, n))) for n in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(number for number, _ in found) == list(range(6))
    assert {name for _, name in found} == set(warmed)


def test_errors_come_out_where_they_are_waited_for() -> None:
    def fails() -> None:
        raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        CardThreads(CPU, 2, fails)
    threads = CardThreads(CPU, 2, lambda: None)
    with pytest.raises(RuntimeError, match="no such kernel"):
        threads.run(fails)
    assert threads.run(lambda: "goes on") == "goes on"
