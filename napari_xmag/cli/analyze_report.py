"""What `napari-xmag analyze` says while it works: lines for a person, or events for a program."""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_xmag._about import NOTICE
from napari_xmag.cli.limited import ran_out
from napari_xmag.cli.progress_line import ProgressLine
from napari_xmag.cli.slides import words_of_skipped
from napari_xmag.errors import XmagError
from napari_xmag.formatting import percent
from napari_xmag.memory import out_of_memory
from napari_xmag.progress.words import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_xmag.analyze.events import AnalyzeEvent
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.batch.events import BatchMoved, SlideDone, SlideEncoded, SlideLabel
    from napari_xmag.slide.find import FoundSlides


_log = logging.getLogger(__name__)


@dataclass
class Count:
    """What became of the slides of a run.

    Attributes
    ----------
    done
        How many have a result.
    reused
        How many of these had it before.
    failed
        Names of those that have none.
    verb
        What was done with them, as "analyzed".
    """

    done: int = 0
    reused: int = 0
    failed: list[str] = field(default_factory=list)
    verb: str = "analyzed"


class AnalyzeReport(Protocol):
    """Listens to the analysis of slides, one after another or side by side."""

    def found(self, found: "FoundSlides") -> None:
        """Folders were searched; what was left out is named."""

    def begin(self, slide: "SlideLabel", number: int, count: int) -> None:
        """Hear that a slide is begun, and the last one is over."""

    def show(self, event: "AnalyzeEvent") -> None:
        """Hear what happened to the slide that was begun."""

    def follow(self, moved: "BatchMoved") -> None:
        """Hear how far slides are that are analyzed side by side."""

    def warn(self, slide: "SlideLabel", words: str) -> None:
        """Something about a slide must be known, and stops nothing."""

    def finish(self, done: "SlideDone") -> None:
        """Hear of a slide whose result is written."""

    def encoded(self, done: "SlideEncoded") -> None:
        """Hear of a slide whose features are kept."""

    def fail(self, slide: "SlideLabel", error: Exception) -> None:
        """Hear why a slide failed."""

    def close(self, count: Count) -> None:
        """Hear that the run is over."""

    def written_back(
        self, project: Path, images: int, backup: Path | None, failed: int = 0
    ) -> None:
        """Hear that answers stand in a project.

        Parameters
        ----------
        images
            How many of its images were noted on.
        backup
            The project as it was; None where it said all of it already.
        failed
            On how many of these images stands that their analysis failed.
        """

    def refuse(self, error: XmagError, count: Count | None = None) -> None:
        """Hear why the run cannot be, or with a count, why its answers are not written back."""

    def abandon(self) -> None:
        """Hear that nothing more will come, for whatever reason."""


