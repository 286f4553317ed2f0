"""ONNX Runtime, in which graphs run on the CPU."""

import functools
from pathlib import Path
from typing import Any

from napari_xmag.errors import GraphError
from napari_xmag.memory import out_of_memory


@functools.cache
def require_runtime() -> Any:
    """Return the package onnxruntime, with its telemetry off.

    Raises
    ------
    GraphError
        When it cannot be imported.
    """
    try:
        import onnxruntime
    except (ImportError, OSError) as error:  # the package, or a library that it loads
        raise GraphError(
            expected="ONNX Runtime, in which networks run faster on a CPU",
            found=f"that it cannot be imported ({error})",
            hint="Free or allow more memory."
            if out_of_memory(error)
            else "Install it: pip install onnxruntime onnxscript",
            causes=[error],
        ) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime


@functools.cache
def runtime_errors() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises: a type for each of its states, no common base."""
    require_runtime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [kind for kind in vars(state).values() if isinstance(kind, type)]
    return (RuntimeError, *(kind for kind in found if issubclass(kind, Exception)))


def open_session(graph: Path | bytes, *, threads: int = 1) -> Any:
    """Return an ONNX Runtime session that computes on the CPU.

    Parameters
    ----------
    graph
        An ONNX file, or what would be in one.
    threads
        How many cores work on one tile.

    Raises
    ------
    GraphError
        When ONNX Runtime is missing or cannot run the graph.
    """
    runtime = require_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors are raised, and nobody reads the rest
    # waiting threads would take the cores from those that read tiles
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        raise GraphError(
            expected="a graph that ONNX Runtime can run",
            found=str(error),
            hint="Choose the engine torch.",
            causes=[error],
        ) from error
