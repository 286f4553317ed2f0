"""From a table of labelled slides to a slide model: features once, the head, then end to end."""

import logging
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from napari_xmag import zoo
from napari_xmag.cohort.cohort import Cohort
from napari_xmag.cohort.labels import require_classes
from napari_xmag.cohort.rows import TRAIN, VALIDATION, CohortRow
from napari_xmag.cohort.splits import draw_split
from napari_xmag.learn.distributed import Processes, join, leave, own_device, share, wait_for_all
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.mil.features import SlideFeatures, slide_features
from napari_xmag.mil.head_training import Bags, Workplace, slide_logits, train_head
from napari_xmag.mil.task import HeadTask
from napari_xmag.nets.device import DeviceBatch, pick_device, ready_on
from napari_xmag.nets.encoder import Encoder
from napari_xmag.nets.encoder_fingerprint import encoder_fingerprint
from napari_xmag.nets.model import ModelInfo, SlideModel, TrainingRange
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import EpochDone, Progress, RunEvent, RunFinished, RunPlanned
from napari_xmag.stats.calibration import fit_temperature
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.end_to_end_stage import train_end_to_end
from napari_xmag.train.plan import make_plan
from napari_xmag.train.report.card import card_sections
from napari_xmag.train.report.report import evaluate_predictions, write_report
from napari_xmag.train.run_folder import MODEL, begin_folder, finished
from napari_xmag.train.tiles import TileStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What is the same for all divisions of the slides.

    Attributes
    ----------
    cache
        Folder of features and tiles.
    """

    encoder: Encoder
    encoder_id: str
    config: TrainConfig
    classes: tuple[str, ...]
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
    """Train a slide model; the last event is Finished with the model's folder.

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
        When the table has problems, each named by its row, or cannot be split.
    ConfigError
        When ``out`` holds a run and it is not to be resumed, or one that differs.
    """
    out, config = Path(out), config or TrainConfig()
    cohort.require_good()
    require_classes(cohort.rows)
    divisions = draw_split(
        cohort.rows,
        by=config.split_by,
        folds=config.folds,
        validation=config.validation,
        test=config.test,
        seed=config.seed,
    )
    processes = join()
    try:
        device = own_device(pick_device(config.device))
        job = _Job(
            replace(encoder, student=ready_on(encoder.student, device)),
            encoder_fingerprint(encoder.student),
            config,
            cohort.classes,
            device,
            processes,
            out / "cache" if cache is None else Path(cache),
            notes or {},
            resume,
        )
        if not (resume and (out / "config.json").exists()):
            yield RunPlanned((yield from _plan(divisions, job)))
        yield from _divisions(divisions, out, job)
        if cache is None and processes.first:
            shutil.rmtree(job.cache, ignore_errors=True)
    finally:
        if processes.world > 1:
            leave()


def _plan(
    divisions: Sequence[Sequence[CohortRow]], job: _Job
) -> Generator[Progress, None, dict[str, object]]:
    return (
        yield from make_plan(
            divisions[0], job.encoder.student, job.config, job.device, job.cache, len(divisions)
        )
    )


def _divisions(
    divisions: Sequence[list[CohortRow]], out: Path, job: _Job
) -> Generator[RunEvent, None, None]:
    """Train once, or once for each fold."""
    if len(divisions) == 1:
        yield from _run(divisions[0], out, job)
        return
    folders = [out / f"fold-{number}" for number in range(1, len(divisions) + 1)]
    for number, (rows, folder) in enumerate(zip(divisions, folders, strict=True), 1):
        for event in _run(rows, folder, job):
            if isinstance(event, EpochDone | Progress):
                yield replace(event, stage=f"fold {number}: {event.stage}")
    wait_for_all(job.processes)
    if job.processes.first:
        from napari_xmag.train.report.kfold import summarise_folds

        summary = summarise_folds(folders, out)
        yield RunFinished(out, summary.metrics())
    wait_for_all(job.processes)


def _run(rows: list[CohortRow], out: Path, job: _Job) -> Generator[RunEvent, None, None]:
    """Train on one division of the slides into training, validation and test."""
    done = finished(out) if job.resume else None
    if done is not None:
        yield RunFinished(out / MODEL, done)
        return
    begun = time.monotonic()
    if job.processes.first:
        begin_folder(out, job.config, rows, job.encoder, job.encoder_id, resume=job.resume)
    wait_for_all(job.processes)
    features = yield from _features(rows, job, job.encoder.student, job.encoder_id)
    bags = Bags(rows, features, job.classes)
    # Only the first process writes; the others must not clear what it wrote.
    with ScalarLog(out, resume=job.resume or not job.processes.first) as scalars:
        at = Workplace(
            job.device, out, job.resume, job.processes, scalars, {"encoder": job.encoder_id}
        )
        slides = yield from train_head(bags, job.config.head_settings, at)
        student, best = job.encoder.student, None
        if job.config.mode == "end-to-end":
            store = TileStore(job.cache / "tiles", round(job.config.end_to_end.store_gb * 1e9))
            whole, best = yield from train_end_to_end(bags, slides, student, job.config, store, at)
            student, slides = ready_on(whole.student, job.device), whole.slides
            learned = yield from _features(rows, job, student, encoder_fingerprint(student))
            bags = replace(bags, features=learned)
    if job.processes.first:
        seconds = round(time.monotonic() - begun)
        metrics = _finish(bags, slides, student, out, job, seconds, best)
        yield RunFinished(out / MODEL, metrics)
    wait_for_all(job.processes)


def _features(
    rows: Sequence[CohortRow], job: _Job, student: Student, encoder_id: str
) -> Generator[Progress, None, list[SlideFeatures]]:
    """Encode all slides, each process its share; all of them read what is in the cache then."""

    def one(row: CohortRow) -> Generator[Progress, None, SlideFeatures]:
        return slide_features(
            row.slide,
            row.mpp,
            student,
            granularity=job.config.granularity,
            min_tissue=job.config.min_tissue,
            cache=job.cache,
            encoder_id=encoder_id,
            batch=job.batch,
        )

    for done, index in enumerate(share(len(rows), job.processes)):
        with closing(one(rows[index])) as steps:
            yield from steps
        yield Progress("slides", done + 1, len(rows))
    wait_for_all(job.processes)
    found = []
    for row in rows:
        found.append((yield from one(row)))
    return found


def _finish(
    bags: Bags,
    slides: HeadTask,
    student: Student,
    out: Path,
    job: _Job,
    seconds: int,
    best: int | None,
) -> dict[str, Any]:
    """Judge the model, write its folder and the report; return the figures."""
    config = job.config
    everything = [
        (torch.from_numpy(item.features), bags.classes.index(row.label))
        for row, item in zip(bags.rows, bags.features, strict=True)
    ]
    logits = slide_logits(slides, everything)
    chosen = [number for number, row in enumerate(bags.rows) if row.split == VALIDATION]
    temperature = fit_temperature(logits[chosen], [everything[number][1] for number in chosen])
    report = evaluate_predictions(
        bags.rows, bags.classes, logits, temperature, threshold=config.threshold, seed=config.seed
    )
    report = replace(report, best_epoch=best)
    training = [
        item.features
        for row, item in zip(bags.rows, bags.features, strict=True)
        if row.split == TRAIN
    ]
    info = ModelInfo(
        name=config.name,
        display_name=config.display_name or config.name,
        classes=bags.classes,
        mpp=student.spec.mpp,
        tile_px=student.spec.tile_px,
        temperature=report.temperature,
        threshold=report.threshold,
        demonstration=config.demonstration,
        licence=config.licence or job.encoder.licence,
        training_range=TrainingRange.fit(training) if len(training) >= 3 else None,
        description=config.description,
        granularity=config.granularity,
    )
    model = SlideModel(student, slides.folded(), info)
    sections = card_sections(bags.rows, config, job.encoder, report) | dict(job.notes)
    zoo.save_model(model, out / MODEL, card=sections, replace=True)
    # Last: a folder with its metrics is a run that has ended.
    write_report(out, report)
    return report.metrics() | {"seconds": seconds}
