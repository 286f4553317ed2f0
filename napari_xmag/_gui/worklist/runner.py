"""The run through a worklist: one slide after another in the background."""

from collections.abc import Callable
from functools import partial

from psygnal import Signal

from napari_xmag._gui.analyze.tasks import Analysis
from napari_xmag._gui.shared.jobs import Job, Jobs
from napari_xmag._gui.worklist import tasks
from napari_xmag.analyze.events import TilesDone
from napari_xmag.errors import XmagError
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowKey, RowStatus, WorklistRow


class Runner:
    """Analyzes the waiting slides of a list, until it is paused or none waits.

    Parameters
    ----------
    jobs
        Does the work in threads.
    analysis
        Returns how a slide is to be analyzed now; None where that is not known.
    on_error
        Gets the error when the list cannot be saved: the run goes on, and what became of its
        slides is written as soon as that can be done again.

    Attributes
    ----------
    changed
        Says that a slide began, ended or failed, with its key.
    went_on
        Words on how far the present slide is.
    """

    changed = Signal(tuple)
    went_on = Signal(str)

    def __init__(
        self,
        jobs: Jobs,
        analysis: Callable[[], Analysis | None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._jobs, self._analysis, self._on_error = jobs, analysis, on_error
        self._saves = True
        self._job: Job | None = None
        self._under_way: tuple[Worklist, RowKey] | None = None
        self.worklist = Worklist()
        self.running = False

    def start(self) -> None:
        """Go through the waiting slides, as soon as one that was paused has stopped."""
        self.running = True
        if self._job is None:
            self._next()

    def pause(self) -> None:
        """Stop within a moment; the slide under way waits again."""
        self.running = False
        if self._job is not None:
            self._job.stop()

    def close(self) -> None:
        """Stop, and note it at once: nothing is heard any more when the window goes away."""
        self.pause()
        self._note_stopped()

    def _next(self) -> None:
        self.worklist.follow()  # another window may have taken the next slide
        row = self.worklist.next_waiting() if self.running else None
        analysis = self._analysis() if row is not None else None
        if row is None or analysis is None:
            self.running = False
            self.went_on.emit("")
            return
        self._under_way = self.worklist, row.key
        self._note(self.worklist.begin, row.key)
        self.changed.emit(row.key)
        work = tasks.analyze_row(row, analysis)
        self._job = self._jobs.start(
            work,
            partial(self._hear, row),
            partial(self._end, row.key),
            partial(self._fail, self.worklist, row.key),
        )

    def _note(self, change: Callable[..., None], *what: object) -> None:
        """Change the list; say once that it cannot be saved, not at each slide of a night."""
        try:
            change(*what)
            self._saves = True
        except XmagError as error:
            if self._saves:
                self._on_error(error)
            self._saves = False

    def _hear(self, row: WorklistRow, event: object) -> None:
        if isinstance(event, tasks.RowAnalyzed):
            self._note(self.worklist.finish, row.key, event.result, event.id)
        elif isinstance(event, TilesDone):
            self.went_on.emit(f"{row.shown_name}: {event.done} of {event.total} tiles")

    def _fail(self, worklist: Worklist, key: RowKey, error: Exception) -> None:
        words = str(error) if isinstance(error, XmagError) else f"{type(error).__name__}: {error}"
        self._note(worklist.fail, key, " ".join(words.split()))

    def _note_stopped(self) -> None:
        """Let a slide wait again whose analysis ended without a result or an error."""
        if self._under_way is None:
            return
        (worklist, key), self._under_way = self._under_way, None
        if key in worklist and worklist[key].status is RowStatus.RUNNING:
            self._note(worklist.stop, key)

    def _end(self, key: RowKey) -> None:
        self._job = None
        self._note_stopped()
        self.changed.emit(key)
        self._next()
