"""Encodes the slides of a viewer one after the other, the one in sight first."""

from collections.abc import Callable
from functools import partial

from napari_xmag._gui.shared.jobs import Job, Jobs
from napari_xmag._gui.shared.notices import tell_error
from napari_xmag._gui.teach.encode_task import Encoded, NotGrown, RecentlyEncoded, encode
from napari_xmag._gui.teach.state import EncodeProgress, TeachSlide, TeachState
from napari_xmag.analyze.events import TilesDone, Waiting
from napari_xmag.errors import XmagError
from napari_xmag.features.patch_features import Place
from napari_xmag.features.store import FeatureStore
from napari_xmag.teach.lesson import Lesson

CANCELLED = "Cancelled. Press Encode to continue."


class Encoding:
    """Encodes one slide at a time.

    Parameters
    ----------
    jobs
        Does the work.
    state
        Says which slides wait, and with which model they are encoded.
    ready
        Gets each slide that can be taught on now.
    """

    def __init__(self, jobs: Jobs, state: TeachState, ready: Callable[[TeachSlide], None]) -> None:
        self._jobs, self._state, self._ready = jobs, state, ready
        self._store, self._recent = FeatureStore.of_user(), RecentlyEncoded()
        self._job: Job | None = None
        self._shown: TeachSlide | None = None

    @property
    def busy(self) -> bool:
        """Whether a slide is being encoded."""
        return self._job is not None

    def go_on(self) -> None:
        """Encode the next slide that waits, if none is being encoded."""
        shown, model = self._next(), self._state.model_entry
        if self._job is not None or shown is None or shown.slide is None or model is None:
            return
        self._shown = shown
        shown.progress = EncodeProgress("Starting")
        lesson, shown.wants_more = self._state.lesson, False
        finer = shown.wants_finer
        self._job = self._jobs.start(
            encode(shown.slide, model, self._store, self._recent, lesson, finer=finer),
            partial(self._hear, shown, model.name),
            partial(self._end, shown),
            partial(self._fail, shown),
        )

    def follow(self, before: Lesson, now: Lesson) -> None:
        """Encode what a change shows beyond the tissue; leave out what is shown there no more."""
        for shown in self._state.slides:
            differs = _beyond(shown, before) != _beyond(shown, now)
            if differs or shown is self._shown:
                shown.wants_more = True
            if differs:
                shown.problem = ""  # it had been cancelled
        self.go_on()

    def cancel(self) -> None:
        """Stop the slide that is being encoded, within a moment; what was done is kept."""
        if self._job is not None and self._shown is not None:
            self._shown.progress = EncodeProgress("Cancelling")
            _give_up(self._shown, CANCELLED, self._state.lesson)
            self._job.stop()

    def drop(self, shown: TeachSlide) -> None:
        """Stop the encoding of a slide that is going away."""
        if self._job is not None and self._shown is shown:
            self._job.stop()

    def _next(self) -> TeachSlide | None:
        waiting = [each for each in self._state.slides if self._waits(each)]
        current = self._state.current
        return current if current in waiting else next(iter(waiting), None)

    def _waits(self, shown: TeachSlide) -> bool:
        can = shown.slide is not None and not shown.problem and not shown.is_ready
        return can and self._state.model_entry is not None

    def _hear(self, shown: TeachSlide, model: str, event: object) -> None:
        if isinstance(event, TilesDone):
            shown.progress = EncodeProgress("Encoding", event.done, event.total)
        elif isinstance(event, Waiting):
            shown.progress = EncodeProgress(event.stage, event.done, event.total)
        elif isinstance(event, NotGrown):
            tell_error(event.error)
        elif isinstance(event, Encoded) and model == self._state.model:
            shown.ground, shown.prepared = event.ground, event.prepared
            self._ready(shown)

    def _fail(self, shown: TeachSlide, error: Exception) -> None:
        words = error.found if isinstance(error, XmagError) else str(error)
        _give_up(shown, words, self._state.lesson)
        tell_error(error)

    def _end(self, shown: TeachSlide) -> None:
        self._job, self._shown = None, None
        shown.progress = None
        self.go_on()


def _beyond(shown: TeachSlide, lesson: Lesson) -> frozenset[Place]:
    if shown.prepared is None:
        return frozenset()
    return shown.prepared.cells_beyond(lesson.places_on(shown.prepared.id))


def _give_up(shown: TeachSlide, words: str, lesson: Lesson) -> None:
    """Stay with what there is of a slide; where something is lacking, say why."""
    if shown.prepared is None:
        shown.problem = words
    else:
        shown.wants_finer = shown.prepared.finer is not None
        places = lesson.places_on(shown.prepared.id)
        shown.wants_more = len(shown.prepared.free_cells(places)) > 0
        shown.problem = words if shown.wants_more else ""
