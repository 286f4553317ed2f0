"""The work that threads do for the window: generators that know neither widget nor viewer."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag._gui.analyze.state import PatchCard
from napari_xmag._gui.analyze.tissue.request import TissueRequest
from napari_xmag._gui.shared.import_ahead import import_ahead
from napari_xmag._gui.shared.jobs import awaited, paced
from napari_xmag._gui.shared.torch_import import prepare_torch
from napari_xmag.analyze import tissue_used
from napari_xmag.analyze.encoder import open_ahead
from napari_xmag.analyze.engine import analyze
from napari_xmag.analyze.events import AnalyzeEvent, SlideFinished, Waiting
from napari_xmag.analyze.heatmap import MapLook
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import ResultError
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.accelerators import accelerator_possible
from napari_xmag.result_keys import with_drawn
from napari_xmag.review.evidence import Foremost, foremost
from napari_xmag.review.store import ReviewStore, SavedResult, ViewState
from napari_xmag.review.verdicts import PlaceReview
from napari_xmag.slide.associated_images import read_associated_images
from napari_xmag.slide.base import Slide
from napari_xmag.slide.small_picture import small_picture
from napari_xmag.slide.tissue import TissueChoice, TissueMask

if TYPE_CHECKING:
    from napari_xmag.nets.folders.stored import StoredModel
    from napari_xmag.zoo import ModelEntry


STRIP_PX = 224
OVERVIEW_PX = 640


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed:
    """The models and devices of this machine."""

    models: tuple["ModelEntry", ...]
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ModelReady:
    """The model that the run uses."""

    model: "StoredModel"


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """Files by name, all written."""

    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True, eq=False)
class AnalyzeRequest:
    """All that a run needs, read from the widgets once."""

    slide: Slide
    model: str
    settings: AnalyzeSettings
    tissue: TissueRequest


class ModelShelf:
    """Keeps the model that was opened last, so that a second run begins at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._opened: tuple[Path, int] | None = None
        self._model: StoredModel | None = None

    def open(self, name: str) -> "StoredModel":
        """Return the model, opened anew when it is another than before, or its folder changed.

        Its networks are loaded when they are needed: a graph that is kept needs no PyTorch.
        """
        prepare_torch()
        from napari_xmag.zoo import find_model, open_model

        with self._lock:
            folder = find_model(name)
            wanted = folder, folder.stat().st_mtime_ns
            if self._model is None or self._opened != wanted:
                self._model, self._opened = open_model(folder), wanted
            return self._model


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """How slides are analyzed: the chosen model and settings, and where models are kept."""

    model: str
    settings: AnalyzeSettings
    shelf: ModelShelf


def survey() -> Generator[Surveyed, None, None]:
    """List models and devices."""
    from napari_xmag.zoo import list_models

    yield Surveyed(tuple(list_models()), _devices())


def preload(shelf: ModelShelf, name: str) -> Generator[ModelReady, None, None]:
    """Load a model before it is asked for, and what napari will import at the first slide."""
    import_ahead()
    model = shelf.open(name)
    open_ahead(model, AnalyzeSettings())
    yield ModelReady(model)


