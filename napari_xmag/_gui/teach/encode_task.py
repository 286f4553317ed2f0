"""The work by which a slide becomes ready for Teach: found again, or encoded; knows no widget."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_xmag._gui.shared.engine_ahead import engine_ahead
from napari_xmag._gui.shared.jobs import awaited, in_turn
from napari_xmag.analyze.encoder import engine_settings
from napari_xmag.analyze.events import AnalyzeEvent
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.batch.models import opened_model
from napari_xmag.errors import ModelError, XmagError
from napari_xmag.features.store import FeatureStore
from napari_xmag.geometry import Mpp
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.memory import give_freed_memory_back
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.teach.encode import ReadySlide, encoded_slide, kept_slide
from napari_xmag.teach.grow import grown_slide
from napari_xmag.teach.lesson import Lesson, SlideId
from napari_xmag.teach.picture import MapGround
from napari_xmag.teach.prepared import PreparedSlide

if TYPE_CHECKING:
    from napari_xmag.zoo import ModelEntry

_RECENT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A slide can be taught on."""

    ready: ReadySlide
    ground: MapGround

    @classmethod
    def of(cls, ready: ReadySlide) -> "Encoded":
        """Lay the patches over the tissue."""
        return cls(ready, MapGround.of(ready.prepared.map_grid, ready.mask))

    @property
    def prepared(self) -> PreparedSlide:
        """Its patches."""
        return self.ready.prepared


@dataclass(frozen=True, slots=True, eq=False)
class NotGrown:
    """Examples where no tissue was found could not be encoded; the slide comes without them."""

    error: Exception


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


def encode(
    slide: Slide,
    model: "ModelEntry",
    store: FeatureStore,
    recent: RecentlyEncoded,
    lesson: Lesson,
    *,
    finer: bool,
) -> Generator[AnalyzeEvent | Encoded | NotGrown, None, None]:
    """Find the tissue of a slide and encode it, or take what is known of it.

    Parameters
    ----------
    recent
        What this window has encoded; the slide is added.
    lesson
        Of its examples, those that lie where no tissue was found are encoded, too; of what was
        ever encoded there, the rest is left out.
    finer
        Encode it once more, half a patch aside.
    """

    def known() -> tuple[_EncodedKey, Encoded | None]:
        key = _EncodedKey.of(slide, model, finer=finer)
        if (found := recent.find(key)) is not None:
            return key, found
        kept = kept_slide(slide, opened_encoder(model), store, finer=finer)
        return key, Encoded.of(kept) if kept is not None else None

    key, encoded = yield from awaited(known, "Looking for kept features")
    if encoded is None:
        encoded = yield from in_turn(_encoded(slide, model, store, finer=finer))
    places = lesson.places_on(encoded.prepared.id)
    if len(encoded.prepared.free_cells(places)):
        try:
            encoded = yield from in_turn(_grown(slide, model, store, encoded.ready, places))
        except (XmagError, OSError, MemoryError) as error:
            yield NotGrown(error)  # what was encoded before can be taught on all the same
    recent.add(key, encoded)
    yield (yield from awaited(partial(_only_with, encoded, places), "Measuring the tissue"))


def _only_with(encoded: Encoded, places: NDArray[np.float64]) -> Encoded:
    ready = encoded.ready.only_with(places)
    return encoded if ready is encoded.ready else Encoded.of(ready)


def _encoded(
    slide: Slide, model: "ModelEntry", store: FeatureStore, *, finer: bool
) -> Generator[AnalyzeEvent, None, Encoded]:
    opened = opened_encoder(model)
    yield from engine_ahead(opened, engine_settings(AnalyzeSettings()))
    ready = yield from encoded_slide(slide, opened, store, finer=finer)

    def measured() -> Encoded:
        give_freed_memory_back()
        return Encoded.of(ready)

    return (yield from awaited(measured, "Measuring the tissue"))


def _grown(
    slide: Slide,
    model: "ModelEntry",
    store: FeatureStore,
    ready: ReadySlide,
    places: NDArray[np.float64],
) -> Generator[AnalyzeEvent, None, Encoded]:
    opened = opened_encoder(model)
    yield from engine_ahead(opened, engine_settings(AnalyzeSettings()))
    return Encoded.of((yield from grown_slide(slide, opened, store, None, ready, places)))


def opened_encoder(model: "ModelEntry") -> StoredModel:
    """Open a model once for all slides, so that its engine is kept from one to the next."""
    if model.info is None:
        raise ModelError(
            expected=f"the model {model.name}", found=model.problem, hint="Choose another one."
        )
    return opened_model(model.folder, model.info.sha256)
