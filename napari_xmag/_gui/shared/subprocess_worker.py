"""A generator that runs in a process of its own: nothing it does can hold up the window.

Threads of one process share Python's lock, and importing PyTorch alone keeps it for most of a
second. The child is another run of this interpreter that imports no window; what the generator
yields comes back through a pipe.
"""

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import IO, Any, TypeVar

from napari_xmag.analyze.events import Waiting
from napari_xmag.errors import ConfigError
from napari_xmag.nets.memory import keep_freed_memory_of_threads
from napari_xmag.progress.heartbeat import BEAT_SECONDS

T = TypeVar("T")

_SECONDS_TO_END = 4.0
_COMMAND = (
    sys.executable,
    "-c",
    "from napari_xmag._gui.shared.subprocess_worker import serve; serve()",
)


@dataclass(frozen=True, slots=True)
class _Said:
    """Something that the generator yielded."""

    event: Any


@dataclass(frozen=True, slots=True)
class _Over:
    """The generator has ended, with an error or without."""

    error: Exception | None = None


def in_child(
    work: Callable[..., Iterator[T]],
    *arguments: object,
    stage: str,
    patience: float = _SECONDS_TO_END,
) -> Generator[T | Waiting, None, None]:
    """Yield what the generator ``work(*arguments)`` yields in a process of its own.

    Closing this generator closes that one; when it does not end in time, its process is ended, so
    it must leave whole files at any moment.

    Parameters
    ----------
    work
        A function of a module; it and its arguments are pickled, and so is what it yields.
    stage
        What the heartbeats say until the first event comes.
    patience
        How many seconds it has to end; 0 for work that never looks whether it shall.

    Raises
    ------
    ConfigError
        When the process ended without a word, as when memory ran out.
    OSError
        When there can be no further process.
    Exception
        What the generator raised.
    """
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # of a console, on Windows
    child = subprocess.Popen(
        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, creationflags=hidden
    )
    assert child.stdin is not None
    assert child.stdout is not None
    said: queue.Queue[_Said | _Over] = queue.Queue()
    reader = Thread(target=_listen, args=(child.stdout, said), daemon=True)
    reader.start()
    try:
        child.stdin.write(pickle.dumps((work, arguments)))
        child.stdin.flush()
        yield from _heard(said, Waiting(stage))
        patience = _SECONDS_TO_END  # it is over, and ends by itself
    finally:
        _end(child, patience)
        reader.join()
        child.stdout.close()


def _heard(said: "queue.Queue[_Said | _Over]", last: Any) -> Generator[Any, None, None]:
    while True:
        try:
            answer = said.get(timeout=BEAT_SECONDS)
        except queue.Empty:
            yield last if isinstance(last, Waiting) else Waiting("")
            continue
        if isinstance(answer, _Said):
            last = answer.event
            yield last
        elif answer.error is not None:
            raise answer.error
        else:
            return


def _listen(stream: IO[bytes], said: "queue.Queue[_Said | _Over]") -> None:
    """Hand on what the child says; its silence at the end is an error unless it said it is over."""
    try:
        while True:
            said.put(pickle.load(stream))  # noqa: S301 - our own child
    except (EOFError, pickle.UnpicklingError, OSError):
        said.put(
            _Over(
                ConfigError(
                    expected="the worker process to finish",
                    found="that it stopped early",
                    hint="The computer may have run out of memory: close other programs and "
                    "resume.",
                )
            )
        )


def _end(child: "subprocess.Popen[bytes]", patience: float) -> None:
    """Tell the child to end, by closing what it reads; wait, and end it if need be."""
    assert child.stdin is not None
    with suppress(OSError):  # it may be gone already
        child.stdin.close()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def serve() -> None:
    """Be the child: read what to do, do it, say what it yields."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between
    work, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent
    unwanted = Event()
    keep_freed_memory_of_threads()  # it may learn, and no other thread has begun
    Thread(target=_await_end, args=(sys.stdin.fileno(), unwanted), daemon=True).start()
    over = _Over()
    try:
        with closing(work(*arguments)) as events:
            for event in events:
                if unwanted.is_set():
                    break
                _say(answers, _Said(event))
    except Exception as error:  # noqa: BLE001 - the window tells of it
        over = _Over(_portable(error))
    _say(answers, over)


def _await_end(pipe: int, unwanted: Event) -> None:
    """Wait until the window closes this pipe: it wants an end, or has ended itself."""
    # not by `sys.stdin`: Python dies at its end where another thread still reads from that
    while os.read(pipe, 1):
        pass
    unwanted.set()


def _say(answers: IO[bytes], word: _Said | _Over) -> None:
    try:
        pickle.dump(word, answers)
        answers.flush()
    except BrokenPipeError:
        sys.exit(1)  # nobody listens


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says as much where it does not go through a pipe."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    except Exception:  # noqa: BLE001 - an error may be anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
