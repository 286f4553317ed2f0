"""Predictions of several encoders on the same rows: figures, intervals, differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.config import ComparisonConfig
from napari_xmag.evaluate.report import Entry, TaskReport, write_predictions
from napari_xmag.stats.folds import Indices, bootstrap_units, group_codes
from napari_xmag.stats.metrics import (
    Floats,
    bootstrap,
    difference,
    intervals,
    mean_samples,
)


@dataclass(frozen=True)
class Rows:
    """What is judged, in one order for all encoders.

    Attributes
    ----------
    names, groups
        Of each row.
    labels
        Int (R,), index into ``classes``.
    unit
        What a row is, in words: tile or slide.
    """

    names: Sequence[str]
    groups: Sequence[str]
    labels: Indices
    classes: Sequence[str]
    unit: str


@dataclass(frozen=True)
class Outcome:
    """What one encoder with one method says of rows that it was not trained on.

    Attributes
    ----------
    probabilities
        Float (S, R, C) of S runs.
    folds
        Int (S, R), the fold in which a row was judged.
    facts
        What was found on the way, JSON-able.
    """

    encoder: str
    method: str
    probabilities: Floats
    folds: NDArray[np.int64]
    facts: Mapping[str, Any] = field(default_factory=dict)


def compare(
    name: str,
    rows: Rows,
    outcomes: Sequence[Outcome],
    config: ComparisonConfig,
    division: str,
    notes: Sequence[str] = (),
) -> TaskReport:
    """Return the figures of a task; a figure of several runs is their mean.

    All outcomes see the same bootstrap draws, so differences between them are paired.

    Parameters
    ----------
    division
        In words: how rows to train on and to judge were parted.
    """
    settings = config.bootstrap
    units, drawn = bootstrap_units(group_codes(rows.groups), settings.unit)
    samples = {}
    for outcome in outcomes:
        runs = [
            bootstrap(rows.labels, run, units, replicates=settings.replicates, seed=config.seed)
            for run in outcome.probabilities
        ]
        samples[outcome.encoder, outcome.method] = mean_samples(runs)
    entries = [
        Entry(
            outcome.encoder,
            outcome.method,
            intervals(samples[outcome.encoder, outcome.method], settings.level),
            {}
            if outcome.encoder == config.against
            else difference(
                samples[outcome.encoder, outcome.method],
                samples[config.against, outcome.method],
                settings.level,
            ),
            outcome.facts,
        )
        for outcome in outcomes
    ]
    counts = Counter(rows.classes[label] for label in rows.labels)
    what = f"whole groups ({len(np.unique(units))})" if drawn == "group" else f"{rows.unit}s"
    words = (
        f"{division} In brackets: {100 * settings.level:g} % intervals of "
        f"{settings.replicates} bootstrap draws of {what}."
    )
    return TaskReport(
        name,
        tuple(rows.classes),
        len(rows.labels),
        dict(sorted(counts.items())),
        words,
        entries,
        tuple(notes),
    )


def write_outcomes(path: Path, rows: Rows, outcomes: Sequence[Outcome]) -> None:
    """Write every probability as CSV, one line for each row, encoder, method and run.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    labels = [rows.classes[label] for label in rows.labels]
    lines = (
        (name, group, label, outcome.encoder, outcome.method, run, int(fold), *values)
        for outcome in outcomes
        for run in range(len(outcome.probabilities))
        for name, group, label, fold, values in zip(
            rows.names,
            rows.groups,
            labels,
            outcome.folds[run],
            outcome.probabilities[run].tolist(),
            strict=True,
        )
    )
    write_predictions(path, rows.unit, rows.classes, lines)
