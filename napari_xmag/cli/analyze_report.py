"""What `napari-xmag analyze` says while it works: lines for a person, or events for a program."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_xmag._about import NOTICE
from napari_xmag.cli.progress_line import ProgressLine
from napari_xmag.cli.slides import words_of_skipped
from napari_xmag.progress.words import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_xmag.analyze.events import AnalyzeEvent
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.slide.find import FoundSlides


class AnalyzeReport(Protocol):
    """Listens to the analysis of one slide after another."""

    def found(self, found: "FoundSlides") -> None:
        """Folders were searched; what was left out is named."""

    def begin(self, path: Path, name: str, number: int, count: int) -> None:
        """Hear that a slide is begun."""

    def show(self, event: "AnalyzeEvent") -> None:
        """Hear what happened."""

    def warn(self, name: str, words: str) -> None:
        """Something about a slide must be known, and stops nothing."""

    def finish(
        self, name: str, result: "SlideResult", folder: Path, notes: "Sequence[str]"
    ) -> None:
        """Hear of a slide that is written; ``notes`` are lines about what was analysed."""

    def fail(self, name: str, error: Exception) -> None:
        """Hear why a slide failed."""

    def close(self, done: int, failed: "Sequence[str]") -> None:
        """Hear that the run is over."""

    def written_back(self, project: Path, images: int, backup: Path) -> None:
        """Hear that answers stand in a project; ``backup`` is the project as it was."""

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

    def begin(self, path: Path, name: str, number: int, count: int) -> None:
        """Start a line."""
        self._line = ProgressLine(f"[{number}/{count}] {name}")

    def show(self, event: "AnalyzeEvent") -> None:
        """Renew the line."""
        self._line.show(event)

    def warn(self, name: str, words: str) -> None:
        """Print the warning."""
        self._line.clear()
        print(f"{name}: {words}", file=sys.stderr)

    def finish(
        self, name: str, result: "SlideResult", folder: Path, notes: "Sequence[str]"
    ) -> None:
        """Print the answer."""
        print(summary(name, result, folder, notes), flush=True)

    def fail(self, name: str, error: Exception) -> None:
        """Print the reason."""
        self._line.clear()
        print(f"{name}: FAILED. {error}", file=sys.stderr)

    def close(self, done: int, failed: "Sequence[str]") -> None:
        """Print how many were done, and which were not."""
        count = done + len(failed)
        print(f"{done} of {count} {'slide' if count == 1 else 'slides'} analyzed. {NOTICE}")
        if failed:
            print(f"Failed: {', '.join(failed)}", file=sys.stderr)

    def written_back(self, project: Path, images: int, backup: Path) -> None:
        """Print where the answers went."""
        count = "1 image" if images == 1 else f"{images} images"
        print(f"Written back to {count} of {project}; the project before: {backup.name}")

    def abandon(self) -> None:
        """Take the line off the terminal."""
        self._line.clear()


def summary(name: str, result: "SlideResult", folder: Path, notes: "Sequence[str]") -> str:
    """Return what a person wants to know of a result."""
    shares = sorted(zip(result.probabilities, result.classes, strict=False), reverse=True)
    words = ", ".join(f"{name} {100 * share:.1f} %" for share, name in shares)
    count, seconds = result.tiles_read, result.seconds["total"]
    tiles = "1 tile" if count == 1 else f"{count} tiles"
    lines = [
        name,
        f"  prediction  {result.headline}{f' ({result.rule})' if result.rule else ''}",
        *(f"  abstained   {reason}" for reason in result.abstained),
        f"  scores      {words or 'none'}",
        *(f"  warning     {flag.words}" for flag in result.warnings),
        f"  model       {result.model_words}",
        f"  tissue      {result.tissue_words}",
        *(f"  {note}" for note in notes),
        f"  analyzed    {tiles} in {duration(seconds)}, {count / seconds:.0f} tiles/s",
        f"  written to  {folder}",
    ]
    return "\n".join(lines)
