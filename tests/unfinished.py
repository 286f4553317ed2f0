"""What processes leave that are still writing, or were killed."""

import os
from pathlib import Path

from napari_xmag import leftovers
from napari_xmag.leftovers import owner, part_of

NO_PROCESS = 999_999_999
"""A number that no process has."""


def half_written(folder: Path, process: int) -> Path:
    """Make a folder as a process of this machine has it while it writes; nobody looked at it."""
    part = part_of(folder / "something")
    leftovers._looked_at.discard(folder)
    if process != os.getpid():
        host = owner().partition(".")[0]
        part = part.with_name(part.name.replace(owner(), f"{host}.{process}.0a1b2c"))
    part.mkdir(parents=True)
    (part / "graph.onnx").write_bytes(b"half")
    return part
