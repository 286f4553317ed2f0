"""Commands under a limit of memory (ulimit -v): what runs out of it ends in words.

Libraries written in C++ end the process where they get no memory. So a command that is limited runs
in a child process, which may die; the one that was started waits for it and says what happened.
"""

import os
import signal
import sys
from contextlib import suppress

from napari_xmag.errors import WorkerError

_ADVICE = "Allow more (6 GB is enough for the bundled model), or lower --workers and --batch-size."


def exit_code_of_child() -> int | None:
    """Go on in a child process where memory is limited.

    Returns
    -------
    None in the process that shall do the work; elsewhere, when that has ended, its exit code.

    Raises
    ------
    WorkerError
        When it was ended by a signal.
    """
    if memory_limit() is None or not hasattr(os, "fork"):
        return None
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    child = os.fork()
    if not child:
        _end_with_parent()
        return None
    # Ctrl-C reaches both; what it means is decided there.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _terminate(child))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGINT, before)
    if code < 0:
        raise _ended(signal.Signals(-code).name)
    return code


def memory_limit() -> int | None:
    """Return the bytes of addresses that this process may have; None for no limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else int(soft)


def ran_out(error: BaseException) -> WorkerError:
    """Return in our words that memory ran out."""
    return WorkerError(
        expected=f"enough memory{_limit_words()}",
        found=f"that memory ran out ({type(error).__name__}: {str(error)[:200]})",
        hint=_ADVICE,
        causes=(error,),
    )


def _ended(name: str) -> WorkerError:
    return WorkerError(
        expected=f"enough memory{_limit_words()}",
        found=f"that {name} ended the program, as libraries do when they cannot allocate memory",
        hint=_ADVICE,
    )


def _limit_words() -> str:
    limit = memory_limit()
    return "" if limit is None else f", of which {limit / 2**30:.3g} GB are allowed (ulimit -v)"


def _terminate(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)


def _end_with_parent() -> None:
    """Let the system end this process when the one that waits for it is killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
