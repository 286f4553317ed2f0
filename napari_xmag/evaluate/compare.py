"""Predictions of several encoders on the same rows: figures, intervals, differences."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.config import ComparisonConfig
from napari_xmag.evaluate.report import EncoderFigures, TaskReport, write_probabilities
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, Steps, run_steps
from napari_xmag.stats.folds import Indices, bootstrap_units, group_codes
from napari_xmag.stats.metrics import (
    Floats,
    Interval,
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


def together(runs: Sequence[Outcome]) -> Outcome:
    """Return several runs of one encoder and method as one outcome."""
    first, converged = runs[0], all(run.facts.get("converged", True) for run in runs)
    return Outcome(
        first.encoder,
        first.method,
        np.concatenate([run.probabilities for run in runs]),
        np.concatenate([run.folds for run in runs]),
        {**first.facts, "converged": converged},
    )


Samples = Mapping[tuple[str, str], Mapping[str, Floats]]
"""Of each encoder and method the figures, and those of the resamples."""


def compare(
    name: str,
    rows: Rows,
    outcomes: Sequence[Outcome],
    config: ComparisonConfig,
    division: str,
    notes: Sequence[str] = (),
) -> Generator[Progress, None, TaskReport]:
    """Compute the figures of a task; a figure of several runs is their mean.

    All outcomes see the same bootstrap resamples, so differences between them are paired.

    Parameters
    ----------
    division
        In words: how the rows to train on and to test on were divided.
    """
    settings = config.bootstrap
    units, drawn = bootstrap_units(group_codes(rows.groups), settings.unit)
    total = settings.replicates * sum(len(outcome.probabilities) for outcome in outcomes)
    meter = ProgressMeter(Stage.RESAMPLING, total, "resamples", item=name)
    samples = yield from run_steps(_resampled(rows, outcomes, units, config), meter)
    what = f"whole groups ({len(np.unique(units))})" if drawn == "group" else f"{rows.unit}s"
    words = (
        f"{division} In brackets: {100 * settings.level:g} % confidence intervals from "
        f"{settings.replicates:,} bootstrap resamples of {what}."
    )
    counts = Counter(rows.classes[label] for label in rows.labels)
    return TaskReport(
        name,
        tuple(rows.classes),
        len(rows.labels),
        dict(sorted(counts.items())),
        words,
        [_entry(outcome, samples, config) for outcome in outcomes],
        tuple(notes),
    )


def _resampled(
    rows: Rows, outcomes: Sequence[Outcome], units: Indices, config: ComparisonConfig
) -> Steps[Samples]:
    draws = {"replicates": config.bootstrap.replicates, "seed": config.seed}
    samples = {}
    for outcome in outcomes:
        runs = []
        for run in outcome.probabilities:
            runs.append((yield from bootstrap(rows.labels, run, units, **draws)))
        samples[outcome.encoder, outcome.method] = mean_samples(runs)
    return samples


def _entry(outcome: Outcome, samples: Samples, config: ComparisonConfig) -> EncoderFigures:
    own, level = samples[outcome.encoder, outcome.method], config.bootstrap.level
    above: Mapping[str, Interval] = {}
    if outcome.encoder != config.against:
        above = difference(own, samples[config.against, outcome.method], level)
    return EncoderFigures(
        outcome.encoder, outcome.method, intervals(own, level), above, outcome.facts
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
    write_probabilities(path, rows.unit, rows.classes, lines)
