"""Opens a file in a short-lived process first: if that dies, only that dies."""

import logging
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import SlideOpenError

if TYPE_CHECKING:
    from napari_xmag.geometry import Level
    from napari_xmag.slide.base import Slide

_log = logging.getLogger(__name__)

# -P: a folder of slides is no place to import from, even if somebody works in it.
_COMMAND = (sys.executable, "-P", "-c", "from napari_xmag.slide.guard.child import serve; serve()")
_SECONDS = 60.0
_MOST_BYTES = 8 * 2**30
_LIVED = 0
_REFUSED = 3
_LOOK_PX = 16


def require_survivable(path: Path) -> None:
    """Open a file in a child process; a file that was survived once is not tried again.

    Raises
    ------
    SlideOpenError
        When the child died or did not end. A file that it could not open is no such case: whoever
        opens it here says why.
    """
    stat = path.stat()
    problem = _problem(_FileState(path.absolute(), stat.st_size, stat.st_mtime_ns))
    if problem:
        raise SlideOpenError(
            expected=f"to open {path.name} safely",
            found=f"that its reader {problem}",
            hint="The file is damaged: copy it again from its source, or export it again.",
        )


@dataclass(frozen=True, slots=True)
class _FileState:
    path: Path
    size: int
    changed: int


@lru_cache(maxsize=256)
def _problem(file: _FileState) -> str:
    """Return what became of the child; empty when it ended by itself."""
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # of a console, on Windows
    try:
        done = subprocess.run(
            (*_COMMAND, str(file.path)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            creationflags=hidden,
        )
    except subprocess.TimeoutExpired:
        return f"did not finish within {_SECONDS:.0f} seconds"
    except OSError as error:
        _log.warning("No process could be started to try %s: %s", file.path, error)
        return ""
    words = done.stderr.decode("utf-8", "replace").strip()
    _log.debug("The trial of %s ended with %d: %s", file.path, done.returncode, words)
    if done.returncode in (_LIVED, _REFUSED):
        return ""
    return "crashed" + (f" ({words.splitlines()[-1]})" if words else "")


def serve() -> None:
    """Be the child: open the file, look at each level, and end."""
    from napari_xmag.slide.backends import open_any

    _limit_resources()
    try:
        with open_any(Path(sys.argv[1])) as slide:
            for level in slide.levels:
                with suppress(Exception):  # damage is for the parent to tell
                    _look_at(slide, level)
    except Exception:  # noqa: BLE001 - the parent opens it too, and tells why it cannot
        sys.exit(_REFUSED)
    sys.exit(_LIVED)


def _look_at(slide: "Slide", level: "Level") -> None:
    x, y = (max(0, side // 2 - _LOOK_PX) for side in (level.width, level.height))
    slide.read(level.box(x, y, _LOOK_PX, _LOOK_PX), level.index)


def _limit_resources() -> None:
    """Take no more memory than a slide needs, and leave no core file; where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
