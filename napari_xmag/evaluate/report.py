"""Figures side by side, as JSON for programs and Markdown for people."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from napari_xmag._about import NOTICE
from napari_xmag.analyze.provenance import program_versions
from napari_xmag.filenames import RESULTS, RESULTS_TABLE
from napari_xmag.files import whole_file, write_json
from napari_xmag.markdown import table
from napari_xmag.stats.metrics import FIGURES, Interval

Task = TypeVar("Task")

FORMAT = "napari-xmag evaluation"
TITLES = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
}


@dataclass(frozen=True)
class EncoderFigures:
    """One encoder with one method on one task.

    Attributes
    ----------
    figures
        Each figure with its interval.
    above
        How far each lies above the reference encoder with the same method; empty for that one.
    facts
        What was found on the way (chosen C, tiles a picture, converged), JSON-able.
    """

    encoder: str
    method: str
    figures: Mapping[str, Interval]
    above: Mapping[str, Interval] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskReport:
    """All encoders on one task.

    Attributes
    ----------
    classes
        Names, in the order of the probabilities.
    rows, counts
        Rows that were judged, and how many of each class.
    division
        In words: how rows to train on and to judge were parted, and what was resampled.
    """

    name: str
    classes: Sequence[str]
    rows: int
    counts: Mapping[str, int]
    division: str
    entries: Sequence[EncoderFigures]
    notes: Sequence[str] = ()


def write_evaluation(
    out: Path,
    kind: str,
    config: Mapping[str, Any],
    tasks: Sequence[Task],
    encoders: Mapping[str, Mapping[str, Any]],
    table: Callable[[Task], str],
) -> None:
    """Write results.json and results.md.

    Parameters
    ----------
    tasks
        What was found, a dataclass for each task.
    table
        Tells a task in Markdown, such as `task_table`.

    Raises
    ------
    ExportError
        When the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        "kind": kind,
        "notice": NOTICE,
        "tasks": [asdict(cast(Any, task)) for task in tasks],
        "encoders": encoders,
        "config": config,
        "versions": program_versions(),
    }
    write_json(out / RESULTS, content)
    parts = [f"**{NOTICE}**", *map(table, tasks)]
    with whole_file(out / RESULTS_TABLE) as unfinished:
        unfinished.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def task_table(task: TaskReport) -> str:
    """Return a task as Markdown: a heading, how it was divided, a table, notes."""
    counts = ", ".join(f"{number} {name}" for name, number in task.counts.items())
    parts = [
        f"## {task.name}",
        f"N = {task.rows} ({counts}). {task.division}",
        _figures([(entry, entry.figures) for entry in task.entries]),
    ]
    compared = [(entry, entry.above) for entry in task.entries if entry.above]
    if compared:
        # an entry without a difference is the reference
        reference = next(entry.encoder for entry in task.entries if not entry.above)
        parts.append(f"Difference from {reference}, on the same resamples:")
        parts.append(_figures(compared, "+"))
    return "\n\n".join([*parts, *(f"- {note}" for note in task.notes)])


def _figures(
    entries: Sequence[tuple[EncoderFigures, Mapping[str, Interval]]], sign: str = ""
) -> str:
    rows = [
        (entry.encoder, entry.method, *(_cell(values[name], sign) for name in FIGURES))
        for entry, values in entries
    ]
    return table(("encoder", "method", *(TITLES[name] for name in FIGURES)), rows)


def _cell(value: Interval, sign: str) -> str:
    if not np.isfinite(value.value):
        return "–"
    ends = f"{value.low:{sign}.3f} … {value.high:{sign}.3f}"
    return f"{value.value:{sign}.3f} ({ends if np.isfinite(value.low) else 'no CI'})"


def write_probabilities(
    path: Path, unit: str, classes: Sequence[str], lines: Iterable[Sequence[Any]]
) -> None:
    """Write probabilities row by row as CSV.

    Parameters
    ----------
    unit
        What a row is: tile or slide.
    lines
        Name, group, label, encoder, method, run, fold, and a probability for each class.
    """
    with whole_file(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as to:
        writer = csv.writer(to)
        scores = [f"probability_{name}" for name in classes]
        writer.writerow([unit, "group", "label", "encoder", "method", "run", "fold", *scores])
        writer.writerows(lines)