class TextReport:
    """Lines for a person: the answer on standard output, progress and errors beside it."""

    def __init__(self) -> None:
        self._line = ProgressLine()

    def found(self, found: "FoundSlides") -> None:
        """Print what was left out."""
        for line in words_of_skipped(found):
            print(line, file=sys.stderr)

    def begin(self, slide: "SlideLabel", number: int, count: int) -> None:
        """Start a line."""
        self._line = ProgressLine(f"[{number}/{count}] {slide.name}")

    def show(self, event: "AnalyzeEvent") -> None:
        """Renew the line."""
        self._line.show(event)

    def follow(self, moved: "BatchMoved") -> None:
        """Renew the line."""
        self._line.say(_words(moved), moved.share)

    def warn(self, slide: "SlideLabel", words: str) -> None:
        """Print the warning."""
        self._line.clear()
        print(f"{slide.name}: {words}", file=sys.stderr)

    def finish(self, done: "SlideDone") -> None:
        """Print the answer, unless it was there before."""
        self._line.clear()
        if done.reused:
            _log.info("%s was analyzed before: %s", done.slide.name, done.folder)
        else:
            print(summary(done.slide.name, done.result, done.folder, done.notes), flush=True)

    def encoded(self, done: "SlideEncoded") -> None:
        """Print how many there are, unless they were there before."""
        self._line.clear()
        lost = f", {done.unreadable} patches unreadable" if done.unreadable else ""
        patches = "patch" if done.patches == 1 else "patches"
        words = f"{done.patches} {patches} x {done.dimensions}{lost}: {done.folder}"
        if done.reused:
            _log.info("%s was encoded before: %s", done.slide.name, words)
        else:
            print(f"{done.slide.name}: {words}", flush=True)

    def fail(self, slide: "SlideLabel", error: Exception) -> None:
        """Print the reason."""
        self._line.clear()
        print(f"{slide.name}: FAILED. {error}", file=sys.stderr)

    def close(self, count: Count) -> None:
        """Print how many were done, and which were not."""
        self._line.clear()
        total = count.done + len(count.failed)
        before = (
            (f", {count.reused} of them earlier (use --force to redo them)") if count.reused else ""
        )
        slides = "slide" if total == 1 else "slides"
        print(f"{count.done} of {total} {slides} {count.verb}{before}. {NOTICE}")
        if count.failed:
            print(f"Failed: {', '.join(count.failed)}", file=sys.stderr)

    def written_back(
        self, project: Path, images: int, backup: Path | None, failed: int = 0
    ) -> None:
        """Print where the answers went."""
        what = f"predictions on {_images(images - failed)}"
        what += f" and failures on {_images(failed)}" if failed else ""
        if backup is None:
            print(f"Nothing to write: {project} has the same {what} already.")
            return
        what = f"Predictions written to {_images(images - failed)}"
        what += f", failures to {_images(failed)}" if failed else ""
        print(f"{what} of {project}; backup of the project: {backup.name}")

    def refuse(self, error: XmagError, count: Count | None = None) -> None:
        """Print how many were done; the command itself prints the error."""
        if count is not None:
            self.close(count)

    def abandon(self) -> None:
        """Take the line off the terminal."""
        self._line.clear()


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def reported(
    args: argparse.Namespace, work: Callable[[argparse.Namespace, AnalyzeReport], int]
) -> int:
    """Do the work of a command, told as ``--progress`` wants it; return its exit code."""
    from napari_xmag.cli.progress_json import JsonReport

    report: AnalyzeReport = JsonReport() if args.progress == "json" else TextReport()
    try:
        return work(args, report)
    except BrokenPipeError:  # nobody listens any more
        raise
    except Exception as error:
        report.refuse(_as_ours(error))
        raise
    finally:
        report.abandon()


def _as_ours(error: Exception) -> XmagError:
    if isinstance(error, XmagError):
        return error
    if out_of_memory(error):
        return ran_out(error)
    return XmagError(
        expected="the run to end with results",
        found=f"{type(error).__name__}: {error}",
        hint="This is a fault of the program: report it with what was written to standard error.",
        causes=[error],
    )


def _words(moved: "BatchMoved") -> str:
    left = moved.seconds_left
    parts = [
        f"{moved.done}/{moved.total} slides",
        f"{moved.tiles_per_second:.0f} tiles/s" if moved.tiles_per_second else "",
        f"{duration(left)} left" if left == left else "",
    ]
    running = f" ({', '.join(moved.running)})" if moved.running else ""
    return ", ".join(filter(None, parts)) + running


def summary(name: str, result: "SlideResult", folder: Path, notes: "Sequence[str]") -> str:
    """Return what a person wants to know of a result."""
    shares = sorted(zip(result.probabilities, result.classes, strict=False), reverse=True)
    words = ", ".join(f"{name} {percent(share)}" for share, name in shares)
    count, seconds = result.tiles_read, result.seconds["total"]
    tiles = "1 tile" if count == 1 else f"{count} tiles"
    took = f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
    lines = [
        name,
        f"  prediction  {result.headline}{f' ({result.rule})' if result.rule else ''}",
        *(f"  abstained   {reason}" for reason in result.abstained),
        f"  scores      {words or 'none'}",
        *(f"  warning     {flag.words}" for flag in result.warnings),
        f"  model       {result.model_words}",
        f"  tissue      {result.tissue_words}",
        *(f"  {note}" for note in notes),
        f"  analyzed    {tiles} in {took}, {count / seconds:.3g} tiles/s",
        f"  written to  {folder}",
    ]
    return "\n".join(lines)
