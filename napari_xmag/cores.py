"""The processor's cores: how many may be used, and work that is shared among them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")

_MOST_THREADS = 4


def usable_cores() -> int:
    """Return how many cores this process may use; OMP_NUM_THREADS limits them, as in PyTorch."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed is not None else os.cpu_count() or 1
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(stated)) if stated.isdecimal() and int(stated) else cores


def in_threads(work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Call for each item what mostly leaves Python to others, on as many as four cores.

    What it raises for the first item for which it does, comes out; items not begun are dropped.
    """
    with ThreadPoolExecutor(min(_MOST_THREADS, usable_cores()), "xmag-share") as pool:
        for _ in pool.map(work, items):
            pass
