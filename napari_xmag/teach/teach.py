"""Teaching without a window: slides and their annotations in, a model out."""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from napari_xmag.analyze.engine import encode_slide
from napari_xmag.analyze.events import AnalyzeEvent
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import TeachError
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.stored import StoredModel
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import find_tissue
from napari_xmag.teach.annotations import read_examples
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.lesson import Lesson
from napari_xmag.teach.model_folder import save_taught_model
from napari_xmag.teach.prepared import PreparedSlide, prepare_slide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.settings import TeachSettings

_log = logging.getLogger(__name__)
_Slide = TypeVar("_Slide")


@dataclass(frozen=True, slots=True, eq=False)
class TaughtSlide:
    """A slide that was encoded and its annotations read, as teaching goes on.

    Attributes
    ----------
    prepared
        The slide.
    examples
        How many of its patches are examples.
    """

    prepared: PreparedSlide
    examples: int


def teach(
    slides: Sequence[Path | str],
    examples: Mapping[str, Path] | Path | str,
    folder: Path | str,
    *,
    encoder: StoredModel | str | Path | None = None,
    store: FeatureStore | None = None,
    settings: TeachSettings | None = None,
    replace: bool = False,
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

    Returns
    -------
    The model as saved; `analyze_slide` takes it.

    Raises
    ------
    TeachError
        When fewer than two classes have examples, or a slide has no annotations.
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
            steps = teach_slide(session, slide, model, store or FeatureStore.of_user(), file)
            with closing(steps):
                for _ in steps:
                    pass
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
    settings: AnalyzeSettings | None = None,
) -> Generator[AnalyzeEvent, None, TaughtSlide]:
    """Encode a slide and add its annotations to a session.

    Parameters
    ----------
    origin
        Where (0, 0) of the annotations lies.

    Yields
    ------
    What `encode_slide` yields.

    Raises
    ------
    TissueError
        When the annotations cannot be read, or none lies on tissue.
    ResultError
        When the slide was encoded by another encoder than those before it.
    """
    mask = find_tissue(slide)
    features = yield from encode_slide(slide, model, store, settings, mask)
    prepared = prepare_slide(features, mask)
    lesson: Lesson = read_examples(annotations, prepared, slide_frame(slide, origin))
    session.open_slide(prepared)
    session.add_examples(lesson)
    return TaughtSlide(prepared, len(lesson.examples))


def annotation_files(
    slides: Sequence[Path | str], examples: Mapping[str, Path] | Path | str
) -> dict[Path, Path]:
    """Return the annotations of each slide, by the stem of its name.

    Raises
    ------
    TeachError
        When a slide has none; all of them are named.
    """
    found: list[tuple[Path, Path | None]] = []
    for path in map(Path, slides):
        if isinstance(examples, Mapping):
            named = examples.get(path.stem)
            found.append((path, named if named is not None and named.is_file() else None))
        else:
            found.append((path, annotation_file(path, Path(examples))))
    return dict(require_annotations(found, lambda path: path.name))


def annotation_file(slide: Path, folder: Path, name: str = "") -> Path | None:
    """Return the annotations of a slide in a folder; None where there are none.

    Parameters
    ----------
    name
        Another name that the file may bear: that of the image in a project of QuPath.
    """
    from napari_xmag.qupath.geojson_file import GEOJSON_SUFFIXES

    stems = filter(None, dict.fromkeys((slide.stem, slide.name, name, Path(name).stem)))
    options = (folder / f"{stem}{suffix}" for stem in stems for suffix in GEOJSON_SUFFIXES)
    return next((option for option in options if option.is_file()), None)


def require_annotations(
    found: Sequence[tuple[_Slide, Path | None]], name: Callable[[_Slide], str]
) -> list[tuple[_Slide, Path]]:
    """Return slides with their annotations, of which none may lack.

    Raises
    ------
    TeachError
        When a slide has none; all of them are named.
    """
    lacking = [name(slide) for slide, file in found if file is None]
    if lacking or not found:
        raise TeachError(
            expected="annotations for each slide, named as it: biopsy.geojson for biopsy.svs",
            found=f"none for {', '.join(lacking) or 'any slide'}",
            hint="Export them from QuPath (File > Export objects as GeoJSON) into one folder.",
        )
    return [(slide, file) for slide, file in found if file is not None]
