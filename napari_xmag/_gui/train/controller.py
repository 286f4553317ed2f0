"""What the Train widget does: it starts work, listens to it, and keeps the state true."""

import logging
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_xmag._gui.shared.collector import let_collect, spare_collector
from napari_xmag._gui.shared.jobs import Job, Jobs
from napari_xmag._gui.train import tasks
from napari_xmag._gui.train.cohort import CohortKeeper
from napari_xmag._gui.train.state import Curves, TrainState
from napari_xmag._gui.train.worker_entry import TrainRequest
from napari_xmag.analyze.events import Waiting
from napari_xmag.errors import ResultError, XmagError
from napari_xmag.filenames import CONFIG, METRICS
from napari_xmag.learn.scalars import read_scalars
from napari_xmag.progress.events import (
    EpochDone,
    Progress,
    RegionsNoted,
    RunFinished,
    RunPlanned,
    SlideLeftOut,
    Stage,
)

if TYPE_CHECKING:
    from napari_xmag.train.report.record import RunRecord
    from napari_xmag.zoo import ModelEntry

_log = logging.getLogger(__name__)


class TrainController:
    """Acts for one Train widget.

    Parameters
    ----------
    state
        What the widget shows.

    Attributes
    ----------
    ended
        Emitted when no training runs any more.
    model_added
        Emitted with the entry of a model that is now among the user's own.
    """

    ended = Signal()
    model_added = Signal(object)

    def __init__(self, state: TrainState) -> None:
        self.state = state
        self.jobs = Jobs(self._tell)
        self.cohort = CohortKeeper(state, self.jobs)
        self.curves = Curves()
        self._job: Job | None = None
        self._finished = False
        self._left_out: dict[tuple[type, Path], str] = {}
        state.events.config.connect(self._config_changes)
        self.jobs.start(tasks.survey(), self._surveyed)

    @property
    def busy(self) -> bool:
        """Whether a training is under way."""
        return self._job is not None

    def close(self) -> bool:
        """End all work and wait for it; True when all threads are free."""
        self._let_go()
        return self.jobs.stop_all()

    # settings

    def _surveyed(self, entries: "tuple[ModelEntry, ...]") -> None:
        self.state.encoders = entries
        if not self.state.encoder and entries:
            self.state.encoder = entries[0].name

    def _config_changes(self) -> None:
        if self.state.config is not None:
            self.cohort.examine()

    def why_not(self) -> str:
        """Say why no training can begin; empty when one can."""
        state = self.state
        if not state.rows:
            return "Add slides first: open a table, or add slides from the viewer."
        if state.problems:
            return "Correct the problems in the table first."
        if state.checked[0] < state.checked[1]:
            return "The slides are still being checked."
        if state.draw_problem:
            return f"The slides cannot be split: {state.draw_problem}"
        if state.config is None:
            return f"Correct the settings first: {state.config_problem}"
        return "" if state.encoder else "Looking for models …"

    # training

    def train(self) -> None:
        """Start a training."""
        if not self.busy and not self.why_not():
            self._start(resume=False)

    def resume(self) -> None:
        """Go on with the training in the folder; an empty window takes its slides and settings."""
        if self.busy or self.why_no_resume():
            return
        if self.state.rows:
            self._start(resume=True)
        else:
            self.jobs.start(tasks.read_unfinished(self.state.out), self._take_unfinished)

    def _take_unfinished(self, event: object) -> None:
        if isinstance(event, tasks.Unfinished):
            self.cohort.take(event.rows)
            self.state.loaded = event.config.model_dump()
            self.state.config = event.config
            self._start(resume=True)

    def _start(self, *, resume: bool) -> None:
        state = self.state
        if state.config is None:
            return
        request = TrainRequest(state.rows, state.encoder, state.out, state.config, resume)
        state.outcome, state.failed, state.record, state.plan = "", False, None, None
        state.epoch = None
        self._finished = False
        self._left_out = {}
        self.curves.clear()
        if resume:
            self._show_earlier()
        state.progress = Progress(Stage.STARTING)
        spare_collector(self)  # what was there before can wait until the training is over
        self._job = self.jobs.start(tasks.run(request), self._hear, self._end)

    def _show_earlier(self) -> None:
        """Begin the curves with the epochs before the training was cut off."""
        try:
            for fold, folder in enumerate(_run_folders(self.state.out)):
                for row in read_scalars(folder):
                    stage, epoch = Stage(str(row.pop("stage"))), int(row.pop("epoch"))
                    figures = {name: float(value) for name, value in row.items() if value != ""}
                    self.curves.add(EpochDone(epoch, epoch, figures, stage, fold))
        except (ResultError, ValueError) as error:
            _log.warning("The earlier epochs are not shown: %s", error)

    def cancel(self) -> None:
        """End the training at its next step; its checkpoints stay."""
        if self._job is not None:
            self.state.progress = Progress(Stage.CANCELLING)
            self._job.stop()

    def _hear(self, event: object) -> None:
        state = self.state
        if isinstance(event, Waiting):
            if event.stage:
                state.progress = Progress(Stage.LOADING)
        elif isinstance(event, Progress):
            state.progress = event
        elif isinstance(event, RunPlanned):
            state.plan = event.plan
        elif isinstance(event, EpochDone):
            state.epoch = event
            self.curves.add(event)
        elif isinstance(event, SlideLeftOut | RegionsNoted):
            # once, also where folds repeat it
            self._left_out[type(event), event.slide] = str(event)
        elif isinstance(event, RunFinished):
            self._finished = True

    def _end(self) -> None:
        state = self.state
        cancelled = self._job is not None and self._job.stopping
        self._let_go()
        state.progress = None
        if self._finished:
            state.outcome = " ".join(["Training has finished.", *self._left_out_words()])
            self.open_run(state.out)
        elif cancelled:
            kept = " Its last checkpoint is kept: Resume continues from there."
            state.outcome = f"Cancelled.{kept if self.may_resume() else ''}"
        self.ended.emit()

    def _left_out_words(self) -> list[str]:
        words = "; ".join(self._left_out.values())
        return [f"{words}."] if words else []

    def _let_go(self) -> None:
        if self._job is not None:
            self._job = None
            let_collect(self)

    def holds_run(self) -> bool:
        """Say whether the folder holds a training, ended or not."""
        return any((folder / CONFIG).exists() for folder in _run_folders(self.state.out))

    def may_resume(self) -> bool:
        """Say whether the folder holds a training that has not ended."""
        return self.holds_run() and not (self.state.out / METRICS).exists()

    def why_no_resume(self) -> str:
        """Say why no training can go on; empty when one can."""
        if self.busy:  # asked at each step, when a disk far away must not be
            return "Training is in progress."
        if not self.may_resume():
            return "The output folder contains no unfinished training run."
        return self.why_not() if self.state.rows else ""

    def free_folder(self) -> Path:
        """Return a folder beside the chosen one that is not there yet, such as name-2."""
        out = self.state.out
        names = (out.with_name(f"{out.name}-{number}") for number in count(2))
        return next(folder for folder in names if not folder.exists())

    def _tell(self, error: Exception) -> None:
        if isinstance(error, XmagError):
            _log.error("%s", error.details(), exc_info=error)
            words = str(error)
        else:
            _log.error("Unexpected error", exc_info=error)
            words = f"Unexpected error ({type(error).__name__}): {error}. The log has the details; "
            words += "please report it."
        self.state.failed = True
        self.state.outcome = words

    # results

    def open_run(self, folder: Path) -> None:
        """Show a training that is finished."""
        self.jobs.start(tasks.read_record(folder), self._read)

    def _read(self, event: "Waiting | RunRecord") -> None:
        if not isinstance(event, Waiting):
            self.state.record = event

    def add_model(self, folder: Path) -> None:
        """Copy the trained model among the user's own; an older one of its name is replaced."""

        def hear(event: object) -> None:
            if not isinstance(event, Waiting):
                self.model_added.emit(event)

        self.jobs.start(tasks.add_model(folder), hear)


def _run_folders(out: Path) -> tuple[Path, ...]:
    """Return where a training writes its settings: the folder, or those of its folds."""
    return (out, *sorted(out.glob("fold-*")))
