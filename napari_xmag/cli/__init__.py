"""The command line: ``napari-xmag analyze | models | train | distill | …``, see ``COMMANDS``."""

import argparse
import io
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NoReturn, TextIO

from napari_xmag._about import NOTICE, __version__
from napari_xmag.cli.limited import exit_code_of_child, ran_out
from napari_xmag.errors import CohortError, ConfigError, WorkerError, XmagError
from napari_xmag.memory import out_of_memory

COMMANDS = (
    *("analyze", "features", "worklist", "report", "open", "models", "distill"),
    *("train", "examples", "evaluate", "teach", "qupath", "doctor"),
)
"""Modules of this package; each has ``add_parser(subparsers)`` and ``run(args)``."""

CANCELLED = 130
"""What shells expect of a program that was ended with Ctrl-C."""

PIPE_CLOSED = 141
"""What shells see of a program whose reader, such as ``head``, has read enough."""

_CHOICES = ("COMMAND", "STEP", "KIND")
"""How the help calls what stands for a command, or for one below it."""

_log = logging.getLogger(__name__)


class _Parser(argparse.ArgumentParser):
    """Answers a command that lacks the one below it with those that there are."""

    def error(self, message: str) -> NoReturn:
        if message.endswith(_CHOICES):
            self.print_help(sys.stderr)
            self.exit(2)
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        As on the command line, without the program's name; those of the process when None.

    Returns
    -------
    0 when all was done, 1 when something failed (it was named), 2 for wrong usage, 130 after
    Ctrl-C or SIGTERM, 141 when whoever reads the output has gone.
    """
    _escape_what_cannot_be_encoded()
    try:
        try:
            return _run(arguments)
        finally:  # here, as Python would only complain of what it cannot write at its end
            for stream in _outputs():
                stream.flush()
    except BrokenPipeError:
        if not _drop_closed_outputs():
            raise
        return PIPE_CLOSED


def _run(arguments: Sequence[str] | None) -> int:
    args = build_parser().parse_args(arguments)
    try:
        if (code := exit_code_of_child()) is not None:
            return code
    except WorkerError as error:
        return _refused(args, error)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(args.verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    try:
        with _terminated_like_cancelled():
            return int(args.run(args))
    except KeyboardInterrupt:
        print("\nCancelled. No incomplete files were left behind.", file=sys.stderr)
        return CANCELLED
    except XmagError as error:
        return _refused(args, error)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return _refused(args, ran_out(error))


def _refused(args: argparse.Namespace, error: XmagError) -> int:
    _log.info("%s", error.details())
    print(f"napari-xmag {args.command}: {error}", file=sys.stderr)
    return 2 if isinstance(error, CohortError | ConfigError) else 1


def _outputs() -> list[TextIO]:
    """Return standard output and error; a program without a console has none."""
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def _escape_what_cannot_be_encoded() -> None:
    """Let no name of a slide end a run because a code page lacks its letters."""
    for stream in _outputs():
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_closed_outputs() -> bool:
    """Send what nobody reads any more to nowhere; return whether there was such a thing."""
    closed = [stream for stream in _outputs() if _is_closed(stream)]
    for stream in closed:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    return bool(closed)


def _is_closed(stream: TextIO) -> bool:
    """Return whether nobody reads what a pipe is written to."""
    try:
        stream.flush()
        handle = stream.fileno()
    except BrokenPipeError:
        return True
    except (OSError, ValueError):  # it is no file
        return False
    if not hasattr(select, "poll"):
        return False
    # what is written at once, unbuffered, is gone and cannot fail again
    pipe = select.poll()
    pipe.register(handle, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in pipe.poll(0))


@contextmanager
def _terminated_like_cancelled() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: whole files, and no process left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; importing them loads no torch."""
    parser = _Parser(
        prog="napari-xmag",
        description=f"Whole-slide analysis with a compact student at 5x. {NOTICE}",
        epilog="Help on a command: napari-xmag COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"napari-xmag {__version__}")
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="more log messages (-vv for all of them)",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"napari_xmag.cli.{name}").add_parser(subparsers)
    return parser
