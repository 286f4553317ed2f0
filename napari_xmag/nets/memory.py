"""Memory that a computation on the CPU frees: kept for the next one, or given back."""

import ctypes
import functools
import logging
import sys

_log = logging.getLogger(__name__)

# Numbers and meanings of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 1 << 30  # bytes


@functools.cache
def keep_freed_memory() -> bool:
    """Ask the C library to keep up to 1 GiB of freed memory instead of returning it at once.

    glibc maps each large array anew and unmaps it when it is freed, so that every activation of a
    network costs page faults: a fifth of the time of encoding (docs/trials.md). Done once for
    the process; where there is no glibc, nothing is done.

    Returns
    -------
    Whether the C library agreed.
    """
    agreed = _set(_MMAP_THRESHOLD, _KEPT) and _set(_TRIM_THRESHOLD, _KEPT)
    _log.debug("Freed memory is %s", "kept" if agreed else "not kept")
    return agreed


@functools.cache
def keep_freed_memory_of_threads() -> bool:
    """Do as `keep_freed_memory`, for arrays of more than 64 MB in other threads too.

    glibc gives each thread memory of its own, in pieces of at most 64 MB: what is larger, such as
    the activations of a training step, is mapped anew whatever is kept, a third of the step's time
    (docs/trials.md). Call it in a process that learns before other threads begin; those that are
    there keep their own memory.

    Returns
    -------
    Whether the C library agreed.
    """
    return _set(_ARENA_MAX, 1) and keep_freed_memory()


def _set(name: int, value: int) -> bool:
    """Set one of mallopt's numbers; return whether that could be done."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt is not None and mallopt(name, value))


def give_freed_memory_back() -> bool:
    """Return to the system what is free now, where long work has ended in a window that goes on.

    Converting a network and encoding a large slide leave more than half a GB free but taken, in
    pieces between what is in use. Where there is no glibc, nothing is done.

    Returns
    -------
    Whether there was something to return.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim is not None and trim(0))
