"""The work that threads do for Teach: generators that know neither widget nor viewer."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag._gui.shared.engine_ahead import engine_ahead
from napari_xmag._gui.shared.import_ahead import import_ahead
from napari_xmag._gui.shared.jobs import awaited, in_turn
from napari_xmag._gui.teach.state import SuggestedPatch
from napari_xmag.analyze.encoder import engine_settings
from napari_xmag.analyze.events import AnalyzeEvent, Waiting
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.batch.models import opened_model
from napari_xmag.errors import ModelError, TeachError
from napari_xmag.export.result_folders import free_name, result_name
from napari_xmag.features.store import FeatureStore
from napari_xmag.filenames import AREAS, CLASS_OUTLINES, EXAMPLES
from napari_xmag.geometry import Box, Mpp
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.memory import give_freed_memory_back
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.qupath.planes import shown_plane
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.teach.annotations import (
    AnnotatedLesson,
    example_features,
    map_features,
    read_examples,
    write_annotations,
)
from napari_xmag.teach.areas import ClassArea, area_steps, areas, write_areas
from napari_xmag.teach.classifier import Learner, Taught
from napari_xmag.teach.encode import ReadySlide, encoded_slide, kept_slide
from napari_xmag.teach.estimate import Estimate, estimate_steps
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.model_folder import save_taught_model
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.picture import MapGround, class_picture, likeness_picture
from napari_xmag.teach.prepared import PreparedSlide, kept_slides
from napari_xmag.teach.session import TeachRequest
from napari_xmag.teach.suggest import find_similar, suggest

if TYPE_CHECKING:
    from napari_xmag.zoo import ModelEntry

SUGGESTIONS = 12
SUGGESTION_PX = 224
SUGGEST_AFTER, ESTIMATE_AFTER = 0.2, 0.8
"""Seconds of rest after a map was found: the window paints it first, and a next click may come."""

_RECENT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Encoders:
    """The models of this machine that can be used."""

    models: tuple["ModelEntry", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A slide can be taught on."""

    prepared: PreparedSlide
    ground: MapGround

    @classmethod
    def of(cls, ready: ReadySlide) -> "Encoded":
        """Lay the patches over the tissue."""
        return cls(ready.prepared, MapGround.of(ready.prepared.map_grid, ready.mask))


@dataclass(frozen=True, slots=True)
class _EncodedKey:
    """All that decides what `encode` finds."""

    slide: SlideId
    mpp: Mpp
    model: str
    finer: bool

    @classmethod
    def of(cls, slide: Slide, model: "ModelEntry", *, finer: bool) -> "_EncodedKey":
        image = slide.image.index
        of = SlideId(slide_fingerprint(slide.path, image), image)
        return cls(of, require_mpp(slide), model.info.sha256 if model.info else "", finer)


