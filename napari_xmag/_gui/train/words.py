"""What a training says of itself, as a person wants to read it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_xmag._gui.shared.figures import duration
from napari_xmag.progress.events import Progress

_STAGES = {
    "plan": "Measuring a few slides",
    "slides": "Reading the slides",
    "head": "Training the head",
    "end-to-end": "Training end to end",
}
_EARLY = 2.0  # seconds before a rest is guessed
_PLANNED = frozenset(
    (
        *("slides", "training_slides", "validation_slides", "measured_slides"),
        *("tiles", "tiles_per_slide", "tiles_at_once", "memory_gb", "disk_gb", "disk_free_gb"),
        *("minutes", "minutes_features", "minutes_head", "minutes_per_epoch"),
        *("device", "precision"),
    )
)


@dataclass(frozen=True, slots=True)
class Telling:
    """What a bar and a line show: 0 to 1, None while nobody knows; and words."""

    share: float | None
    words: str


class Teller:
    """Follows the events of one training.

    Parameters
    ----------
    slides
        How many there are: the tiles of one slide are a part of the work on all.
    epochs
        By name of a stage, how many it has.
    """

    def __init__(self, slides: int, epochs: Mapping[str, int]) -> None:
        self._slides, self._epochs = slides, epochs
        self._done = 0
        self._stage = ""
        self._begun = time.monotonic()

    def tell(self, progress: Progress) -> Telling:
        """Take in the latest event."""
        fold, _, stage = progress.stage.rpartition(": ")
        name = f"{fold[:1].upper()}{fold[1:]}: " if fold else ""
        if progress.total == 0:
            return Telling(None, f"{name}{_STAGES.get(stage, _capital(stage))} …")
        if Path(stage).suffix:
            return self._tell_slide(name, stage, progress)
        stage = "slides" if stage == "tiles" else stage
        self._enter(stage)
        if stage == "slides":
            self._done = progress.done
        parts = [f"{name}{_STAGES.get(stage, _capital(stage))}", *self._tell_epoch(stage, progress)]
        # A plan counts slides and one step that is longer than they are.
        parts += (
            [] if stage == "plan" else _pace(progress, "slides" if stage == "slides" else "steps")
        )
        return Telling(progress.done / progress.total, " · ".join(parts))

    def _tell_epoch(self, stage: str, progress: Progress) -> list[str]:
        epochs = self._epochs.get(stage)
        if epochs is None:
            return []
        # The last step of an epoch belongs to it, and so does what is measured after it.
        number = max(progress.done - 1, 0) * epochs // progress.total + 1
        return [f"epoch {number} of {epochs}"]

    def _tell_slide(self, fold: str, slide: str, progress: Progress) -> Telling:
        self._enter("slides")
        share = (self._done + progress.done / progress.total) / max(self._slides, 1)
        passed = time.monotonic() - self._begun
        words = f"{fold}{_STAGES['slides']}: {self._done + 1} of {self._slides}, {slide}"
        parts = [words, f"{progress.done} of {progress.total} tiles"]
        if progress.per_second > 0:
            parts.append(f"{_rate(progress.per_second)} tiles/s")
        if share > 0 and passed > _EARLY:
            parts.append(_left(passed * (1 - share) / share))
        return Telling(share, " · ".join(parts))

    def _enter(self, stage: str) -> None:
        """Note that a stage begins; all slides may be read more than once."""
        if stage != self._stage or self._done >= self._slides:
            self._stage, self._done, self._begun = stage, 0, time.monotonic()


def _pace(progress: Progress, unit: str) -> list[str]:
    unit = progress.unit or unit
    parts = [f"{progress.done} of {progress.total} {unit}"]
    if progress.per_second > 0:
        parts.append(f"{_rate(progress.per_second)} {unit}/s")
    if progress.done < progress.total and progress.seconds_left == progress.seconds_left:
        parts.append(_left(progress.seconds_left))
    return parts


def _left(seconds: float) -> str:
    return f"{duration(seconds)} left".replace(" ", "\N{NO-BREAK SPACE}")


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def plan_words(plan: Mapping[str, object]) -> dict[str, str]:
    """Return the facts of a plan as lines: what is counted, and how much of it."""
    if not plan:
        return {}
    lines = {
        "Slides": _of(
            plan, "{slides}: {training_slides} for training, {validation_slides} for validation"
        ),
        "Tiles": _of(plan, "{tiles}, about {tiles_per_slide} a slide"),
        "Time": _time(plan),
        "Memory": _of(plan, "about {memory_gb} GB"),
        "Disk": _of(plan, "about {disk_gb} GB of {disk_free_gb} GB free"),
        "Computes on": _of(plan, "{device}, {precision}"),
        "Tiles at once": _of(plan, "{tiles_at_once}"),
        "Measured on": _of(plan, "{measured_slides} slides"),
    }
    known = {name: text for name, text in lines.items() if text}
    others = {
        _capital(k.replace("_", " ")): fact_words(v) for k, v in plan.items() if k not in _PLANNED
    }
    return known | others


def _of(plan: Mapping[str, object], form: str) -> str:
    try:
        return form.format_map({name: fact_words(value) for name, value in plan.items()})
    except KeyError:
        return ""


def _time(plan: Mapping[str, object]) -> str:
    if "minutes" not in plan:
        return ""
    parts = [
        f"{text} {_minutes(plan[name])}"
        for text, name in (
            ("encoding", "minutes_features"),
            ("head", "minutes_head"),
            ("an epoch end to end", "minutes_per_epoch"),
        )
        if name in plan
    ]
    return f"about {_minutes(plan['minutes'])}" + (f" ({', '.join(parts)})" if parts else "")


def _minutes(value: object) -> str:
    return duration(60 * float(value))


def fact_words(value: object) -> str:
    """Return a fact in words: numbers short, lists with commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact_words(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(fact_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
