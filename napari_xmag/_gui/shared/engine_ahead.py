"""Makes a network ready for the window's process without PyTorch in it, where that can be."""

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

from napari_xmag._gui.shared.subprocess_worker import in_child
from napari_xmag._gui.shared.torch_import import prepare_torch
from napari_xmag.analyze.events import Waiting
from napari_xmag.nets.accelerators import accelerator_possible
from napari_xmag.nets.engines.open import EngineSettings, graph_of, lacks_graph, needs_torch
from napari_xmag.nets.folders.stored import StoredModel

_log = logging.getLogger(__name__)


def engine_ahead(model: StoredModel, settings: EngineSettings) -> Generator[Waiting, None, None]:
    """Prepare for an engine to be opened; where the network is to be converted, let a child do it.

    PyTorch and what it leaves behind take a gigabyte of memory, and importing it holds the window
    up. Once the graph is kept, this process needs neither.
    """
    if accelerator_possible():
        prepare_torch()
    if lacks_graph(model, settings):
        try:
            yield from _converted(model.content.folder)
        except Exception as error:  # noqa: BLE001 - who opens the engine meets it, or has PyTorch
            words = str(error) or type(error).__name__
            _log.info("The network was not converted in a process of its own. %s", words)
    if needs_torch(model, settings):
        prepare_torch()


def _converted(folder: Path) -> Generator[Waiting, None, None]:
    stage = "Converting the network, once"
    with closing(in_child(make_graph, folder, stage=stage, patience=0)) as made:
        for event in made:
            if isinstance(event, Waiting):
                yield event


def make_graph(folder: Path) -> Iterator[Path]:
    """Convert the network of a model folder and keep the graph; yield its file."""
    yield graph_of(StoredModel.open(folder))
