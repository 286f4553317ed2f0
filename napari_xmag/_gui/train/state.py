"""What the Train widget knows: the cohort, the settings, the training under way, its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal, SignalGroup, evented

from napari_xmag.cohort.problems import Problem
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.progress.events import EpochDone, Progress, RunPlan, Stage

if TYPE_CHECKING:
    from typing import ClassVar

    from napari_xmag.train.config import TrainConfig
    from napari_xmag.train.report.record import RunRecord


class Curves:
    """Scalars of all epochs so far, in the order in which they came.

    Attributes
    ----------
    changed
        Emitted after each epoch.
    stages
        Of each epoch its stage, and its fold from 1 or 0.
    series
        By name one value for each epoch; NaN where it was not measured.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.stages: list[tuple[Stage, int]] = []
        self.series: dict[str, list[float]] = {}

    def add(self, event: EpochDone) -> None:
        """Take in one epoch."""
        known = len(self.stages)
        for name, value in event.scalars.items():
            self.series.setdefault(name, [float("nan")] * known).append(float(value))
        self.stages.append((event.stage, event.fold))
        for values in self.series.values():
            values.extend([float("nan")] * (len(self.stages) - len(values)))
        self.changed.emit()

    def clear(self) -> None:
        """Forget all."""
        self.stages.clear()
        self.series.clear()
        self.changed.emit()


@evented(connect_child_events=False)
@dataclass(eq=False)
class TrainState:
    """The state of one Train widget; what changes is announced by ``events``.

    Attributes
    ----------
    rows
        The cohort.
    problems
        What is wrong with it, by row.
    checked
        Slides that were opened to see whether they can be, and how many there are.
    drawn
        By row number the split that a training would draw now, for rows without one.
    draw_problem
        Why no split can be drawn; empty when one can.
    regions
        By row number how many regions a slide has, as far as they were read.
    table
        Where the cohort was read or saved last.
    note
        A remark on the cohort.
    unused
        Which images of the cohort's files take no part, as far as they were opened.
    busy_words
        What goes on with the cohort (reading, making examples); empty when nothing does.
    made
        Of example slides that are being made, how many lie there and how many will; else None.
    encoders
        Models whose encoder can be taken.
    encoder
        Name of one of them, or a folder.
    config, config_problem
        The settings; None and the reason while they cannot be.
    loaded
        Settings read from a run, for the form to show.
    out
        Folder of the run.
    progress, epoch
        Of the training under way; ``progress`` is None when there is none.
    plan
        What the training will take, as measured before it starts.
    outcome, failed
        How the last training ended, and whether that is an alarm.
    record
        The finished training that is shown.
    """

    if TYPE_CHECKING:
        events: ClassVar[SignalGroup]

    rows: tuple[CohortRow, ...] = ()
    problems: tuple[Problem, ...] = ()
    checked: tuple[int, int] = (0, 0)
    drawn: Mapping[int, str] = field(default_factory=dict)
    draw_problem: str = ""
    regions: Mapping[int, int] = field(default_factory=dict)
    table: Path | None = None
    note: str = ""
    unused: str = ""
    busy_words: str = ""
    made: tuple[int, int] | None = None
    encoders: tuple[Any, ...] = ()
    encoder: str = ""
    config: "TrainConfig | None" = None
    config_problem: str = ""
    loaded: Mapping[str, Any] = field(default_factory=dict)
    out: Path = field(default_factory=lambda: Path.home() / "xmag-training" / "my-model")
    progress: Progress | None = None
    epoch: EpochDone | None = None
    plan: RunPlan | None = None
    outcome: str = ""
    failed: bool = False
    record: "RunRecord | None" = None
