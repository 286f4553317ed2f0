"""How much of an encoder's features survives another stain, scanner or compression."""

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.classifiers import Training, linear_probe
from napari_xmag.evaluate.config import RobustnessConfig
from napari_xmag.evaluate.encoders import TileSource
from napari_xmag.evaluate.features import tile_features
from napari_xmag.evaluate.patches import LabelledPatches, division, over_tasks, scale_notes
from napari_xmag.evaluate.report import write_evaluation
from napari_xmag.evaluate.robustness_report import (
    RobustnessTask,
    ShiftEntry,
    plot_robustness,
    task_tables,
)
from napari_xmag.evaluate.shifts import Shift, shifts
from napari_xmag.progress.events import Progress, RunFinished, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, finish, run_with_progress
from napari_xmag.stats.folds import bootstrap_units, group_codes
from napari_xmag.stats.metrics import Floats, bootstrap, interval

Features = NDArray[np.float32]


@dataclass(frozen=True)
class _Found:
    """What one encoder gives on a task: originals, and each shift."""

    original: Features
    shifted: Mapping[Shift, Features] = field(default_factory=dict)


def evaluate_robustness(
    config: RobustnessConfig, out: Path
) -> Generator[Progress | RunFinished, None, list[RobustnessTask]]:
    """Compare features of changed pictures with those of the originals.

    Three questions, from features to use: how alike the two features are (cosine, the mean feature
    of the originals taken off: without that all features may point one way); how often the original
    that is nearest to a changed picture is its own; and what a linear probe that learned from
    originals loses on changed pictures.

    Parameters
    ----------
    out
        Gets results.json, results.md and a plot for each task.

    Returns
    -------
    The figures of each task.

    Raises
    ------
    CohortError, ConfigError
        When the tiles of a task do not serve.
    TileReadError
        When one of them cannot be decoded.
    ModelError
        When an encoder does not load.
    """
    found, facts = yield from over_tasks(config, partial(_features, config))
    tasks = []
    for table, results in found:
        meter = ProgressMeter(Stage.PROBING, len(results), "encoders", item=table.task.name)
        entries: list[ShiftEntry] = []
        for name, result in results.items():
            entries += yield from run_with_progress(
                partial(_entries, table, name, result, config), meter
            )
            meter.add(1)
        notes = (*table.notes, *scale_notes(table, facts))
        tasks.append(
            RobustnessTask(table.task.name, len(table.judged), division(table), entries, notes)
        )
    written = config.model_dump(mode="json")
    meter = ProgressMeter(Stage.WRITING, 0)
    writing = partial(write_evaluation, out, "robustness", written, tasks, facts, task_tables)
    yield from run_with_progress(writing, meter)
    for one in tasks:
        drawing = partial(plot_robustness, one, out / f"{one.name}.png")
        yield from run_with_progress(drawing, meter)
    yield RunFinished(out, {"tasks": [asdict(one) for one in tasks]})
    return tasks


def _features(
    config: RobustnessConfig, name: str, table: LabelledPatches, source: TileSource
) -> Generator[Progress, None, _Found]:
    crops, item = table.task.crops, f"{name} on {table.task.name}"
    original = yield from tile_features(table.tiles, table.hashes, source, crops, item)
    # Only what is judged is ever shifted: the probe learns from originals.
    tiles = [table.tiles[row] for row in table.judged]
    hashes = [table.hashes[row] for row in table.judged]
    shifted = {}
    for shift in shifts(config.shifts, config.seed):
        result = yield from tile_features(
            tiles, hashes, source, crops, f"{item}, {shift.name}", shift
        )
        shifted[shift] = result.features
    return _Found(original.features, shifted)


def _entries(
    table: LabelledPatches, encoder: str, found: _Found, config: RobustnessConfig
) -> list[ShiftEntry]:
    own = found.original[table.judged]
    codes = group_codes([table.hashes[row] for row in table.judged])
    probabilities = _probed(table, found, config)
    units, _ = bootstrap_units(table.groups[table.judged], config.bootstrap.unit)
    labels, level = table.labels[table.judged], config.bootstrap.level
    draws = {"replicates": config.bootstrap.replicates, "seed": config.seed}
    samples = [finish(bootstrap(labels, run, units, **draws))["auc"] for run in probabilities]
    entries = []
    for number, (shift, changed) in enumerate(found.shifted.items(), 1):
        cosines = centred_cosines(changed, own)
        entries.append(
            ShiftEntry(
                encoder=encoder,
                shift=shift.name,
                stability=float(cosines.diagonal().mean()),
                recognized=float((codes[cosines.argmax(1)] == codes).mean()),
                auc=interval(samples[number], level),
                change=interval(samples[number] - samples[0], level),
                original=interval(samples[0], level),
            )
        )
    return entries


def centred_cosines(changed: Features, original: Features) -> Floats:
    """Return the cosine (N, N) of each changed with each original feature.

    Parameters
    ----------
    changed, original
        Float (N, D); the mean of the originals is taken off both.
    """
    mean = original.mean(0, dtype=np.float64)
    here, there = changed - mean, original - mean
    here /= np.maximum(np.linalg.norm(here, axis=1, keepdims=True), 1e-12)
    there /= np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-12)
    cosines: Floats = here @ there.T
    return cosines


def _probed(table: LabelledPatches, found: _Found, config: RobustnessConfig) -> Floats:
    """Return probabilities (1 + shifts, judged rows, C), originals first, of one probe a fold."""
    place = np.full(len(table.tiles), -1)
    place[table.judged] = np.arange(len(table.judged))
    judged = np.stack([found.original[table.judged], *found.shifted.values()])
    probabilities = np.zeros((*judged.shape[:2], len(table.classes)))
    for train, test in table.folds:
        training = Training(
            found.original[train], table.labels[train], table.groups[train], len(table.classes)
        )
        rows = judged[:, place[test]]
        probed = linear_probe(training, np.concatenate(rows), config.probe, config.seed)
        shape = (len(judged), len(test), len(table.classes))
        probabilities[:, place[test]] = probed.probabilities.reshape(shape)
    return probabilities
