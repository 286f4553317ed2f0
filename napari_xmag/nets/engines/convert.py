"""From a student to a graph that gives the same features; needs torch and onnxscript."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.errors import GraphError, ModelError
from napari_xmag.memory import out_of_memory
from napari_xmag.nets.device import DeviceBatch
from napari_xmag.nets.engines.graph_engine import INPUT, OUTPUT, GraphEngine
from napari_xmag.nets.engines.torch_engine import TorchEngine
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student

_log = logging.getLogger(__name__)

# What tracing and translating a network of any make is known to raise.
_CONVERSION_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    ImportError,
    MemoryError,
)
# Of a patch's feature vector. A cosine of 0.9999 would still allow 0.014.
_MOST_DIFFERENCE = 1e-3
# A graph file holds at most 2 GB (a limit of its format, protobuf).
_MOST_BYTES = 1_800_000_000
_CPU = torch.device("cpu")


class _Reading(nn.Module):
    """A student from the pixels of tiles to what a head weighs, as an engine hands it out."""

    def __init__(self, student: Student, granularity: Granularity) -> None:
        super().__init__()
        self.student = student
        self.cells = granularity == "cells"

    def forward(self, pixels: Tensor) -> Tensor:
        output = self.student(pixels.permute(0, 3, 1, 2))
        features: Tensor = (
            output.cells.flatten(2).transpose(1, 2) if self.cells else output.embedding.unsqueeze(1)
        )
        return features.float()


def convert(student: Student, granularity: Granularity, path: Path) -> None:
    """Write a student as a graph of one tile, and prove that it gives the student's features.

    Parameters
    ----------
    student
        Stays as it is.
    granularity
        What the graph gives of a tile: its embedding, or its cells.
    path
        The file to write.

    Raises
    ------
    GraphError
        When the network cannot be converted, or the graph gives other features.
    """
    begun = time.perf_counter()
    _require_small(student)
    own = deepcopy(student).to(_CPU).to(memory_format=torch.contiguous_format).float().eval()
    side = student.spec.tile_px
    tile = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), _quiet():
            # Traced by torch.export as it is, without the interpreter of Python's bytecode.
            traced = torch.export.export(_Reading(own, granularity), (tile,), strict=False)
            program = torch.onnx.export(
                traced,
                dynamo=True,
                optimize=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
        assert program is not None
        program.save(path, external_data=False)
    except _CONVERSION_ERRORS as error:
        raise _not_converted(student, error) from error
    require_same(own, granularity, path)
    _log.info("Converted the network to a graph in %.1f s", time.perf_counter() - begun)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the translators from logging each node of the graph."""
    loggers = [logging.getLogger(name) for name in ("onnx_ir", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _require_small(student: Student) -> None:
    size = sum(value.numel() * 4 for value in student.state_dict().values())
    if size > _MOST_BYTES:
        raise GraphError(
            expected=f"a network of at most {_MOST_BYTES / 1e9:.1f} GB, to convert it to a graph",
            found=f"{size / 1e9:.1f} GB",
            hint="Choose the engine torch.",
        )


def _not_converted(student: Student, error: Exception) -> ModelError:
    # Only a GraphError says something of the network, and is kept for the next time.
    reason = next(iter(str(error).splitlines()), "")
    kind = ModelError if out_of_memory(error) else GraphError
    return kind(
        expected=f"to convert {type(student.backbone).__name__} to a graph",
        found=f"that it cannot be ({type(error).__name__}: {reason})",
        hint="Choose the engine torch.",
        causes=[error],
    )


def require_same(student: Student, granularity: Granularity, graph: Path) -> None:
    """Compare a graph with its student on noise, which reaches every part of the network.

    Raises
    ------
    GraphError
        When their features differ.
    """
    side = student.spec.tile_px
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    batch = DeviceBatch(_CPU, 1, "float32")
    expected = TorchEngine(student, granularity, batch).encode(pixels)
    difference = largest_difference(expected, GraphEngine(graph).encode(pixels))
    if not difference <= _MOST_DIFFERENCE:
        raise GraphError(
            expected=f"the same features from graph and network, within {_MOST_DIFFERENCE:g}",
            found=f"a difference of {difference:.2g}",
            hint="Choose the engine torch.",
        )


def largest_difference(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return how far feature vectors (..., D) lie apart, relative to their length; the largest."""
    if expected.shape != found.shape:
        return float("inf")
    length = np.linalg.norm(expected, axis=-1)
    apart = np.linalg.norm(expected - found, axis=-1)
    return float((apart / np.maximum(length, np.finfo(np.float32).tiny)).max(initial=0.0))
