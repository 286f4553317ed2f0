"""What a worker process does: one item after another, until the pool closes the pipe."""

import logging
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any

from napari_xmag.workers.messages import Ended, Ready, Said

LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


def serve(work: Callable[[Any], Iterator[Any]], pipe: Connection, log_level: int) -> None:
    """Do the work on each item that comes through the pipe; say what it yields.

    Parameters
    ----------
    work
        Returns a generator for an item.
    pipe
        Brings pairs of a key and an item; takes `Ready`, `Said` and `Ended`.
    log_level
        Of the root logger.
    """
    logging.basicConfig(level=log_level, format=LOG_FORMAT)
    # Ctrl-C reaches every process of a terminal: the pool decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    Thread(target=_die_with_parent, daemon=True).start()
    try:
        pipe.send(Ready())
        while True:
            key, item = pipe.recv()
            pipe.send(_done(work, key, item, pipe))
    except (EOFError, OSError):  # nobody listens any more
        return


def _done(work: Callable[[Any], Iterator[Any]], key: int, item: Any, pipe: Connection) -> Ended:
    try:
        with closing(work(item)) as events:  # type: ignore[type-var]
            for event in events:
                pipe.send(Said(key, event))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the pool tells of it
        return Ended(key, _portable(error))
    return Ended(key)


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says as much where it does not go through a pipe."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    except Exception:  # noqa: BLE001 - an error may be anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _leave(*_: object) -> None:
    """End as Ctrl-C would: what is half-written is removed on the way out."""
    raise SystemExit(128 + signal.SIGTERM)


def _die_with_parent() -> None:
    """Leave no orphan: a pool that was killed cannot end its workers itself."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
