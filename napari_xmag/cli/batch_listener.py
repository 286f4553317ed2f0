"""Hears what a batch says: tells the user, counts, and keeps the summary."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from napari_xmag.batch.events import (
    BatchEvent,
    BatchMoved,
    SlideBegun,
    SlideDone,
    SlideFailed,
    SlideMoved,
    SlideWarned,
)
from napari_xmag.batch.summary import Summary
from napari_xmag.cli.analyze_report import Count
from napari_xmag.filenames import SUMMARY_TABLE

if TYPE_CHECKING:
    from napari_xmag.batch.targets import Target
    from napari_xmag.cli.analyze_report import AnalyzeReport
    from napari_xmag.cli.write_back import WriteBack


class BatchListener:
    """Use it as a context: what was heard by then is in the summary when the block ends.

    Parameters
    ----------
    targets
        What is analyzed, in the order of the tasks.
    given
        What the user named.
    out
        Holds all results. A summary is kept there of several slides, or where there is one.
    report, answers
        Are told.

    Attributes
    ----------
    count
        What became of the slides so far.
    """

    def __init__(
        self,
        targets: "Sequence[Target]",
        given: Sequence[Path],
        out: Path,
        report: "AnalyzeReport",
        answers: "WriteBack",
    ) -> None:
        several = len(targets) > 1 or (out / SUMMARY_TABLE).exists()
        self._summary = Summary(out, given) if several else None
        self._targets = targets
        self._report = report
        self._answers = answers
        self.count = Count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._summary is not None:
            self._summary.write(last=True)

    def hear(self, number: int, event: BatchEvent) -> None:
        """Take in an event of the task at this position."""
        if isinstance(event, SlideBegun):
            self._report.begin(event.slide, number + 1, len(self._targets))
        elif isinstance(event, SlideMoved):
            self._report.show(event.event)
        elif isinstance(event, BatchMoved):
            self._report.follow(event)
        elif isinstance(event, SlideWarned):
            self._report.warn(event.slide, event.words)
        elif isinstance(event, SlideFailed):
            self._fail(event)
        else:
            self._done(number, event)

    def _done(self, number: int, event: SlideDone) -> None:
        self.count.done += 1
        self.count.reused += event.reused
        self._answers.add(self._targets[number], event.result)
        self._report.finish(event)
        if self._summary is not None:
            self._summary.done(event)
            self._summary.write()

    def _fail(self, event: SlideFailed) -> None:
        self.count.failed.append(event.slide.name)
        self._report.fail(event.slide, event.error)
        if self._summary is not None:
            self._summary.failed(event)
            self._summary.write()