def _devices() -> tuple[str, ...]:
    if not accelerator_possible():
        return "auto", "cpu"
    prepare_torch()
    import torch

    found = ["auto"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """A small picture of a slide, uint8 (H, W, 3), or None where there is none."""

    pixels: NDArray[np.uint8] | None


def overview(slide: Slide) -> Generator[Waiting | Pictured, None, None]:
    """Read a small picture of a slide."""
    pixels = yield from awaited(lambda: small_picture(slide, OVERVIEW_PX), "Reading the overview")
    yield Pictured(pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """The pictures beside a slide in its file by name, uint8 (H, W, 3) each."""

    pictures: Mapping[str, NDArray[np.uint8]]


def label_and_macro(path: Path) -> Generator[Waiting | Beside, None, None]:
    """Read label and macro picture."""
    yield Beside((yield from awaited(lambda: read_associated_images(path), "Reading the label")))


def outline(slide: Slide, request: TissueRequest) -> Generator[Waiting | TissueMask, None, None]:
    """Find the tissue, to be shown."""
    yield (yield from awaited(lambda: request.mask(slide), "Finding tissue"))


def tissue_again(
    slide: Slide, result: SlideResult, regions: Sequence[NDArray[np.float64]]
) -> Generator[Waiting | TissueMask, None, None]:
    """Find the tissue of an earlier result again, where it can be the same."""
    found = yield from awaited(
        lambda: tissue_used.tissue_again(slide, result, regions), "Finding the tissue"
    )
    if found is not None:
        yield found


def run(
    request: AnalyzeRequest, shelf: ModelShelf, *, live: bool = True
) -> Generator[ModelReady | AnalyzeEvent, None, None]:
    """Open the model, find the tissue, analyze; the last event is `SlideFinished`.

    Parameters
    ----------
    live
        Whether the map is shown as it grows.
    """
    model = yield from awaited(lambda: shelf.open(request.model), "Opening the model")
    yield ModelReady(model)
    mask = None
    whole = request.tissue.choice is TissueChoice.WHOLE
    if request.tissue.choice in (TissueChoice.REGIONS, TissueChoice.PAINTED):
        mask = yield from awaited(lambda: request.tissue.mask(request.slide), "Reading the mask")
    settings = replace(request.settings, tissue=TissueChoice.WHOLE if whole else TissueChoice.AUTO)
    store = FeatureStore.of_user()
    events = analyze(request.slide, model, settings, mask=mask, store=store, live=live)
    with closing(paced(events)) as calm:
        for event in calm:
            if isinstance(event, SlideFinished) and mask is not None:
                settings_used = with_drawn(event.result.settings, request.tissue.digest)
                yield SlideFinished(replace(event.result, settings=settings_used))
            else:
                yield event


def picture_strip(
    slide: Slide, result: SlideResult, class_name: str
) -> Generator[Waiting | Foremost | tuple[PatchCard, ...], None, None]:
    """Choose the patches that speak most for a class, and read their pictures.

    Where no class is named, those with the most attention.
    """
    from napari_xmag.slide.tiles import read_tiles

    chosen = foremost(result, class_name)
    yield chosen
    boxes = [result.patches.box(int(patch)) for patch in chosen.patches]
    cards: list[PatchCard] = []
    with closing(read_tiles(slide, boxes, STRIP_PX, workers=1)) as pictures:
        for read in pictures:
            if read is None:
                yield Waiting("Reading patches")
                continue
            patch, value = int(chosen.patches[read.index]), float(chosen.values[read.index])
            cards.append(PatchCard(patch, read.index + 1, value, read.pixels))
    yield tuple(sorted(cards, key=lambda card: card.place))


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A result was saved, as ``id``, or one was removed; ``saved`` are all that are kept now."""

    saved: tuple[SavedResult, ...]
    id: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """What was saved of a slide: its results, the one that was shown last, and how.

    Where that one is damaged, the newest whole one stands for it; ``damage`` says what is wrong.
    """

    saved: tuple[SavedResult, ...]
    id: str
    result: SlideResult | None
    view: ViewState
    regions: tuple[NDArray[np.float64], ...]
    damage: tuple[ResultError, ...] = ()


def restore(store: ReviewStore) -> Generator[Waiting | Restored, None, None]:
    """Read what was saved of a slide."""

    def read() -> Restored:
        view, saved = store.view(), store.results()
        known = [item.id for item in saved]
        wanted = store.result_folder(view.result).name  # it may have been run again since
        known.sort(key=lambda name: name != wanted)
        shown, result, damage = _first_whole(store, known)
        return Restored(saved, shown, result, view, store.regions(), damage)

    yield (yield from awaited(read, "Loading saved results"))


def _first_whole(
    store: ReviewStore, ids: Sequence[str]
) -> tuple[str, SlideResult | None, tuple[ResultError, ...]]:
    """Load the first result that can be read; say what is wrong with those before it."""
    damage: list[ResultError] = []
    for name in ids:
        try:
            return name, store.load_result(name), tuple(damage)
        except ResultError as error:
            damage.append(error)
    return "", None, tuple(damage)


def keep_result(store: ReviewStore, result: SlideResult) -> Generator[Waiting | Saved, None, None]:
    """Save a result beside the others of its slide."""

    def keep() -> Saved:
        name = store.save_result(result)
        return Saved(store.results(), name)

    yield (yield from awaited(keep, "Saving the result"))


def delete_result(store: ReviewStore, result_id: str) -> Generator[Waiting | Saved, None, None]:
    """Remove a saved result."""

    def delete() -> Saved:
        store.delete_result(result_id)
        return Saved(store.results())

    yield (yield from awaited(delete, "Deleting the result"))


def load_result(store: ReviewStore, result_id: str) -> Generator[Waiting | SlideResult, None, None]:
    """Load a saved result."""
    yield (yield from awaited(lambda: store.load_result(result_id), "Reading the result"))


def export(
    slide: Slide,
    result: SlideResult,
    folder: Path,
    origin: str,
    store: ReviewStore | None,
    shown: tuple[MapLook, TissueMask | None],
) -> Generator[Waiting | Exported, None, None]:
    """Write all exports, with the marks of the review; the picture is the map that is shown."""
    from napari_xmag.export import export_all

    def written() -> Exported:
        said = () if store is None else tuple(store.last_said().values())
        look, mask = shown
        files = export_all(slide, result, folder, origin, said, look, mask)
        return Exported(files)

    yield (yield from awaited(written, "Exporting"))


@dataclass(frozen=True, slots=True, eq=False)
class ReportRequest:
    """All that a report needs, read from the window once; see `write_report`."""

    slide: Slide
    result: SlideResult
    reviews: Sequence[PlaceReview]
    look: MapLook
    reviewer: str
    folder: Path
    mask: TissueMask | None = None


def report(request: ReportRequest) -> Generator[Waiting | Exported, None, None]:
    """Write a report of a slide."""
    from napari_xmag.report.write import write_report

    def written() -> Exported:
        files = write_report(
            request.slide,
            request.result,
            request.folder,
            request.reviews,
            look=request.look,
            reviewer=request.reviewer,
            mask=request.mask,
        )
        return Exported(files)

    yield (yield from awaited(written, "Writing the report"))
