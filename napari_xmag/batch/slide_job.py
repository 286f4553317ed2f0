"""What is done with one slide, whatever it is: open, look where, and let no failure spread."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_xmag.batch.events import (
    Image,
    SlideBegun,
    SlideEvent,
    SlideFailed,
    SlideLabel,
    SlideMoved,
)
from napari_xmag.batch.places import Place
from napari_xmag.batch.regions import RegionsChoice
from napari_xmag.batch.targets import Target
from napari_xmag.errors import XmagError
from napari_xmag.memory import out_of_memory

if TYPE_CHECKING:
    from napari_xmag.analyze.settings import AnalyzeSettings
    from napari_xmag.slide.base import Slide

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchTask:
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


@dataclass(frozen=True, kw_only=True)
class SlideJob(ABC):
    """What is the same for all slides; call it with a task to do it.

    Attributes
    ----------
    settings
        How to analyze or encode.
    regions
        Where to look.
    origin
        Where (0, 0) lies in files for QuPath, unless QuPath's own image says so.
    image
        The only picture of each file that is meant; all when None.
    mpp, override_mpp
        µm per pixel of slides that state none, or of all.
    anew
        Do what is done already, too.
    """

    settings: "AnalyzeSettings"
    regions: RegionsChoice
    origin: str = "bounds"
    image: str | None = None
    mpp: float | None = None
    override_mpp: float | None = None
    anew: bool = False

    def __call__(self, task: BatchTask) -> Iterator[SlideEvent]:
        """Do the pictures of one file; say so, or why not."""
        only, images = task.target.open_only(self.image)
        with nullcontext() if only is None else closing(only):
            for image in images:
                if image not in task.leave_out:
                    label = task.target.label(image)
                    yield SlideBegun(label, tuple(images))
                    yield from self._told(task, label, images, only)

    @abstractmethod
    def work(self, task: BatchTask, label: SlideLabel, slide: "Slide") -> Iterator[SlideEvent]:
        """Do one picture, which is open."""

    def give_mpp(self, slide: "Slide") -> str:
        """Give a slide the pixel size of the command as far as that is meant; say what is not."""
        from napari_xmag.geometry import Mpp
        from napari_xmag.slide.given_mpp import fill_mpp, override_mpp

        if self.mpp is not None:
            return fill_mpp(slide, Mpp(self.mpp, self.mpp))
        if self.override_mpp is not None:
            return override_mpp(slide, Mpp(self.override_mpp, self.override_mpp))
        return ""

    def _told(
        self,
        task: BatchTask,
        label: SlideLabel,
        images: Sequence[Image],
        opened: "Slide | None",
    ) -> Iterator[SlideEvent]:
        """Say if a slide fails: the next one must not suffer for it."""
        try:
            self.regions.require_each(images)
            with closing(opened or task.target.open(label.image)) as slide:
                yield from self.work(task, label, slide)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file or a full memory raises
            ours = error if isinstance(error, XmagError) else _unexpected(label.name, error)
            _log.info("%s", ours.details(), exc_info=True)
            yield SlideFailed(label, ours)


@dataclass(frozen=True, slots=True)
class LightJob:
    """A job whose events are light enough for a pipe, and whose slides share a machine.

    Attributes
    ----------
    job
        What is done.
    """

    job: SlideJob

    def __call__(self, task: BatchTask) -> Iterator[SlideEvent]:
        """Do a task; see `SlideJob`."""
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


def _unexpected(name: str, error: Exception) -> XmagError:
    return XmagError(
        expected=f"to analyze {name}",
        found=f"{type(error).__name__}: {error}",
        hint="Memory ran out: lower --batch-size and --workers, or allow more of it."
        if out_of_memory(error)
        else "The file may be damaged. Run again with -v for all that is known.",
        causes=[error],
    )
