"""Teaching without a window: slides and their annotations in, a model out."""

import logging
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_xmag.analyze.events import AnalyzeEvent
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import TeachError
from napari_xmag.features.store import FeatureStore
from napari_xmag.files import composed
from napari_xmag.geometry import Box
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.progress.heartbeat import finish
from napari_xmag.qupath.annotation_files import AnnotatedSlide, AnnotationFiles
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.qupath.planes import shown_plane
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.annotations import places_beyond_tissue, read_examples
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.encode import encoded_slide, kept_slide
from napari_xmag.teach.grow import grown_slide
from napari_xmag.teach.lesson import Example, Lesson
from napari_xmag.teach.model_folder import save_taught_model
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.settings import TeachSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class TaughtSlide:
    """A slide that was encoded and its annotations read, as teaching goes on.

    Attributes
    ----------
    prepared
        The slide.
    examples
        How many of its patches became examples.
    known
        How many more its annotations name that were examples of the same class before, of another
        image of the slide.
    unused
        Which of its annotations give no example, and why, in words; empty where all do.
    frame
        The level-0 box from whose corner annotations count.
    plane
        The focal plane on which QuPath shows it, from 0.
    """

    prepared: PreparedSlide
    examples: int
    frame: Box
    plane: int = 0
    known: int = 0
    unused: str = ""


def teach(
    slides: Sequence[Path | str],
    examples: Mapping[str, Path] | Path | str,
    folder: Path | str,
    *,
    encoder: StoredModel | str | Path | None = None,
    store: FeatureStore | None = None,
    settings: TeachSettings | None = None,
    replace: bool = False,
    beyond_tissue: bool = False,
) -> StoredModel:
    """Teach a classifier by the annotations of slides and save it as a model.

    Parameters
    ----------
    slides
        The slides' files.
    examples
        The GeoJSON of each slide, by the stem of its name, or a folder of such files. Coordinates
        count from the corner of the scanned bounds, as QuPath writes them.
    folder
        Where the model shall lie; its last part is its name.
    encoder
        The model whose encoder is used; the default model when None.
    store
        Where features are kept; the user's own when None.
    beyond_tissue
        Let annotations teach, too, that lie wholly where no tissue is found.

    Returns
    -------
    The model as saved; `analyze_slide` takes it.

    Raises
    ------
    TeachError
        When fewer than two classes have examples, a slide has no annotations, or annotations of one
        slide contradict each other.
    TissueError
        When annotations cannot be read, or none lies on tissue.
    XmagError
        When a slide does not open, or the model cannot be saved.
    """
    from napari_xmag.zoo import open_model

    model = encoder if isinstance(encoder, StoredModel) else open_model(encoder)
    session = TeachSession(settings=settings)
    session.clear_classes()
    files = annotation_files(slides, examples)
    for path, file in files.items():
        with open_slide(path) as slide:
            steps = teach_slide(
                *(session, slide, model, store or FeatureStore.of_user(), file),
                beyond_tissue=beyond_tissue,
            )
            with closing(steps):
                taught_slide = finish(steps)
            if taught_slide.unused:
                _log.warning(
                    "%s: annotations that gave no example: %s", file.name, taught_slide.unused
                )
    taught = fit(session.request())
    return save_taught_model(taught, model, Path(folder), replace=replace)


