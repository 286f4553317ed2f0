"""Hears what a batch says: tells the user, counts, and keeps the tables."""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from napari_xmag.batch.events import (
    BatchEvent,
    BatchMoved,
    SlideBegun,
    SlideDone,
    SlideEncoded,
    SlideFailed,
    SlideMoved,
    SlideWarned,
)
from napari_xmag.cli.analyze_report import Count

if TYPE_CHECKING:
    from napari_xmag.batch.targets import Target
    from napari_xmag.cli.analyze_report import AnalyzeReport
    from napari_xmag.cli.write_back import WriteBack


class Tables(Protocol):
    """Rows of all slides on disk, which grow as the run goes."""

    def done(self, event: Any) -> None:
        """Take in a `SlideDone` or `SlideEncoded`."""

    def failed(self, event: SlideFailed) -> None:
        """Take in a failure."""

    def write(self, *, last: bool = False) -> None:
        """Write what is due, or all of it."""


class BatchListener:
    """Use it as a context: what was heard by then is in the tables when the block ends.

    Parameters
    ----------
    targets
        What is worked on, in the order of the tasks.
    tables
        Keeps a row of each slide.
    report
        Is told.
    answers
        Takes in results of slides in QuPath projects.
    verb
        What is done, as "analyzed".

    Attributes
    ----------
    count
        What became of the slides so far.
    """

    def __init__(
        self,
        targets: "Sequence[Target]",
        tables: Tables | None,
        report: "AnalyzeReport",
        answers: "WriteBack | None" = None,
        verb: str = "analyzed",
    ) -> None:
        self._tables = tables
        self._targets = targets
        self._names = Counter(target.label().name for target in targets)
        self._report = report
        self._answers = answers
        self.count = Count(verb=verb)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tables is not None:
            self._tables.write(last=True)

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
            self._fail(number, event)
        else:
            self._done(number, event)

    def _done(self, number: int, event: SlideDone | SlideEncoded) -> None:
        self.count.done += 1
        self.count.reused += event.reused
        if isinstance(event, SlideEncoded):
            self._report.encoded(event)
        else:
            if self._answers is not None:
                self._answers.add(self._targets[number], event.result)
            self._report.finish(event)
        if self._tables is not None:
            self._tables.done(event)
            self._tables.write()

    def _fail(self, number: int, event: SlideFailed) -> None:
        label = self._targets[number].label()
        several = self._names[label.name] > 1
        self.count.failed.append(event.slide.whole_name if several else event.slide.name)
        if self._answers is not None:
            self._answers.add_failure(self._targets[number], event.error)
        self._report.fail(event.slide, event.error)
        if self._tables is not None:
            self._tables.failed(event)
            self._tables.write()
