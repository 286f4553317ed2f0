"""Slide tasks: an attention head on the frozen features of labelled slides."""

from collections.abc import Container, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from napari_xmag.cohort.opening import open_cohort
from napari_xmag.cohort.rows import TRAIN, CohortRow, slide_names
from napari_xmag.errors import CohortError, TissueError
from napari_xmag.evaluate.compare import Outcome, Rows, compare, write_outcomes
from napari_xmag.evaluate.config import SlidesConfig
from napari_xmag.evaluate.encoders import TileSource, load_source
from napari_xmag.evaluate.plots import plot_tasks
from napari_xmag.evaluate.report import TaskReport, task_table, write_evaluation
from napari_xmag.evaluate.tasks import SlideTask
from napari_xmag.mil.features import SlideFeatures, or_blank, slide_features
from napari_xmag.mil.head_training import Bags, predict_slides, train_head
from napari_xmag.mil.task import SlideBag
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.info import Granularity, softmax
from napari_xmag.progress.events import Progress, RunEvent, RunFinished, SlideLeftOut, Stage
from napari_xmag.progress.heartbeat import (
    ProgressMeter,
    over_items,
    run_steps,
    run_with_progress,
)
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.stats.folds import (
    LEAVE_ONE_OUT,
    Fold,
    Indices,
    fold_numbers,
    group_codes,
    grouped_folds,
)
from napari_xmag.stats.metrics import Floats

SlideKey = tuple[Path, float | None]
Features = dict[SlideKey, SlideFeatures]

_METHOD = "attention head"


@dataclass(frozen=True)
class SlideTable:
    """The slides of a task with everything that is the same for all encoders.

    Attributes
    ----------
    rows
        All slides; those of the test table last.
    tested
        Indices of the slides that are judged.
    labels, groups
        Int (N,) of all slides: class and patient.
    """

    task: SlideTask
    rows: list[CohortRow]
    classes: tuple[str, ...]
    labels: Indices
    groups: Indices
    tested: Indices

    def folds(self, seed: int) -> list[Fold]:
        """Return the folds of one run; one when there is a test table."""
        if self.task.test is not None:
            return [(np.setdiff1d(np.arange(len(self.rows)), self.tested), self.tested)]
        return grouped_folds(self.labels, self.groups, self.task.folds, seed)

    def only(self, known: Container[SlideKey]) -> "SlideTable":
        """Return the table without the slides that are not known.

        Raises
        ------
        CohortError
            When nothing is left of a class.
        """
        kept = [i for i, row in enumerate(self.rows) if (row.slide, row.mpp) in known]
        if len(kept) == len(self.rows):
            return self
        trained = kept if self.task.test is None else np.setdiff1d(kept, self.tested)
        gone = set(range(len(self.classes))) - set(self.labels[trained].tolist())
        if gone or not np.isin(kept, self.tested).any():
            raise CohortError(
                expected=f"slides with tissue of every class in task {self.task.name}",
                found=f"none of {', '.join(self.classes[i] for i in sorted(gone)) or 'the test'}",
                hint="Add slides.",
            )
        return replace(
            self,
            rows=[self.rows[index] for index in kept],
            labels=self.labels[kept],
            groups=self.groups[kept],
            tested=np.flatnonzero(np.isin(kept, self.tested)),
        )

    def judged(self) -> Rows:
        """Return the rows that are judged."""
        chosen = [self.rows[index] for index in self.tested]
        return Rows(
            slide_names(chosen),
            [row.patient for row in chosen],
            self.labels[self.tested],
            self.classes,
            "slide",
        )


