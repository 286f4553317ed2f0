"""Patch tasks: simple classifiers on the frozen features of labelled tiles."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError
from napari_xmag.evaluate.classifiers import Training, probe
from napari_xmag.evaluate.compare import Outcome, Rows, compare, together, write_outcomes
from napari_xmag.evaluate.config import PatchConfig, ProbeConfig
from napari_xmag.evaluate.encoders import TileSource, load_source
from napari_xmag.evaluate.features import TileFeatures, content_hashes, tile_features
from napari_xmag.evaluate.plots import plot_tasks
from napari_xmag.evaluate.report import TaskReport, task_table, write_evaluation
from napari_xmag.evaluate.tasks import PatchTask
from napari_xmag.evaluate.tiles import LabelledTile, labelled_tiles, shorter_um
from napari_xmag.progress.events import Progress, RunFinished, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress
from napari_xmag.stats.folds import (
    LEAVE_ONE_OUT,
    Fold,
    Indices,
    fold_numbers,
    group_codes,
    grouped_folds,
    linked_groups,
)

T = TypeVar("T")
Facts = dict[str, Mapping[str, Any]]
Encode = Callable[[str, "LabelledPatches", TileSource], Generator[Progress, None, T]]

# Enlarging by less than this is a rounding of what is known of the pixel size.
_ENLARGED = 1.1
# From here on the differences between encoders are those of a few pictures.
_SATURATED = 0.99


@dataclass(frozen=True)
class LabelledPatches:
    """The tiles of a task with everything that is the same for all encoders.

    Attributes
    ----------
    hashes
        SHA-256 of each tile's bytes.
    labels, groups
        Int (N,); exact copies are in one group.
    sides_um
        The shortest and the longest of the pictures' shorter sides.
    """

    task: PatchTask
    tiles: list[LabelledTile]
    hashes: list[str]
    classes: tuple[str, ...]
    labels: Indices
    groups: Indices
    folds: list[Fold]
    sides_um: tuple[float, float]
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> Indices:
        """Rows that are in a test part."""
        return np.flatnonzero(fold_numbers(self.folds, len(self.tiles)))

    def rows(self) -> Rows:
        """Return the judged rows."""
        names = [f"{tile.path.parent.name}/{tile.path.name}" for tile in self.tiles]
        # a group is named as its first tile names it
        named: dict[int, str] = {}
        for tile, name, group in zip(self.tiles, names, self.groups, strict=True):
            named.setdefault(int(group), name if tile.group == str(tile.path) else tile.group)
        return Rows(
            [names[row] for row in self.judged],
            [named[int(group)] for group in self.groups[self.judged]],
            self.labels[self.judged],
            self.classes,
            "tile",
        )


def evaluate_patches(
    config: PatchConfig, out: Path
) -> Generator[Progress | RunFinished, None, list[TaskReport]]:
    """Evaluate encoders by the performance of simple classifiers on their features.

    Parameters
    ----------
    out
        Gets results.json, results.md and, for each task, its predictions.

    Returns
    -------
    The figures of each task.

    Raises
    ------
    CohortError, ConfigError
        When the tiles of a task are unusable.
    TileReadError
        When one of them cannot be decoded.
    ModelError
        When an encoder does not load.
    """
    found, facts = yield from over_tasks(config, _encoded)
    reports = []
    for table, features in found:
        reports.append((yield from _judge([table], table.task.name, features, facts, config, out)))
        for shots in table.task.shots:
            name = f"{table.task.name}-{shots}-shots"
            few = [few_shot(table, shots, (config.seed, i)) for i in range(table.task.draws)]
            reports.append((yield from _judge(few, name, features, facts, config, out)))
    meter = ProgressMeter(Stage.WRITING, 0)
    written = config.model_dump(mode="json")
    writing = partial(write_evaluation, out, "probe", written, reports, facts, task_table)
    yield from run_with_progress(writing, meter)
    yield from run_with_progress(partial(plot_tasks, reports, out), meter)
    yield RunFinished(out, {"tasks": [asdict(report) for report in reports]})
    return reports


def over_tasks(
    config: PatchConfig, encode: Encode[T]
) -> Generator[Progress, None, tuple[list[tuple[LabelledPatches, dict[str, T]]], Facts]]:
    """Let each encoder do the same on each task, one network in memory at a time.

    Parameters
    ----------
    encode
        Takes an encoder's name, a task's tiles and the encoder.

    Returns
    -------
    Each task with what each encoder gave, and the facts of the encoders; both by encoder's name.

    Raises
    ------
    CohortError, ConfigError
        When the tiles of a task are unusable.
    TileReadError
        When one of them cannot be decoded.
    ModelError
        When an encoder does not load.
    """
    found: list[tuple[LabelledPatches, dict[str, T]]] = []
    for task in config.tasks:
        found.append(((yield from patch_table(task, config.seed)), {}))
    facts: Facts = {}
    for settings in config.encoders:
        source = yield from load_source(settings, config.machine, config.cache)
        facts[settings.name] = source.facts()
        for table, results in found:
            results[settings.name] = yield from encode(settings.name, table, source)
        del source  # the next network may be as large
    return found, facts


def patch_table(task: PatchTask, seed: int) -> Generator[Progress, None, LabelledPatches]:
    """List the tiles of a task and divide them.

    Raises
    ------
    CohortError
        When they do not serve.
    """
    listing = partial(labelled_tiles, task, seed)
    tiles = yield from run_with_progress(listing, ProgressMeter(Stage.HASHING, 0, item=task.name))
    hashes = yield from content_hashes(tiles)
    classes = tuple(sorted({tile.label for tile in tiles}))
    labels = np.array([classes.index(tile.label) for tile in tiles], np.intp)
    copies = group_codes(hashes)
    groups = linked_groups(group_codes([tile.group for tile in tiles]), copies)
    split = np.array([tile.split for tile in tiles])
    if split.any():
        folds = [(np.flatnonzero(split == "train"), np.flatnonzero(split == "test"))]
    else:
        folds = grouped_folds(labels, groups, task.folds, seed)
    notes = _copy_notes(copies, labels, split)
    measuring = partial(list[float], map(shorter_um, tiles))
    meter = ProgressMeter(Stage.HASHING, 0, item=task.name)
    sides = yield from run_with_progress(measuring, meter)
    spread = min(sides), max(sides)
    return LabelledPatches(task, tiles, hashes, classes, labels, groups, folds, spread, notes)


def _encoded(
    name: str, table: LabelledPatches, source: TileSource
) -> Generator[Progress, None, TileFeatures]:
    item = f"{name} on {table.task.name}"
    return (yield from tile_features(table.tiles, table.hashes, source, table.task.crops, item))


def _copy_notes(copies: Indices, labels: Indices, split: NDArray[np.str_]) -> tuple[str, ...]:
    notes = []
    twice = len(copies) - len(np.unique(copies))
    across = len(np.intersect1d(copies[split == "train"], copies[split == "test"]))
    contrary = len(np.unique(np.stack([copies, labels]), axis=1).T) - len(np.unique(copies))
    if across:
        notes.append(
            f"Identical images in train and test: {across}. The performance is overestimated."
        )
    elif twice:
        notes.append(f"Images identical to another: {twice}. Copies are kept in one fold.")
    if contrary:
        notes.append(f"Identical images with different labels: {contrary}.")
    return tuple(notes)


def few_shot(table: LabelledPatches, shots: int, seed: tuple[int, ...]) -> LabelledPatches:
    """Return the same task with so few tiles of each class to train on.

    Raises
    ------
    ConfigError
        When a class has fewer.
    """
    ((train, test),) = table.folds
    draw, chosen = np.random.default_rng((*seed, shots)), []
    for number, name in enumerate(table.classes):
        own = train[table.labels[train] == number]
        if len(own) < shots:
            raise ConfigError(
                expected=f"{shots} tiles of {name} to train on in the task {table.task.name}",
                found=str(len(own)),
                hint="Ask for fewer shots.",
            )
        chosen.append(draw.permutation(own)[:shots])
    return replace(table, folds=[(np.sort(np.concatenate(chosen)), test)])


def _judge(
    tables: Sequence[LabelledPatches],
    task: str,
    features: Mapping[str, TileFeatures],
    encoders: Mapping[str, Mapping[str, Any]],
    config: PatchConfig,
    out: Path,
) -> Generator[Progress, None, TaskReport]:
    """Judge all encoders on a task, divided in one or several ways."""
    methods, table = config.probe.methods, tables[0]
    number = len(features) * len(methods) * len(tables)
    meter = ProgressMeter(Stage.PROBING, number, "probes", item=task)
    outcomes = []
    for name, found in features.items():
        for method in methods:
            runs = []
            for each in tables:
                work = partial(probe_folds, each, name, found, method, config.probe, config.seed)
                runs.append((yield from run_with_progress(work, meter)))
                meter.add(1)
            outcomes.append(together(runs))
    rows, words = table.rows(), division(table)
    words += f" Mean of {len(tables)} draws of these." if len(tables) > 1 else ""
    notes = [*table.notes, *scale_notes(table, encoders), *_probe_notes(outcomes)]
    report = yield from compare(task, rows, outcomes, config, words, notes)
    place = out / f"{task}-predictions.csv"
    yield from run_with_progress(partial(write_outcomes, place, rows, outcomes), meter)
    return replace(report, notes=(*report.notes, *_saturation_notes(report)))


def probe_folds(
    table: LabelledPatches,
    encoder: str,
    found: TileFeatures,
    method: str,
    settings: ProbeConfig,
    seed: int,
) -> Outcome:
    """Train in each fold and predict its test rows; every judged row is predicted once."""
    probabilities = np.zeros((len(table.tiles), len(table.classes)))
    strengths, converged = [], True
    for train, test in table.folds:
        training = Training(
            found.features[train], table.labels[train], table.groups[train], len(table.classes)
        )
        result = probe(method, training, found.features[test], settings, seed)
        probabilities[test] = result.probabilities
        strengths += [result.strength] if result.strength is not None else []
        converged &= result.converged
    judged = table.judged
    numbers = fold_numbers(table.folds, len(table.tiles))[judged]
    facts = {
        "crops_per_picture": float(found.crops.mean()),
        "strengths": strengths,
        "converged": converged,
    }
    return Outcome(encoder, method, probabilities[judged][None], numbers[None], facts)


def division(table: LabelledPatches) -> str:
    """Say how the tiles were divided for training and testing."""
    groups = len(np.unique(table.groups))
    grouped = f" by group ({groups} groups)" if groups < len(table.tiles) else ""
    if len(table.folds) == 1:
        return f"Trained on {len(table.folds[0][0])} other tiles."
    if table.task.folds == LEAVE_ONE_OUT:
        return f"Leave-one-group-out cross-validation over {groups} groups."
    return f"{len(table.folds)}-fold cross-validation{grouped}."


def _saturation_notes(report: TaskReport) -> list[str]:
    """Say so where no encoder leaves room to be better than another."""
    if min(entry.figures["auc"].value for entry in report.entries) < _SATURATED:
        return []
    return [
        f"Saturated: every encoder reaches an AUC of {_SATURATED:g} or more, so that this set does "
        "not rank them."
    ]


def scale_notes(table: LabelledPatches, encoders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which encoders see pictures enlarged."""
    largest = max(tile.mpp for tile in table.tiles)
    factors = {name: largest / facts["mpp"] for name, facts in encoders.items()}
    return [
        f"{name} sees these images magnified {factor:.1f} times "
        f"({largest:g} µm/px resampled to {encoders[name]['mpp']:g}), without additional detail."
        for name, factor in factors.items()
        if factor > _ENLARGED
    ] + _context_notes(table, encoders)


def _context_notes(table: LabelledPatches, encoders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which encoders look at larger tiles than the pictures are."""
    shortest, longest = (f"{side:.0f}" for side in table.sides_um)
    sides = f"{shortest} µm" if shortest == longest else f"{shortest} to {longest} µm"
    looking: dict[float, list[str]] = {}
    for name, facts in encoders.items():
        looking.setdefault(facts["mpp"] * facts["tile_px"], []).append(name)
    return [
        f"Tiles of {tile:.0f} µm ({', '.join(names)}): these images have {sides} and are "
        "extended by reflection, so the context that a slide gives is missing."
        for tile, names in looking.items()
        if table.sides_um[0] < tile / _ENLARGED
    ]


def _probe_notes(outcomes: Sequence[Outcome]) -> list[str]:
    stopped = [outcome.encoder for outcome in outcomes if not outcome.facts.get("converged", True)]
    names = ", ".join(dict.fromkeys(stopped))
    return [f"The logistic regression did not converge: {names}."] if stopped else []