def teach_slide(
    session: TeachSession,
    slide: Slide,
    model: StoredModel,
    store: FeatureStore,
    annotations: Path,
    *,
    origin: Origin = Origin.BOUNDS,
    plane: int | None = None,
    settings: AnalyzeSettings | None = None,
    finer: bool = False,
    beyond_tissue: bool = False,
) -> Generator[AnalyzeEvent, None, TaughtSlide]:
    """Encode a slide and add its annotations to a session.

    Parameters
    ----------
    origin
        Where (0, 0) of the annotations lies.
    plane
        The focal plane on which QuPath shows the slide, from 0; see `shown_plane`, which says it
        when None.
    finer
        Encode the slide once more, half a patch aside, for a map of half the patches' side.
    beyond_tissue
        Let annotations teach, too, that lie wholly where no tissue is found, as fat may.

    Yields
    ------
    What `encode_slide` yields.

    Raises
    ------
    TissueError
        When the annotations cannot be read, or none lies on tissue.
    ResultError
        When the slide was encoded by another encoder than those before it.
    TeachError
        When the annotations contradict examples that the session has of this slide, as of another
        image of it; then nothing is added.
    """
    whole = kept_slide(slide, model, store, settings, finer=finer)
    if whole is None:
        whole = yield from encoded_slide(slide, model, store, settings, finer=finer)
    ready = whole.only_with(np.zeros((0, 2)))
    frame, z = slide_frame(slide, origin), shown_plane(slide) if plane is None else plane
    if beyond_tissue:
        places = places_beyond_tissue(annotations, ready.prepared, frame, z)
        whole = yield from grown_slide(slide, model, store, settings, whole, places)
        ready = whole.only_with(places)
    prepared = ready.prepared
    read = read_examples(annotations, prepared, frame, z)
    lesson = read.lesson
    new = _new_examples(lesson, session, prepared, annotations)
    session.open_slide(prepared)
    session.add_examples(replace(lesson, examples=new))
    known = len(lesson.examples) - len(new)
    return TaughtSlide(prepared, len(new), frame, z, known, read.unused)


def _new_examples(
    lesson: Lesson, session: TeachSession, slide: PreparedSlide, annotations: Path
) -> tuple[Example, ...]:
    """Return the examples that a session does not have yet; refuse those that it has otherwise."""
    before = {(each.x, each.y): each.class_name for each in session.lesson.on(slide.id)}
    told = [(each, before.get((each.x, each.y))) for each in lesson.examples]
    against = Counter(
        f"{each.class_name} instead of {name}"
        for each, name in told
        if name is not None and name.casefold() != each.class_name.casefold()
    )
    if against:
        raise TeachError(
            expected=f"annotations of {annotations.name} that agree with those read before of the "
            f"same slide, {slide.name}",
            found=", ".join(f"{count} patches of {words}" for words, count in against.items()),
            hint="Correct the annotations of one of the images, or teach by one of them.",
        )
    return tuple(each for each, name in told if name is None)


def annotation_files(
    slides: Sequence[Path | str], examples: Mapping[str, Path] | Path | str
) -> dict[Path, Path]:
    """Return the annotations of each slide, by the stem of its name.

    Raises
    ------
    TeachError
        When a slide has none, all of which are named; or two have the same of a mapping.
    TissueError
        When a file could be of two slides.
    """
    paths = [Path(slide) for slide in slides]
    if isinstance(examples, Mapping):
        found = _mapped(paths, examples)
    else:
        folder, files = Path(examples), AnnotationFiles.of(map(AnnotatedSlide, paths))
        found = {path: files.find(AnnotatedSlide(path), folder) for path in paths}
    require_annotations([path.name for path, file in found.items() if file is None], len(found))
    return {path: file for path, file in found.items() if file is not None}


def _mapped(paths: Sequence[Path], examples: Mapping[str, Path]) -> dict[Path, Path | None]:
    stems = [composed(path.stem) for path in dict.fromkeys(paths)]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise TeachError(
            expected="slides whose names differ, as each has annotations of its own",
            found=f"several slides named {', '.join(twice)}",
            hint="Rename the slides and the keys of their annotations.",
        )
    given = {composed(stem): file for stem, file in examples.items()}
    named = {path: given.get(composed(path.stem)) for path in paths}
    return {path: file if file and file.is_file() else None for path, file in named.items()}


def require_annotations(lacking: Sequence[str], slides: int) -> None:
    """Do nothing when no slide lacks annotations and there is a slide at all.

    Parameters
    ----------
    lacking
        Names of the slides without annotations.
    slides
        How many slides there are.

    Raises
    ------
    TeachError
        Otherwise; all that lack are named.
    """
    if lacking or not slides:
        raise TeachError(
            expected="annotations with a class for each slide, named as it: biopsy.geojson for "
            "biopsy.svs",
            found=f"none for {', '.join(lacking) or 'any slide'}",
            hint="Export them from QuPath (File > Export objects as GeoJSON) into one folder.",
        )
