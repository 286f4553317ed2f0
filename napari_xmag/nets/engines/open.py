"""Which engine runs a network on this machine; loads torch only where it is needed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_xmag.errors import ConfigError, ExportError, GraphError, ModelError
from napari_xmag.nets.accelerators import accelerator_possible, cpu_multiplies_bfloat16
from napari_xmag.nets.engines.base import Engine, EngineChoice, PatchHead, require_head
from napari_xmag.nets.engines.graph_cache import graph_name, keep_graph, kept_graph, one_maker
from napari_xmag.nets.engines.graph_engine import GraphEngine
from napari_xmag.nets.engines.head_graph import HeadGraph
from napari_xmag.nets.engines.runtime import require_runtime
from napari_xmag.nets.heads.patch_classifier import PatchClassifier
from napari_xmag.nets.info import Granularity, Precision

if TYPE_CHECKING:
    from napari_xmag.nets.heads.abmil import AttentionHead
    from napari_xmag.nets.student import Student

_log = logging.getLogger(__name__)
_opening = Lock()


class Networks(Protocol):
    """A student, and perhaps a head, for an engine to run: in memory, or in a folder for now."""

    @property
    def granularity(self) -> Granularity:
        """What is taken of a tile."""

    @property
    def engines(self) -> "dict[object, Engine] | None":
        """The engines that were opened for them, by settings; None if the networks may change."""

    def fingerprint(self) -> str:
        """Return a hash of all that decides the student's features."""

    def student(self) -> "Student":
        """Return the student; loads torch."""

    @property
    def classifier(self) -> PatchClassifier | None:
        """What was taught by examples; None where the head is a network."""

    def head(self) -> "AttentionHead | None":
        """Return the head; loads torch."""

    def agree_with(self, graph: Path) -> bool:
        """Return whether a graph of this fingerprint gives what the student gives."""

    def head_arrays(self) -> Mapping[str, NDArray[Any]] | None:
        """Return the head's tensors by name; loads no torch that is not loaded."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a network is run.

    Parameters
    ----------
    engine
        Which one; auto takes the graph on a CPU that computes in float32, else torch. Compiled
        becomes torch, with a line in the log, where the network cannot be compiled.
    device
        As in `pick_device`.
    batch_size
        Tiles at once; found by trying when None.
    precision
        As in `pick_dtype`.
    """

    engine: EngineChoice = "auto"
    device: str = "auto"
    batch_size: int | None = None
    precision: Precision = "auto"


def open_engine(networks: Networks, settings: EngineSettings) -> Engine:
    """Open the engine that suits settings and machine.

    Where a graph is wanted and none is kept, it is made of the student, which takes some seconds,
    and kept. Networks in a folder keep their engine too, for the next slide.

    Raises
    ------
    ConfigError
        When there is no such device, or the graph engine is asked for on a GPU.
    GraphError
        When the graph engine is asked for, but cannot run the network.
    ModelError
        When the networks do not load.
    """
    kept = networks.engines
    if kept is None:
        return _open(networks, settings)
    with _opening:  # who opens ahead and who runs share the work
        if settings not in kept:
            kept[settings] = _open(networks, settings)
        return kept[settings]


def needs_torch(networks: Networks, settings: EngineSettings) -> bool:
    """Return whether to open the engine means to import torch, which takes seconds."""
    return not (_graph_suits(settings) and _has_graph(networks))


def lacks_graph(networks: Networks, settings: EngineSettings) -> bool:
    """Return whether to open the engine means to convert the network to a graph first."""
    return _graph_suits(settings) and _has_graph(networks) is False


def _has_graph(networks: Networks) -> bool | None:
    """Return whether a graph of the network is kept; None where none can be made, or run here."""
    try:
        require_runtime()
        return kept_graph(graph_name(networks.fingerprint(), networks.granularity)) is not None
    except (ModelError, ExportError):
        return None


def _open(networks: Networks, settings: EngineSettings) -> Engine:
    if not _graph_suits(settings):
        return _open_torch(networks, settings)
    try:
        require_runtime()
        graph = graph_of(networks)
        arrays = networks.head_arrays()
        head = None if arrays is None else HeadGraph(arrays)
        return GraphEngine(graph, head, settings.batch_size)
    except (ModelError, ExportError) as error:
        if settings.engine == "graph":
            raise
        _log.info("PyTorch runs the network. %s", error)
        return _open_torch(networks, settings)


def _graph_suits(settings: EngineSettings) -> bool:
    if settings.engine in ("torch", "compiled"):
        return False
    asked = settings.engine == "graph"
    if settings.device == "auto" and asked:
        return True
    if settings.device != "cpu" and not (settings.device == "auto" and not accelerator_possible()):
        from napari_xmag.nets.device import pick_device

        if pick_device(settings.device).type != "cpu":
            return _refused(asked, f"the device {settings.device}", "runs on the CPU")
    return asked or settings.precision == "float32" or not cpu_multiplies_bfloat16()


def _refused(asked: bool, found: str, does: str) -> bool:
    if asked:
        raise ConfigError(
            expected=f"settings of the engine graph, which {does}",
            found=found,
            hint="Leave the engine on auto.",
        )
    return False


def open_head(networks: Networks) -> PatchHead:
    """Open the head alone, to score features that are kept; quickly, without torch if it can be.

    Raises
    ------
    ModelError
        When there is none, or it does not load.
    """
    if networks.classifier is not None:
        return networks.classifier
    arrays = require_head(networks.head_arrays())
    try:
        return HeadGraph(arrays)
    except GraphError as error:
        _log.info("PyTorch runs the head. %s", error)
    from napari_xmag.nets.engines.torch_engine import TorchHead

    return TorchHead(require_head(networks.head()))


def graph_of(networks: Networks) -> Path:
    """Return the graph of a student: the one that is kept, or one that is made now and kept.

    Raises
    ------
    GraphError
        When the network cannot be converted.
    ExportError
        When the graph cannot be written.
    """
    name = graph_name(networks.fingerprint(), networks.granularity)
    kept = _agreed(name, networks)
    if kept is not None:
        return kept
    from napari_xmag.nets.engines.convert import convert

    with one_maker(name):
        kept = _agreed(name, networks)
        if kept is not None:
            return kept
        _log.info("Converting the network for this CPU, once")
        return keep_graph(name, partial(convert, networks.student(), networks.granularity))


def _agreed(name: str, networks: Networks) -> Path | None:
    kept = kept_graph(name)
    return kept if kept is not None and networks.agree_with(kept) else None


def _open_torch(networks: Networks, settings: EngineSettings) -> Engine:
    from napari_xmag.nets.device import DeviceBatch, pick_device, ready_on
    from napari_xmag.nets.engines.torch_engine import TorchEngine

    device = pick_device(settings.device)
    student = ready_on(networks.student(), device)
    if settings.batch_size is None:
        batch = DeviceBatch.find(student, device, settings.precision)
    else:
        batch = DeviceBatch(device, settings.batch_size, settings.precision)
    head = networks.head()
    if settings.engine == "compiled":
        from napari_xmag.nets.engines.compiled import compiled

        fast = compiled(student, networks.granularity, batch)
        if fast is not None:
            return TorchEngine(fast, networks.granularity, batch, head, "compiled")
    return TorchEngine(student, networks.granularity, batch, head)
