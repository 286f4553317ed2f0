"""The work that threads do for the window: generators that know neither widget nor viewer."""

import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xmag._gui.analyze.state import PatchCard
from napari_xmag._gui.shared.jobs import awaited, paced
from napari_xmag._gui.shared.torch_import import prepare_torch
from napari_xmag.analyze.engine import analyze
from napari_xmag.analyze.events import AnalyzeEvent, Waiting
from napari_xmag.analyze.heatmap import HeatMapView, view_values
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.features.store import FeatureStore
from napari_xmag.geometry import Box, Mpp
from napari_xmag.review.verdicts import PlaceReview, Verdict
from napari_xmag.slide.base import Slide
from napari_xmag.slide.given_mpp import fill_mpp
from napari_xmag.slide.metadata import slide_metadata
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import (
    TissueChoice,
    TissueMask,
    find_tissue,
    painted,
    tissue_in_polygons,
    whole_slide,
)

if TYPE_CHECKING:
    from napari_xmag.nets.model import SlideModel
    from napari_xmag.zoo import ModelEntry

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

STRIP_PATCHES = 10
STRIP_PX = 224


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A slide is open; ``slide_metadata`` says what it is, ``note`` what the user must know."""

    slide: Slide
    slide_metadata: Mapping[str, Any]
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed:
    """The models and devices of this machine."""

    models: tuple["ModelEntry", ...]
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ModelReady:
    """The model that the run uses."""

    model: "SlideModel"


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """Files by name, all written."""

    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True, eq=False)
class TissueRequest:
    """Which part of a slide to analyse, read from the widgets once.

    Attributes
    ----------
    choice
        What was chosen.
    pixels
        bool (H, W), for a painted mask.
    polygons
        Each (N, 2) as x, y in level-0 pixels, for shapes.
    """

    choice: TissueChoice
    pixels: NDArray[np.bool_] | None = None
    polygons: tuple[NDArray[np.float64], ...] = ()

    def mask(self, slide: Slide) -> TissueMask:
        """Find or make the mask; reads the slide."""
        if self.choice is TissueChoice.WHOLE:
            return whole_slide(slide)
        if self.choice is TissueChoice.REGIONS:
            return tissue_in_polygons(slide, list(self.polygons))
        if self.choice is TissueChoice.PAINTED and self.pixels is not None:
            return painted(slide, self.pixels)
        return find_tissue(slide)


@dataclass(frozen=True, slots=True, eq=False)
class AnalyzeRequest:
    """All that a run needs, read from the widgets once."""

    slide: Slide
    model: str
    settings: AnalyzeSettings
    tissue: TissueRequest


class ModelShelf:
    """Keeps the model that was loaded last, so that a second run begins at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: tuple[Path, int] | None = None
        self._model: SlideModel | None = None

    def load(self, name: str) -> "SlideModel":
        """Return the model, loading it when it is another than before, or its folder changed."""
        prepare_torch()
        from napari_xmag.zoo import find_model, load_model

        with self._lock:
            folder = find_model(name)
            wanted = folder, folder.stat().st_mtime_ns
            if self._model is None or self._loaded != wanted:
                self._model, self._loaded = load_model(folder), wanted
            return self._model


def open_for_window(
    path: Path, image: int = 1, mpp: float | None = None
) -> Generator[Waiting | Opened, None, None]:
    """Open a picture of a slide file; with ``mpp``, give it that size and remember it."""

    def opened() -> Opened:
        slide = open_slide(path, image=image)
        note = "" if mpp is None else fill_mpp(slide, Mpp(mpp, mpp))
        return Opened(slide, slide_metadata(slide), note)

    yield (yield from awaited(opened, "Opening the slide"))


def survey() -> Generator[Surveyed, None, None]:
    """List models and devices."""
    from napari_xmag.zoo import list_models

    yield Surveyed(tuple(list_models()), _devices())


