"""From a table of labelled slides to a slide model: features once, the head, then end to end."""

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch

from napari_xmag.cohort.cohort import Cohort
from napari_xmag.cohort.labels import require_classes
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.cohort.splits import draw_split, require_all_classes
from napari_xmag.errors import TissueError
from napari_xmag.filenames import CONFIG, MODEL
from napari_xmag.learn.distributed import (
    Processes,
    await_all,
    join,
    leave,
    own_device,
    share,
)
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.mil.features import SlideFeatures, or_blank, slide_features
from napari_xmag.mil.head_training import Bags, Workplace, learns_from_patches, train_head
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.device import DeviceBatch, pick_device, ready_on
from napari_xmag.nets.encoder import Encoder
from napari_xmag.nets.encoder_fingerprint import encoder_fingerprint
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import (
    EpochDone,
    Progress,
    RegionsNoted,
    RunEvent,
    RunFinished,
    RunPlan,
    RunPlanned,
    SlideLeftOut,
    Stage,
)
from napari_xmag.progress.heartbeat import (
    ProgressMeter,
    over_items,
    run_steps,
    run_with_progress,
    step_thread,
)
from napari_xmag.qupath.origin import Origin
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.end_to_end_stage import train_end_to_end
from napari_xmag.train.outcome import Learned, evaluate_learned, save_learned
from napari_xmag.train.plan import make_plan
from napari_xmag.train.region_files import RegionFiles
from napari_xmag.train.regions import RegionClasses
from napari_xmag.train.report.evaluate import REPLICATES
from napari_xmag.train.report.report import write_training_report
from napari_xmag.train.run_folder import (
    begin_folder,
    decisive_facts,
    finished,
    require_new,
    require_same_run,
)
from napari_xmag.train.tiles import TileStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What is the same for all divisions of the slides.

    Attributes
    ----------
    regions
        Their files, as they were when the run began.
    cache
        Folder of features and tiles.
    """

    encoder: Encoder
    encoder_id: str
    config: TrainConfig
    classes: tuple[str, ...]
    regions: RegionFiles
    device: torch.device
    processes: Processes
    cache: Path
    notes: Mapping[str, str]
    resume: bool

    @property
    def batch(self) -> DeviceBatch:
        """Batch size and precision of encoding."""
        return DeviceBatch(self.device, precision=self.config.precision)


def train(
    cohort: Cohort,
    encoder: Encoder,
    out: Path | str,
    config: TrainConfig | None = None,
    *,
    cache: Path | str | None = None,
    notes: Mapping[str, str] | None = None,
    resume: bool = False,
) -> Generator[RunEvent, None, None]:
    """Train a slide model; the last event is RunFinished with the model's folder.

    Of several processes started by torchrun each yields its own events; the first one writes.

    Parameters
    ----------
    cohort
        Table of labelled slides.
    encoder
        The student that learning starts from; it is left unchanged.
    out
        Folder of the run, see docs/train.md; with folds, of one run each and their summary.
    cache
        Folder where features and tiles are kept for another run; otherwise they lie in ``out``
        until it has ended.
    notes
        More sections of the model card, heading to text.
    resume
        Go on from the checkpoints in ``out``, or begin where there are none.

    Raises
    ------
    CohortError
        When the table has problems, each named by its row, or cannot be split, or nothing can be
        learned from its regions.
    ConfigError
        When ``out`` holds a run and it is not to be resumed, or one that differs, or
        ``regions.classes`` names labels that the table does not have.
    """
    out, config = Path(out), config or TrainConfig()
    cohort.require_good()
    require_classes(cohort.rows)
    if not resume:
        for folder in _folders(out, config.folds or 1):
            require_new(folder)
    reading = partial(RegionClasses(cohort.classes, config.regions).require_known, cohort.rows)
    regions = yield from run_with_progress(reading, ProgressMeter(Stage.STARTING, 0))
    dividing = partial(
        draw_split,
        cohort.rows,
        by=config.split_by,
        folds=config.folds,
        validation=config.validation,
        test=config.test,
        seed=config.seed,
    )
    divisions = yield from run_with_progress(dividing, ProgressMeter(Stage.STARTING, 0))
    processes = join()
    try:
        where = out / "cache" if cache is None else Path(cache)
        making = partial(_job, cohort, regions, encoder, where, config, notes or {}, resume)
        meter = ProgressMeter(Stage.LOADING, 0)
        job = yield from run_with_progress(partial(making, processes), meter)
        if not (resume and (out / CONFIG).exists()):
            yield RunPlanned((yield from _plan(divisions, job, out)))
        emptied = job.cache if cache is None and processes.first else None
        yield from _then_empty(_divisions(divisions, out, job), emptied)
    finally:
        if processes.world > 1:
            leave()


def _job(
    cohort: Cohort,
    regions: RegionFiles,
    encoder: Encoder,
    cache: Path,
    config: TrainConfig,
    notes: Mapping[str, str],
    resume: bool,
    processes: Processes,
) -> _Job:
    device = own_device(pick_device(config.device))
    return _Job(
        replace(encoder, student=ready_on(encoder.student, device)),
        encoder_fingerprint(encoder.student),
        config,
        cohort.classes,
        regions,
        device,
        processes,
        cache,
        notes,
        resume,
    )


def _plan(
    divisions: Sequence[Sequence[CohortRow]], job: _Job, out: Path
) -> Generator[Progress, None, RunPlan]:
    rows, student = divisions[0], job.encoder.student
    taught = job.regions.teach(rows) and job.config.regions.weight > 0
    config = job.config.settled(from_regions=taught)
    planning = make_plan(rows, student, config, job.device, job.cache, out, len(divisions))
    plan = yield from planning
    return replace(plan, regions=job.regions.plan_words(rows))


def _then_empty(
    events: Generator[RunEvent, None, None], cache: Path | None
) -> Generator[RunEvent, None, None]:
    """Remove the cache before the end of the run is told: it may take long, on a network drive."""
    ended = []
    with closing(events):
        for event in events:
            if isinstance(event, RunFinished):
                ended.append(event)
            else:
                yield event
    if cache is not None:
        removing = partial(rmtree, cache, ignore_errors=True)
        yield from run_with_progress(removing, ProgressMeter(Stage.WRITING, 0))
    yield from ended


def _divisions(
    divisions: Sequence[list[CohortRow]], out: Path, job: _Job
) -> Generator[RunEvent, None, None]:
    """Train once, or once for each fold."""
    if len(divisions) == 1:
        yield from _run(divisions[0], out, job)
        return
    folds = len(divisions)
    folders = _folders(out, folds)
    for number, (rows, folder) in enumerate(zip(divisions, folders, strict=True), 1):
        with closing(_run(rows, folder, job)) as events:
            for event in events:
                if isinstance(event, EpochDone | SlideLeftOut | RegionsNoted):
                    yield replace(event, fold=number)
                elif isinstance(event, Progress):
                    yield replace(event, fold=number, folds=folds)
    yield from await_all(job.processes, Stage.EVALUATING)
    if job.processes.first:
        from napari_xmag.train.report.kfold import summarise_folds

        meter = ProgressMeter(Stage.RESAMPLING, (folds + 1) * REPLICATES, "resamples")
        summary = yield from run_steps(summarise_folds(folders, out), meter)
        yield RunFinished(out, summary.metrics())
    yield from await_all(job.processes, Stage.WRITING)


def _folders(out: Path, folds: int) -> list[Path]:
    """Return the folder of each run."""
    return [out] if folds == 1 else [out / f"fold-{number}" for number in range(1, folds + 1)]


def _run(rows: list[CohortRow], out: Path, job: _Job) -> Generator[RunEvent, None, None]:
    """Train on one division of the slides into training, validation and test."""
    begun = time.monotonic()
    deciding = partial(decisive_facts, job.config, rows, job.encoder_id, job.regions.hashes, out)
    facts = yield from run_with_progress(deciding, ProgressMeter(Stage.STARTING, 0))
    done = finished(out) if job.resume else None
    if done is not None:
        comparing = partial(require_same_run, out, facts)
        yield from run_with_progress(comparing, ProgressMeter(Stage.STARTING, 0))
        yield RunFinished(out / MODEL, done)
        return
    if job.processes.first:
        beginning = partial(
            begin_folder, out, job.config, rows, job.encoder, facts, resume=job.resume
        )
        yield from run_with_progress(beginning, ProgressMeter(Stage.STARTING, 0))
    yield from await_all(job.processes, Stage.STARTING)
    found = yield from _features(rows, job, job.encoder.student, job.encoder_id)
    bags, left_out = _bags(rows, found, job.classes)
    yield from left_out
    bags, noted = yield from _with_regions(bags, job)
    yield from noted
    from_regions = learns_from_patches(bags, job.config.head_settings)
    job = replace(job, config=job.config.settled(from_regions=from_regions))
    # Only the first process writes; the others must not clear what it wrote.
    with ScalarLog(out, resume=job.resume or not job.processes.first) as scalars:
        at = Workplace(
            job.device, out, job.resume, job.processes, scalars, {"encoder": job.encoder_id}
        )
        learned = yield from _learned(bags, job, at)
        left_out = (*left_out, *learned.left_out)
        learned = replace(learned, left_out=left_out, noted=noted)
    if job.processes.first:
        seconds = round(time.monotonic() - begun)
        metrics = yield from _finish(learned, out, job, seconds)
        yield RunFinished(out / MODEL, metrics)
    yield from await_all(job.processes, Stage.WRITING)


def _bags(
    rows: Sequence[CohortRow],
    found: Sequence[SlideFeatures | TissueError],
    classes: tuple[str, ...],
) -> tuple[Bags, tuple[SlideLeftOut, ...]]:
    """Return the slides that have features, and those that have none."""
    kept, features, left_out = [], [], []
    for row, item in zip(rows, found, strict=True):
        if isinstance(item, TissueError):
            left_out.append(SlideLeftOut(row.slide, item.found, name=row.name))
        else:
            kept.append(row)
            features.append(item)
    if left_out:
        require_all_classes(kept, classes)
    return Bags(kept, features, classes), tuple(left_out)


def _with_regions(
    bags: Bags, job: _Job
) -> Generator[Progress, None, tuple[Bags, tuple[RegionsNoted, ...]]]:
    """Label the patches that lie in regions; tell what of the regions teaches nothing."""
    classes = RegionClasses(job.classes, job.config.regions)
    origin = Origin(job.config.regions.origin)
    twins = job.regions.twins(bags.rows)
    labels, noted = [], []
    meter = ProgressMeter(Stage.REGIONS, len(bags.rows), "slides")
    for row, item in zip(bags.rows, bags.features, strict=True):
        yield from run_with_progress(partial(job.regions.require_unchanged, row), meter)
        work = partial(classes.of_patches, row, item.boxes, origin)
        found = yield from run_with_progress(work, meter)
        labels.append(None if found is None else found.labels)
        words = [twins.get(row.regions, ""), found.words if found else ""]
        if any(words):
            noted.append(RegionsNoted(row.slide, "; ".join(filter(None, words))))
        meter.add(1)
    return replace(bags, patches=labels), tuple(noted)


def _learned(bags: Bags, job: _Job, at: Workplace) -> Generator[RunEvent, None, Learned]:
    """Train the head, then, where that is wanted, encoder and head together."""
    slides = yield from train_head(bags, job.config.head_settings, at)
    student = job.encoder.student
    if job.config.mode == "head":
        return Learned(bags, slides, student)
    store = TileStore(job.cache / "tiles", round(job.config.end_to_end.store_gb * 1e9))
    whole, best = yield from train_end_to_end(bags, slides, student, job.config, store, at)
    student = ready_on(whole.student, job.device)
    naming = partial(encoder_fingerprint, student)
    encoder_id = yield from run_with_progress(naming, ProgressMeter(Stage.ENCODING, 0))
    found = yield from _features(bags.rows, job, student, encoder_id)
    # The tiles are the same, so that the labels that were learned from are those to judge by.
    labels = dict(zip(bags.rows, bags.labels, strict=True))
    bags, left_out = _bags(bags.rows, found, job.classes)
    yield from left_out
    bags = replace(bags, patches=[labels[row] for row in bags.rows])
    return Learned(bags, whole.slides, student, best, left_out)


def _features(
    rows: Sequence[CohortRow], job: _Job, student: Student, encoder_id: str
) -> Generator[Progress, None, list[SlideFeatures | TissueError]]:
    """Encode all slides, each process its share; all of them read what is in the cache then."""
    own = [rows[index] for index in share(len(rows), job.processes)]
    tile_encoder = TileEncoder(student, job.config.granularity, job.batch, slides=len(own))

    def one(row: CohortRow) -> Generator[Progress, None, SlideFeatures | TissueError]:
        steps = slide_features(
            row.slide,
            row.mpp,
            tile_encoder,
            min_tissue=job.config.min_tissue,
            cache=job.cache,
            encoder_id=encoder_id,
        )
        return or_blank(steps)

    with closing(tile_encoder):
        found = yield from over_items(Stage.ENCODING, own, one)
        if job.processes.world == 1:
            return found
        yield from await_all(job.processes, Stage.ENCODING)
        return (yield from over_items(Stage.ENCODING, rows, one))


def _finish(
    learned: Learned, out: Path, job: _Job, seconds: int
) -> Generator[Progress, None, dict[str, Any]]:
    """Evaluate the model, write its folder and the report; return the figures."""
    with step_thread() as thread:
        report = yield from evaluate_learned(learned, job.config, thread)
        meter = ProgressMeter(Stage.WRITING, 0)
        saving = partial(save_learned, learned, report, out, job.config, job.encoder, job.notes)
        yield from run_with_progress(saving, meter, thread)
        # Last: a folder with its metrics is a run that has ended.
        yield from run_with_progress(partial(write_training_report, out, report), meter, thread)
    return report.metrics() | {"seconds": seconds}