def evaluate_slides(config: SlidesConfig, out: Path) -> Generator[RunEvent, None, list[TaskReport]]:
    """Evaluate encoders by an attention head on their features (Ilse et al., arXiv 1802.04712).

    No slide that is judged, and no other slide of its patient, has a part in the training: neither
    in the weights nor in when it stops (a fixed number of epochs, averaged weights).

    Parameters
    ----------
    out
        Gets results.json, results.md and, for each task, its out-of-fold predictions.

    Returns
    -------
    The figures of each task.

    Raises
    ------
    CohortError, ConfigError
        When a table has problems or cannot be divided.
    ModelError
        When an encoder does not load.
    """
    tables = []
    for task in config.tasks:
        tables.append((yield from _table(task)))
    for table in tables:
        # a table that cannot be divided is told before hours of encoding
        dividing = partial(table.folds, config.seed)
        yield from run_with_progress(dividing, ProgressMeter(Stage.CHECKING, 0))
    outcomes: list[list[Outcome]] = [[] for _ in tables]
    facts = {}
    for settings in config.encoders:
        source = yield from load_source(settings, config.machine, config.cache)
        facts[settings.name] = source.facts()
        features = yield from _encode_all(tables, source, settings.granularity, config.min_tissue)
        del source  # the next network may be as large
        _require_the_same(settings.name, tables, features, first=not any(outcomes))
        tables = [table.only(features) for table in tables]
        for table, found in zip(tables, outcomes, strict=True):
            found.append((yield from _judge(settings.name, table, features, config)))
    reports, meter = [], ProgressMeter(Stage.WRITING, 0)
    for table, found in zip(tables, outcomes, strict=True):
        rows = table.judged()
        division = _division(table, config.seeds)
        reports.append((yield from compare(table.task.name, rows, found, config, division)))
        place = out / f"{table.task.name}-predictions.csv"
        yield from run_with_progress(partial(write_outcomes, place, rows, found), meter)
    written = config.model_dump(mode="json")
    writing = partial(write_evaluation, out, "slides", written, reports, facts, task_table)
    yield from run_with_progress(writing, meter)
    yield from run_with_progress(partial(plot_tasks, reports, out), meter)
    yield RunFinished(out, {"tasks": [asdict(report) for report in reports]})
    return reports


def _table(task: SlideTask) -> Generator[Progress, None, SlideTable]:
    rows = yield from _read(task.cohort)
    trained = {row.label for row in rows}
    tested = np.arange(len(rows))
    if task.test is not None:
        others = yield from _read(task.test)
        apart = partial(_require_apart, task, rows, others)
        yield from run_with_progress(apart, ProgressMeter(Stage.CHECKING, 0))
        tested = np.arange(len(rows), len(rows) + len(others))
        rows = [*rows, *others]
    classes = tuple(sorted(trained))
    labels = np.array([classes.index(row.label) for row in rows], np.intp)
    return SlideTable(
        task, rows, classes, labels, group_codes([row.patient for row in rows]), tested
    )


def _read(path: Path) -> Generator[Progress, None, list[CohortRow]]:
    cohort = yield from open_cohort(path)
    cohort.require_good()
    # the table's own split is for train; here every slide is judged once in each run
    return [replace(row, split="") for row in cohort.rows]


def _require_apart(task: SlideTask, rows: Sequence[CohortRow], others: Sequence[CohortRow]) -> None:
    faults = []
    if shared := {row.patient for row in rows} & {row.patient for row in others}:
        faults.append(f"the patients {', '.join(sorted(shared)[:5])} in both")
    known = {slide_fingerprint(row.slide) for row in rows}
    if same := [row.slide.name for row in others if slide_fingerprint(row.slide) in known]:
        faults.append(f"the slides {', '.join(sorted(same)[:5])} in both")
    if unknown := {row.label for row in others} - {row.label for row in rows}:
        faults.append(f"the class {', '.join(sorted(unknown))} only to test")
    if faults:
        raise CohortError(
            expected=f"a test table of other patients with the same classes in task {task.name}",
            found=" and ".join(faults),
            hint="Correct the tables. If different patients share a name, put the name of the "
            "institution in front.",
        )


