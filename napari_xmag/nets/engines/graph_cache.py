"""Graphs that were converted once, kept for the next run; needs no torch."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock

from napari_xmag.errors import GraphError
from napari_xmag.filenames import ABOUT
from napari_xmag.files import parse_json, whole_folder, write_json
from napari_xmag.folders import cache_folder
from napari_xmag.nets.folders.folder import file_sha256
from napari_xmag.nets.info import Granularity

_log = logging.getLogger(__name__)

_GRAPH = "graph.onnx"
# Goes up whenever graphs are made in another way.
_FORMAT = 1
# What can change a graph, or what it gives.
_MAKERS = ("onnxruntime", "onnxscript", "timm", "torch")
_MOST_BYTES = 2 * 2**30


def graphs_folder() -> Path:
    """Return where graphs are kept."""
    return cache_folder() / "graphs"


def graph_name(encoder: str, granularity: Granularity) -> str:
    """Return the name of a graph: a hash of all that decides what it gives.

    Parameters
    ----------
    encoder
        Fingerprint of the student.
    granularity
        What the graph gives of a tile.
    """
    makers = [(package, _version(package)) for package in _MAKERS]
    return hashlib.sha256(repr((_FORMAT, encoder, granularity, makers)).encode()).hexdigest()[:32]


def kept_graph(name: str) -> Path | None:
    """Return the file of a graph that is kept and unaltered; None where there is none.

    Raises
    ------
    GraphError
        When it is known that the network cannot be converted.
    """
    folder = graphs_folder() / name
    about = _about(folder)
    if about is None:
        return None
    if "refused" in about:
        raise GraphError(
            expected="a network that can be converted to a graph",
            found=f"that it could not be: {about['refused']}",
            hint="Choose the engine torch.",
        )
    if about.get("sha256") != file_sha256(folder / _GRAPH):
        _log.warning("The graph in %s was altered: it will be made anew", folder)
        return None
    with suppress(OSError):  # a cache that others wrote for us may be read-only
        os.utime(folder)  # for `_forget_oldest`
    return folder / _GRAPH


def _about(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a graph; None where there is none, or not all of it."""
    try:
        about: Any = parse_json((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(about, dict):
        return None
    complete = "refused" in about or (folder / _GRAPH).is_file()
    return about if complete else None


def keep_graph(name: str, write: Callable[[Path], None]) -> Path:
    """Let a graph be written and keep it, whole or not at all; return its file.

    Parameters
    ----------
    write
        Writes the graph to the path that it is given.

    Raises
    ------
    GraphError
        When the network cannot be converted; that is kept too, so that nobody tries again in vain.
    ExportError
        When the folder cannot be written.
    """
    folder = graphs_folder() / name
    facts = {package: _version(package) for package in _MAKERS}
    try:
        with whole_folder(folder) as part:
            write(part / _GRAPH)
            about = {"sha256": file_sha256(part / _GRAPH), "made_with": facts}
            write_json(part / ABOUT, about)
    except GraphError as error:
        write_json(folder / ABOUT, {"refused": error.found, "made_with": facts})
        raise
    _forget_oldest(keep=folder)
    return folder / _GRAPH


@contextmanager
def one_maker(name: str) -> Iterator[None]:
    """Let one process at a time make a graph: those that waited find it kept."""
    lock = graphs_folder() / f".{name}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock).acquire()
    except OSError:  # a cache that others wrote for us may be read-only
        yield
        return
    with held:
        yield


def _forget_oldest(keep: Path) -> None:
    """Remove the graphs that were not used for longest while all take more than 2 GiB."""
    taken = 0
    for _, folder, size in sorted(_kept(), reverse=True):
        taken += size
        if taken > _MOST_BYTES and folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            _log.info("Removed %s: not used for long", folder)


def _kept() -> Iterator[tuple[float, Path, int]]:
    """Yield when each graph was used last, where it lies and how large it is."""
    for folder in graphs_folder().glob("[!.]*"):
        with suppress(OSError):  # another process may have removed it just now
            yield folder.stat().st_mtime, folder, (folder / _GRAPH).stat().st_size


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