class RecentlyEncoded:
    """The slides that were encoded last: one that is opened again is mapped at once."""

    def __init__(self) -> None:
        self._slides: dict[_EncodedKey, Encoded] = {}

    def find(self, key: _EncodedKey) -> Encoded | None:
        """Return a slide, if it is among them."""
        return self._slides.get(key)

    def add(self, key: _EncodedKey, encoded: Encoded) -> None:
        """Take in a slide, in place of the one that is there for longest."""
        self._slides[key] = encoded
        for oldest in list(self._slides)[:-_RECENT]:
            del self._slides[oldest]


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """Slides that are not open, but bear examples."""

    slides: tuple[PreparedSlide, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AnswerRequest:
    """What is to be learned, and where it is to be shown."""

    teach: TeachRequest
    grounds: Mapping[SlideId, MapGround]


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """The maps of all open slides, uint8 (H, W, 4) each."""

    taught: Taught
    pictures: Mapping[SlideId, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class NotYet:
    """There is no map, and why."""

    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Areas of each open slide."""

    taught: Taught
    areas: Mapping[SlideId, tuple[ClassArea, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Pictures of how like a place all patches are, uint8 (H, W, 4) of each open slide."""

    pictures: Mapping[SlideId, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class SavedModel:
    """A model that was taught, among the others."""

    entry: "ModelEntry"


@dataclass(frozen=True, slots=True, eq=False)
class ExportedLesson:
    """Files, all written."""

    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SimilarRequest:
    """A place to which all patches are compared."""

    teach: TeachRequest
    slide: SlideId
    patch: int
    grounds: Mapping[SlideId, MapGround]


def survey() -> Generator[Encoders, None, None]:
    """List the models whose encoder can be used."""
    from napari_xmag.zoo import list_models

    for module in ("sklearn.linear_model", "sklearn.utils.extmath"):
        import_module(module)  # the first click must not wait for it
    yield Encoders(tuple(entry for entry in list_models() if not entry.problem))
    import_ahead()


def encode(
    slide: Slide,
    model: "ModelEntry",
    store: FeatureStore,
    recent: RecentlyEncoded,
    *,
    finer: bool,
) -> Generator[AnalyzeEvent | Encoded, None, None]:
    """Find the tissue of a slide and encode it, or take what is known of it.

    Parameters
    ----------
    recent
        What this window has encoded; the slide is added.
    finer
        Encode it once more, half a patch aside.
    """

    def known() -> tuple[_EncodedKey, Encoded | None]:
        key = _EncodedKey.of(slide, model, finer=finer)
        if (found := recent.find(key)) is not None:
            return key, found
        kept = kept_slide(slide, _opened(model), store, finer=finer)
        return key, Encoded.of(kept) if kept is not None else None

    key, encoded = yield from awaited(known, "Looking it up")
    if encoded is None:
        encoded = yield from in_turn(_encoded(slide, model, store, finer=finer))
    recent.add(key, encoded)
    yield encoded


def _encoded(
    slide: Slide, model: "ModelEntry", store: FeatureStore, *, finer: bool
) -> Generator[AnalyzeEvent, None, Encoded]:
    opened = _opened(model)
    yield from engine_ahead(opened, engine_settings(AnalyzeSettings()))
    ready = yield from encoded_slide(slide, opened, store, finer=finer)

    def measured() -> Encoded:
        give_freed_memory_back()
        return Encoded.of(ready)

    return (yield from awaited(measured, "Measuring the tissue"))


def recall(
    slides: Sequence[SlideId], like: PreparedSlide
) -> Generator[Waiting | Recalled, None, None]:
    """Find the kept features of slides that bear examples and are not open."""

    def recalled() -> Recalled:
        return Recalled(tuple(kept_slides(FeatureStore.of_user(), slides, like)))

    yield (yield from awaited(recalled, "Loading the examples of other slides"))


def answer(
    teacher: Learner, request: AnswerRequest
) -> Generator[Mapped | NotYet | Measured, None, None]:
    """Learn from the examples: the maps first, then the areas, without intervals."""
    try:
        taught = teacher.fit(request.teach)
    except TeachError as error:
        yield NotYet(str(error))
        return
    colors = request.teach.lesson.colors
    chosen = [colors[name] for name in taught.classes]
    shown = {slide: taught.shown[slide] for slide in request.grounds}
    yield Mapped(
        taught,
        {slide: class_picture(request.grounds[slide], shown[slide], chosen) for slide in shown},
    )
    measured = {slide: tuple(areas(taught, slide, intervals=False)) for slide in shown}
    yield Measured(taught, measured)


def judge(
    teacher: Learner, measured: Measured
) -> Generator[Measured | Estimate | None, None, None]:
    """Find how sure the areas are and how right the map is, in small steps.

    Nobody waits for it: what the next session would have to find out again is kept meanwhile.
    """
    taught, known = measured.taught, dict(measured.areas)
    yield (yield from estimate_steps(taught))
    for slide in measured.areas:
        known[slide] = tuple((yield from area_steps(taught, slide)))
        yield Measured(taught, dict(known))
    teacher.keep()


def alike(teacher: Learner, request: SimilarRequest) -> Generator[Alike, None, None]:
    """Compare all patches with those of a place."""
    slides = [request.teach.slide(slide) for slide in request.grounds]
    layout = teacher.layout(request.teach)
    with one_thread():
        found = find_similar(layout, slides, request.slide, request.patch)
    yield Alike(
        {slide: likeness_picture(ground, found[slide]) for slide, ground in request.grounds.items()}
    )


def picture_suggestions(
    taught: Taught, slides: Mapping[SlideId, Slide]
) -> Generator[Waiting | tuple[SuggestedPatch, ...] | None, None, None]:
    """Choose what is worth labelling next, and read its pictures."""
    from napari_xmag.slide.tiles import read_tiles

    with one_thread():
        chosen = [each for each in suggest(taught, SUGGESTIONS) if each.slide in slides]
    found: dict[int, SuggestedPatch] = {}
    for of, slide in slides.items():
        numbers = [number for number, each in enumerate(chosen) if each.slide == of]
        prepared = taught.request.slide(of)
        boxes = _boxes(prepared, [chosen[number].patch for number in numbers])
        with closing(read_tiles(slide, boxes, SUGGESTION_PX, workers=1)) as pictures:
            for read in pictures:
                if read is None:
                    yield Waiting("Reading patches")
                    continue
                number = numbers[read.index]
                each = chosen[number]
                found[number] = SuggestedPatch(of, each.patch, each.is_taught, read.pixels)
    yield tuple(found[number] for number in sorted(found))


def _opened(model: "ModelEntry") -> StoredModel:
    """Open a model once for all slides, so that its engine is kept from one to the next."""
    if model.info is None:
        raise ModelError(
            expected=f"the model {model.name}", found=model.problem, hint="Choose another one."
        )
    return opened_model(model.folder, model.info.sha256)


def save_model(
    taught: Taught, encoder: "ModelEntry", folder: Path, *, replace: bool
) -> Generator[Waiting | SavedModel, None, None]:
    """Save what was learned among the user's models, all of it or nothing."""
    from napari_xmag.zoo import list_models

    def saved() -> SavedModel:
        save_taught_model(taught, _opened(encoder), folder, replace=replace)
        (entry,) = [each for each in list_models(verify=False) if each.name == folder.name]
        return SavedModel(entry)

    yield (yield from awaited(saved, "Saving the model"))


def export(
    taught: Taught, slides: Mapping[SlideId, Slide], folder: Path
) -> Generator[Waiting | ExportedLesson, None, None]:
    """Write areas of all open slides, and outlines and examples of each for QuPath."""

    def written() -> ExportedLesson:
        names = _names(slides)
        files = [folder / AREAS]
        write_areas([(row, areas(taught, of)) for of, (row, _) in names.items()], files[0])
        for of, slide in slides.items():
            frame, plane = slide_frame(slide, Origin.BOUNDS), shown_plane(slide)
            outlined = taught.request.slide(of)
            parts = {
                CLASS_OUTLINES: map_features(taught, outlined, frame, plane=plane),
                EXAMPLES: example_features(taught.request.lesson, of, frame, plane),
            }
            for ending, features in parts.items():
                files.append(folder / f"{names[of][1]}{ending}")
                write_annotations(features, files[-1])
        return ExportedLesson(tuple(files))

    yield (yield from awaited(written, "Exporting"))


def _names(slides: Mapping[SlideId, Slide]) -> dict[SlideId, tuple[str, str]]:
    """Return what each slide is called in the table, and what its files are called."""
    files: dict[SlideId, str] = {}
    for of, slide in slides.items():
        own = result_name(slide.path, slide.image.index)
        files[of] = free_name(own, of.fingerprint, files.values())
    known = Counter(slide.path.name for slide in slides.values())
    rows = {of: slide.path.name for of, slide in slides.items()}
    return {of: (row if known[row] == 1 else files[of], files[of]) for of, row in rows.items()}


def read_annotations(
    path: Path, slide: Slide, prepared: PreparedSlide
) -> Generator[Waiting | AnnotatedLesson, None, None]:
    """Take the annotations of a file as examples."""
    frame, plane = slide_frame(slide, Origin.BOUNDS), shown_plane(slide)
    read = partial(read_examples, path, prepared, frame, plane)
    yield (yield from awaited(read, "Reading"))


def _boxes(prepared: PreparedSlide, patches: Sequence[int]) -> list[Box]:
    """Return boxes twice as wide as the patches: a pathologist judges by the surroundings."""
    features = prepared.features
    width, height = features.stride_x, features.stride_y
    return [
        Box(x - width, y - height, 2 * width, 2 * height)
        for x, y in prepared.centers[list(patches)].tolist()
    ]