def _encode_all(
    tables: Sequence[SlideTable], source: TileSource, granularity: Granularity, min_tissue: float
) -> Generator[RunEvent, None, Features]:
    """Encode all slides; those without tissue are told and left out."""
    wanted = list(dict.fromkeys((row.slide, row.mpp) for table in tables for row in table.rows))
    tile_encoder = TileEncoder(source.student, granularity, source.batch, slides=len(wanted))

    def one(slide: SlideKey) -> Generator[Progress, None, SlideFeatures | TissueError]:
        steps = slide_features(
            *slide,
            tile_encoder,
            min_tissue=min_tissue,
            cache=source.cache,
            encoder_id=source.identity,
        )
        return or_blank(steps)

    with closing(tile_encoder):
        encoded = yield from over_items(Stage.ENCODING, wanted, one)
    found = dict(zip(wanted, encoded, strict=True))
    for (path, _), item in found.items():
        if isinstance(item, TissueError):
            yield SlideLeftOut(path, item.found)
    return {key: item for key, item in found.items() if not isinstance(item, TissueError)}


def _require_the_same(
    encoder: str, tables: Sequence[SlideTable], features: Features, *, first: bool
) -> None:
    """Refuse to compare encoders on different slides: those judged already had them all."""
    keys = [(row.slide, row.mpp) for table in tables for row in table.rows]
    if not first and (missing := {path.name for path, mpp in keys if (path, mpp) not in features}):
        raise CohortError(
            expected=f"tissue in the same slides for all encoders as for {encoder}",
            found=f"none in {', '.join(sorted(missing))} for this one",
            hint="Take these slides out of the table.",
        )


def _judge(
    name: str,
    table: SlideTable,
    features: Mapping[tuple[Path, float | None], SlideFeatures],
    config: SlidesConfig,
) -> Generator[RunEvent, None, Outcome]:
    found = [features[row.slide, row.mpp] for row in table.rows]
    runs, numbers = [], []
    for seed in range(config.seed, config.seed + config.seeds):
        probabilities = np.zeros((len(table.rows), len(table.classes)))
        folds = table.folds(seed)
        for train, test in folds:
            probabilities[test] = yield from _fold(table, found, train, test, config, seed)
        runs.append(probabilities[table.tested])
        numbers.append(fold_numbers(folds, len(table.rows))[table.tested])
    facts = {
        "tiles_per_slide": float(np.mean([len(item.tiles) for item in found])),
        "patches_per_slide": float(np.mean([len(item.features) for item in found])),
    }
    return Outcome(name, _METHOD, np.stack(runs), np.stack(numbers), facts)


def _fold(
    table: SlideTable,
    features: Sequence[SlideFeatures],
    train: Indices,
    test: Indices,
    config: SlidesConfig,
    seed: int,
) -> Generator[RunEvent, None, Floats]:
    """Train on some slides and return probabilities (len(test), C) of others."""
    bags = Bags(
        [replace(table.rows[index], split=TRAIN) for index in train],
        [features[index] for index in train],
        table.classes,
    )
    task = yield from train_head(bags, config.head_settings(seed))
    tested = [SlideBag(torch.from_numpy(features[i].features), int(table.labels[i])) for i in test]
    meter = ProgressMeter(Stage.EVALUATING, len(tested), "slides")
    judged = yield from run_steps(predict_slides(task, tested), meter)
    return softmax(np.array([slide.logits for slide in judged]))


def _division(table: SlideTable, seeds: int) -> str:
    patients = len(np.unique(table.groups[table.tested]))
    again = f" Mean of {seeds} runs with different seeds." if seeds > 1 else ""
    if table.task.test is not None:
        trained = len(table.rows) - len(table.tested)
        return f"{patients} patients; trained on {trained} slides of another table.{again}"
    if table.task.folds == LEAVE_ONE_OUT:
        return f"Leave-one-patient-out cross-validation over {patients} patients.{again}"
    return f"{table.task.folds}-fold cross-validation by patient ({patients} patients).{again}"
