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

from napari_xmag._gui.shared.import_ahead import import_ahead
from napari_xmag._gui.shared.jobs import awaited
from napari_xmag._gui.teach.encode_task import opened_encoder
from napari_xmag._gui.teach.state import SuggestedPatch
from napari_xmag.analyze.events import Waiting
from napari_xmag.errors import TeachError
from napari_xmag.export.result_folders import free_name, result_name
from napari_xmag.features.store import FeatureStore
from napari_xmag.filenames import AREAS, CLASS_OUTLINES, EXAMPLES
from napari_xmag.geometry import Box
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.qupath.planes import shown_plane
from napari_xmag.slide.base import Slide
from napari_xmag.teach.annotations import (
    AnnotatedLesson,
    example_features,
    map_features,
    read_examples,
    write_annotations,
)
from napari_xmag.teach.areas import ClassArea, area_steps, areas, write_areas
from napari_xmag.teach.classifier import Learner, Taught
from napari_xmag.teach.estimate import Estimate, estimate_steps
from napari_xmag.teach.lesson import Lesson, SlideId
from napari_xmag.teach.lesson_range import unlike_slides
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


@dataclass(frozen=True, slots=True, eq=False)
class Encoders:
    """The models of this machine that can be used."""

    models: tuple["ModelEntry", ...]


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
class Unlike:
    """What is said of open slides that look unlike those with examples."""

    words: Mapping[SlideId, str]


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


def recall(
    slides: Sequence[SlideId], like: PreparedSlide, lesson: Lesson
) -> Generator[Waiting | Recalled, None, None]:
    """Find the kept features of slides that bear examples and are not open."""

    def recalled() -> Recalled:
        return Recalled(tuple(kept_slides(FeatureStore.of_user(), slides, like, lesson)))

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
) -> Generator[Measured | Estimate | Unlike | None, None, None]:
    """Find in small steps which slides look unlike the others, and how sure and right all is.

    Nobody waits for it: what the next session would have to find out again is kept meanwhile.
    """
    taught, known = measured.taught, dict(measured.areas)
    yield Unlike(unlike_slides(taught))
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
                x, y = prepared.centers[each.patch].tolist()
                found[number] = SuggestedPatch(of, x, y, each.is_taught, read.pixels)
    yield tuple(found[number] for number in sorted(found))


def save_model(
    taught: Taught, encoder: "ModelEntry", folder: Path, *, replace: bool
) -> Generator[Waiting | SavedModel, None, None]:
    """Save what was learned among the user's models, all of it or nothing."""
    from napari_xmag.zoo import list_models

    def saved() -> SavedModel:
        save_taught_model(taught, opened_encoder(encoder), folder, replace=replace)
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
        unlike = unlike_slides(taught)
        rows = [(row, areas(taught, of), unlike.get(of, "")) for of, (row, _) in names.items()]
        write_areas(rows, files[0])
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
