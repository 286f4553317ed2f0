"""``--progress json``: the analysis as events for another program, one JSON object a line."""

import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from napari_xmag._about import NOTICE, __version__
from napari_xmag.analyze.events import AnalyzeEvent, SlidePlanned, TilesDone, Waiting
from napari_xmag.errors import XmagError

if TYPE_CHECKING:
    from napari_xmag.batch.events import BatchMoved, SlideDone, SlideEncoded, SlideLabel
    from napari_xmag.cli.analyze_report import Count
    from napari_xmag.slide.find import FoundSlides

_BEAT_SECONDS = 0.4
_LEAST_SECONDS = 0.1
_STARTING = "loading the model"


class JsonReport:
    """Writes one line an event, at least twice a second whatever the work does meanwhile.

    Loading a model and writing the results yield no events, so a thread repeats the last stage
    while nothing else is said. Lines are ASCII: no code page of a pipe can spoil them. A reader
    that goes away ends the run with a BrokenPipeError.

    Parameters
    ----------
    stream
        Standard output when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._spoke = 0.0
        self._ended = False
        self._slide: dict[str, str] = {}
        self._now: dict[str, Any] = {"event": "waiting", "stage": _STARTING, "done": 0, "total": 0}
        self._say({"event": "started", "version": __version__, "notice": NOTICE})
        self._beat = threading.Thread(target=self._repeat, name="xmag-progress", daemon=True)
        self._beat.start()

    def found(self, found: "FoundSlides") -> None:
        """Write what was left out below the folders."""
        parts = (("skipped", found.skipped), ("not_searched", found.unread))
        left = {key: [{"path": str(s.path), "why": s.why} for s in which] for key, which in parts}
        self._say({"event": "found", **left})

    def begin(self, slide: "SlideLabel", number: int, count: int) -> None:
        """Name the slide."""
        self._slide = _named(slide)
        self._now = _waiting("opening the slide", 0, 0)
        self._say({"event": "slide", "number": number, "count": count})

    def show(self, event: AnalyzeEvent) -> None:
        """Write an event; of many in a tenth of a second only the last is told."""
        content = _content(event)
        if content is None:
            return
        done, total = content.get("done", 0), content.get("total", content.get("tiles", 0))
        last = total > 0 and done == total
        self._now = _waiting("writing the results" if last else "reading", done, total)
        if isinstance(event, Waiting):
            self._now = content
        told = last or isinstance(event, SlidePlanned)
        if told or time.monotonic() - self._spoke >= _LEAST_SECONDS:
            self._say(content)

    def follow(self, moved: "BatchMoved") -> None:
        """Write how far all is."""
        left = moved.seconds_left
        self._now = {
            "event": "progress",
            "done": moved.done,
            "total": moved.total,
            "running": list(moved.running),
            "share": round(moved.share, 4),
            "tiles_per_second": round(moved.tiles_per_second, 3),
            "seconds_left": round(left, 1) if left == left else None,
        }
        last = moved.done == moved.total
        if last or time.monotonic() - self._spoke >= _LEAST_SECONDS:
            self._say(self._now)

    def warn(self, slide: "SlideLabel", words: str) -> None:
        """Write a warning."""
        self._say({"event": "warning", "message": words, **_named(slide)})

    def finish(self, done: "SlideDone") -> None:
        """Write the answer, and what QuPath keeps of it."""
        from napari_xmag.qupath.metadata import image_description, image_metadata

        result = done.result
        self._say(
            {
                "event": "finished",
                **_named(done.slide),
                "folder": str(done.folder.absolute()),
                "reused": done.reused,
                "headline": result.headline,
                "answer": result.answer,
                "abstained": list(result.abstained),
                "predicted": result.predicted,
                "probabilities": dict(zip(result.classes, result.probabilities, strict=False)),
                "flags": [{"code": str(flag.code), "words": flag.words} for flag in result.flags],
                "notes": list(done.notes),
                "patches": len(result.patches),
                "qupath": {
                    "metadata": image_metadata(result),
                    "description": image_description(result),
                },
            }
        )

    def encoded(self, done: "SlideEncoded") -> None:
        """Write where the features are."""
        self._say(
            {
                "event": "finished",
                **_named(done.slide),
                "folder": str(done.folder.absolute()),
                "reused": done.reused,
                "patches": done.patches,
                "dimensions": done.dimensions,
                "unreadable": done.unreadable,
            }
        )

    def fail(self, slide: "SlideLabel", error: Exception) -> None:
        """Write why a slide failed."""
        self._say({"event": "failed", "message": str(error), **_parts(error), **_named(slide)})

    def refuse(self, error: XmagError, count: "Count | None" = None) -> None:
        """Write why the run or writing back was refused, and that it is over; once."""
        if self._ended:
            return
        self._slide = {}
        self._say({"event": "failed", "message": str(error), **_parts(error)})
        if count is not None:
            self.close(count)
        else:
            self._ended = True
            self._say({"event": "ended", "done": 0, "failed": []})

    def close(self, count: "Count") -> None:
        """Write how many slides were done."""
        self._slide, self._ended = {}, True
        before = {"reused": count.reused} if count.reused else {}
        self._say({"event": "ended", "done": count.done, "failed": count.failed, **before})

    def written_back(
        self, project: Path, images: int, backup: Path | None, failed: int = 0
    ) -> None:
        """Write where the answers went."""
        self._slide = {}
        paths = {"project": str(project), "backup": None if backup is None else str(backup)}
        self._say({"event": "written_back", "images": images, "failed": failed, **paths})

    def abandon(self) -> None:
        """Fall silent."""
        self._over.set()
        self._beat.join()

    def _repeat(self) -> None:
        while not self._over.wait(_BEAT_SECONDS / 4):
            if time.monotonic() - self._spoke >= _BEAT_SECONDS:
                try:
                    self._say(self._now)
                except BrokenPipeError:  # the next event of the run itself says so
                    return

    def _say(self, content: Mapping[str, Any]) -> None:
        line = json.dumps({**self._slide, **content}, allow_nan=False)
        with self._lock:
            self._spoke = time.monotonic()
            print(line, file=self._stream, flush=True)


def _parts(error: Exception) -> dict[str, str]:
    if not isinstance(error, XmagError):
        return {}
    return {"expected": error.expected, "found": error.found, "hint": error.hint}


def _named(slide: "SlideLabel") -> dict[str, str]:
    return {"slide": str(slide.path), "name": slide.name}


def _waiting(stage: str, done: int, total: int) -> dict[str, Any]:
    return {"event": "waiting", "stage": stage, "done": done, "total": total}


def _content(event: AnalyzeEvent) -> dict[str, Any] | None:
    if isinstance(event, Waiting):
        return _waiting(event.stage, event.done, event.total)
    if isinstance(event, SlidePlanned):
        return {"event": "planned", "tiles": event.tiles}
    if isinstance(event, TilesDone):
        return {
            "event": "tiles",
            "done": event.done,
            "total": event.total,
            "unreadable": event.unreadable,
            "tiles_per_second": round(event.tiles_per_second, 3),
            "seconds_left": round(event.seconds_left, 1),
        }
    return None
