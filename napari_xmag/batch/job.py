"""All that is done with one slide: open, look, analyze, export; a failure stays with its slide."""

import hashlib
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xmag.batch.events import (
    Image,
    SlideBegun,
    SlideDone,
    SlideEvent,
    SlideFailed,
    SlideLabel,
    SlideMoved,
    SlideWarned,
)
from napari_xmag.batch.places import Place
from napari_xmag.batch.regions import RegionsChoice, recorded
from napari_xmag.batch.saved import Wanted, requested
from napari_xmag.batch.targets import Target
from napari_xmag.errors import ModelError, XmagError

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.nets.stored import StoredModel
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.regions import Regions
    from napari_xmag.slide.base import Slide

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlideTask:
    """One file.

    Attributes
    ----------
    target
        Which.
    place
        Where its results go.
    leave_out
        Pictures of it that are done with.
    """

    target: Target
    place: Place
    leave_out: frozenset[Image] = frozenset()


@dataclass(frozen=True)
class AnalyzeJob:
    """What is the same for all slides; call it with a task to do it.

    Attributes
    ----------
    model
        Folder of the model.
    model_sha256
        What it must be, in whatever process.
    settings
        How to analyze.
    out
        Holds the folders of all results.
    regions
        Where to look.
    origin
        Where (0, 0) lies in files for QuPath, unless QuPath's own image says so.
    image
        The only picture of each file that is meant; all when None.
    mpp, override_mpp
        µm per pixel of slides that state none, or of all.
    anew
        Analyze what is done already, too.
    """

    model: Path
    model_sha256: str
    settings: "AnalyzeSettings"
    out: Path
    regions: RegionsChoice
    origin: str
    image: str | None = None
    mpp: float | None = None
    override_mpp: float | None = None
    anew: bool = False

    def __call__(self, task: SlideTask) -> Iterator[SlideEvent]:
        """Analyze the pictures of one file; say so, or why not."""
        images = task.target.images(self.image)
        for image in images:
            if image not in task.leave_out:
                slide = SlideLabel(task.target.path, image)
                yield SlideBegun(slide, tuple(images))
                yield from self._told(task, slide, images)

    def _told(
        self, task: SlideTask, slide: SlideLabel, images: Sequence[Image]
    ) -> Iterator[SlideEvent]:
        """Say if a slide fails: the next one must not suffer for it."""
        try:
            self.regions.require_each(images)
            yield from self._do(task, slide)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file or a full memory raises
            ours = error if isinstance(error, XmagError) else _unexpected(slide.name, error)
            _log.info("%s", ours.details(), exc_info=True)
            yield SlideFailed(slide, ours)

    def _do(self, task: SlideTask, label: SlideLabel) -> Iterator[SlideEvent]:
        from napari_xmag.export.result_folders import ResultFolders, result_name
        from napari_xmag.slide.fingerprint import slide_fingerprint

        target, place = task.target, task.place
        within = self.regions.read(target.path, target.name, label.image)
        with closing(target.open(label.image)) as slide:
            if words := self._give_mpp(slide):
                yield SlideWarned(label, words)
            number = slide.image.index
            mark = slide_fingerprint(target.path, number)
            origin = target.origin(slide, self.origin)
            wanted = Wanted(mark, self.model_sha256, self._request(within, origin))
            name = result_name(target.path, number)
            folders = ResultFolders(self.out)
            with folders.reserve(name, mark, place.number, place.copies) as folder:
                kept = None if self.anew else wanted.find(folder, slide)
                result = kept or (
                    yield from self._analyzed(label, slide, within, origin, wanted, folder)
                )
        notes = () if within is None else (within.words,)
        yield SlideDone(label, folder, result, notes, reused=kept is not None)

    def _analyzed(
        self,
        label: SlideLabel,
        slide: "Slide",
        within: "Regions | None",
        origin: "Origin",
        wanted: Wanted,
        folder: Path,
    ) -> "Generator[SlideEvent, None, SlideResult]":
        from napari_xmag.analyze.engine import analyze
        from napari_xmag.analyze.events import SlideFinished
        from napari_xmag.export import export_all

        mask = self.regions.mask(slide, within, origin)
        model = opened_model(self.model, self.model_sha256)
        with closing(analyze(slide, model, self.settings, mask)) as events:
            for event in events:
                if isinstance(event, SlideFinished):
                    result = recorded(event.result, within, wanted.request)
                else:
                    yield SlideMoved(label, event)
        export_all(slide, result, folder, origin)
        return result

    def _give_mpp(self, slide: "Slide") -> str:
        """Give a slide the pixel size of the command as far as that is meant."""
        from napari_xmag.geometry import Mpp
        from napari_xmag.slide.given_mpp import fill_mpp, override_mpp

        if self.mpp is not None:
            return fill_mpp(slide, Mpp(self.mpp, self.mpp))
        if self.override_mpp is not None:
            return override_mpp(slide, Mpp(self.override_mpp, self.override_mpp))
        return ""

    def _request(self, within: "Regions | None", origin: "Origin") -> dict[str, Any]:
        more: dict[str, Any] = {"origin": str(origin)}
        if within is not None:
            outlines = hashlib.sha256(within.shape.wkb).hexdigest()
            more |= {"regions": outlines, "glass": self.regions.whole}
        return requested(self.settings, **more)


@dataclass(frozen=True, slots=True)
class LightJob:
    """A job whose events are light enough for a pipe, and whose slides share a machine.

    Attributes
    ----------
    job
        What is done.
    """

    job: AnalyzeJob

    def __call__(self, task: SlideTask) -> Iterator[SlideEvent]:
        """Do a task; see `AnalyzeJob`."""
        for event in self.job(task):
            if (light := _light(event)) is not None:
                yield light


def _light(event: SlideEvent) -> SlideEvent | None:
    from napari_xmag.analyze.events import SlidePlanned, TilesDone

    if not isinstance(event, SlideMoved):
        return event
    if isinstance(event.event, SlidePlanned):
        return None  # grid and mask are large; what follows says how many tiles there are
    if isinstance(event.event, TilesDone):
        nothing = np.empty(0, np.float32)
        return replace(
            event,
            event=replace(
                event.event,
                indices=np.empty(0, np.int64),
                attention_logit=nothing,
                patch_evidence=nothing,
            ),
        )
    return event


def opened_model(folder: Path, sha256: str) -> "StoredModel":
    """Return a model, opened once in each process.

    Raises
    ------
    ModelError
        When the folder holds another model than the run began with.
    """
    model = _opened(folder, sha256)
    if model.info.sha256 != sha256:
        raise ModelError(
            expected=f"the model with which the run began in {folder}",
            found="another one",
            hint="Start again.",
        )
    return model


@lru_cache(maxsize=1)
def _opened(folder: Path, _sha256: str) -> "StoredModel":
    """Open a model; another hash than last time opens it anew."""
    from napari_xmag.nets.stored import StoredModel

    return StoredModel.open(folder)


def _unexpected(name: str, error: Exception) -> XmagError:
    return XmagError(
        expected=f"to analyze {name}",
        found=f"{type(error).__name__}: {error}",
        hint="The file may be damaged. Run again with -v for all that is known.",
        causes=[error],
    )