def preload(shelf: ModelShelf, name: str) -> Generator[ModelReady, None, None]:
    """Load a model before it is asked for: importing PyTorch alone takes seconds.

    What finding tissue imports is loaded too, since an import holds up the window's thread.
    """
    for module in ("scipy.ndimage", "skimage.filters"):
        import_module(module)
    yield ModelReady(shelf.load(name))


def _devices() -> tuple[str, ...]:
    prepare_torch()
    import torch

    found = ["auto"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def outline(slide: Slide, request: TissueRequest) -> Generator[Waiting | TissueMask, None, None]:
    """Find the tissue, to be shown."""
    yield (yield from awaited(lambda: request.mask(slide), "Finding tissue"))


def run(
    request: AnalyzeRequest, shelf: ModelShelf
) -> Generator[ModelReady | AnalyzeEvent, None, None]:
    """Load the model, find the tissue, analyse; the last event is ``Finished``."""
    model = yield from awaited(lambda: shelf.load(request.model), "Loading the model")
    yield ModelReady(model)
    mask = None
    whole = request.tissue.choice is TissueChoice.WHOLE
    if request.tissue.choice in (TissueChoice.REGIONS, TissueChoice.PAINTED):
        mask = yield from awaited(lambda: request.tissue.mask(request.slide), "Reading the mask")
    settings = replace(request.settings, tissue=TissueChoice.WHOLE if whole else TissueChoice.AUTO)
    store = FeatureStore.of_user()
    events = analyze(request.slide, model, settings, mask=mask, store=store)
    with closing(paced(events)) as calm:
        yield from calm


def foremost(
    result: SlideResult, values: NDArray[np.floating], count: int = STRIP_PATCHES
) -> NDArray[np.int64]:
    """Return the indices of the patches with the largest values above zero, the first first.

    Of patches less than half a tile apart only the first is taken: ten pictures of one gland would
    hide all other evidence.
    """
    patches, mpp = result.patches, result.mpp
    apart = result.model["tile_px"] * result.model["mpp"] / 2
    left = np.argsort(-values, kind="stable")
    left = left[values[left] > 0]
    chosen: list[int] = []
    while len(left) and len(chosen) < count:
        first = left[0]
        chosen.append(int(first))
        across = np.abs(patches.x[left] - patches.x[first]) * mpp.x
        down = np.abs(patches.y[left] - patches.y[first]) * mpp.y
        left = left[np.maximum(across, down) >= 0.99 * apart]
    return np.array(chosen, np.int64)


def patch_box(result: SlideResult, patch: int) -> Box:
    """Return the level-0 box of a patch."""
    table = result.patches
    return Box(*(float(c[patch]) for c in (table.x, table.y, table.width, table.height)))


def picture_strip(
    slide: Slide, result: SlideResult, class_name: str
) -> Generator[Waiting | tuple[PatchCard, ...], None, None]:
    """Read pictures of the patches that speak most for a class, or are attended to most.

    The latter where no class is named.
    """
    from napari_xmag.slide.tiles import read_tiles

    view = HeatMapView.EVIDENCE if class_name else HeatMapView.RAW
    values = view_values(result, view, class_name)
    chosen = foremost(result, values)
    boxes = [patch_box(result, int(patch)) for patch in chosen]
    cards: list[PatchCard] = []
    with closing(read_tiles(slide, boxes, STRIP_PX, workers=1)) as pictures:
        for read in pictures:
            if read is None:
                yield Waiting("Reading patches")
                continue
            patch = int(chosen[read.index])
            cards.append(PatchCard(patch, read.index + 1, float(values[patch]), read.pixels))
    yield tuple(sorted(cards, key=lambda card: card.place))


def export(
    slide: Slide,
    result: SlideResult,
    folder: Path,
    origin: str,
    verdicts: Mapping[int, Verdict],
) -> Generator[Waiting | Exported, None, None]:
    """Write all exports, and the verdicts where there are some."""
    from napari_xmag.export import export_all

    def written() -> Exported:
        said = [PlaceReview(patch_box(result, p), verdict=v) for p, v in verdicts.items()]
        return Exported(export_all(slide, result, folder, origin, said))

    yield (yield from awaited(written, "Exporting"))
