"""Distil a student: teachers, one loop, the averaged student written as a folder."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xmag.distill.computing import (
    compile_student,
    learning_autocast,
    recompute_activations,
    share_batch_norms,
)
from napari_xmag.distill.config import DistillConfig
from napari_xmag.distill.loader import FieldLoader, slide_centers
from napari_xmag.distill.run_folder import (
    decisive_settings,
    end_folder,
    monitor_of,
    open_folder,
)
from napari_xmag.distill.task import DistillTask
from napari_xmag.distill.validate import Validation
from napari_xmag.errors import ConfigError
from napari_xmag.fields.pairs import OnlinePairs, Pairs, require_fit
from napari_xmag.fields.shards import FieldRecord, read_index
from napari_xmag.fields.split import evenly_spaced, held_out, rows_of
from napari_xmag.fields.store import FieldStore
from napari_xmag.fields.teacher_cache import cached_pairs, say_scale
from napari_xmag.filenames import CHECKPOINT
from napari_xmag.learn.distributed import Processes, own_device
from napari_xmag.learn.fit import Fit
from napari_xmag.learn.scalars import ScalarLog
from napari_xmag.nets.device import pick_device
from napari_xmag.nets.encoder import save_encoder
from napari_xmag.nets.student import Student, StudentSpec, build_student
from napari_xmag.nets.teachers.teacher import load_teacher
from napari_xmag.progress.events import EpochDone, Progress, RunEvent, RunFinished, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress

_GPU_THREADS = 8


def distill(
    config: DistillConfig,
    *,
    resume: bool = False,
    restart: bool = False,
    processes: Processes | None = None,
) -> Generator[RunEvent, None, None]:
    """Run a distillation; the last event is RunFinished with the student's folder.

    Parameters
    ----------
    resume
        Go on from the checkpoint, if there is one; of a run that has ended nothing is done anew.
    restart
        Begin anew where there is one.
    processes
        Those that learn together; the first one writes.

    Raises
    ------
    ConfigError
        When data and settings do not go together, or there is a checkpoint and it was not said
        what to do with it, or it is to go on with other settings.
    ModelError
        When student or teacher cannot be loaded.
    ExportError
        When something cannot be written.
    """
    begun = time.monotonic()
    processes = processes or Processes()
    reading = partial(read_index, config.data.fields)
    everything = yield from run_with_progress(reading, ProgressMeter(Stage.STARTING, 0))
    records = everything[: config.data.limit]
    settings = decisive_settings(config, records)
    done = open_folder(config, settings, processes, resume=resume, restart=restart)
    if done is not None:
        yield RunFinished(config.run.out, done)
        return
    made = yield from _prepared(config, records, processes)
    scalars: Mapping[str, float] = {}
    with ExitStack() as closing:
        folder = config.run.record_folder
        log = closing.enter_context(ScalarLog(folder, resume=resume)) if processes.first else None
        for event in made.fit.run(
            made.training.epoch,
            made.validation,
            checkpoint=folder / CHECKPOINT,
            resume=resume,
            scalars=log,
            monitor=monitor_of(config),
            settings=settings,
            count=(config.run.batch_size, "fields"),
        ):
            scalars = event.scalars if isinstance(event, EpochDone) else scalars
            yield event
    if not scalars:  # it was broken off after its last epoch
        judging = partial(made.validation, made.fit.average)
        scalars = yield from run_with_progress(judging, ProgressMeter(Stage.EVALUATING, 0))
    metrics = {
        **scalars,
        "fields": len(made.training.rows),
        "validation_fields": made.held,
        "validation_slides": made.slides,
        "seconds": round(time.monotonic() - begun),
    }
    if processes.first:
        _save(made.fit, config, metrics)
        end_folder(config, settings, metrics)
    yield RunFinished(config.run.out, metrics)


@dataclass(frozen=True)
class _Made:
    """All that learns, and what it learns from."""

    fit: Fit
    training: FieldLoader
    validation: Validation
    held: int
    slides: list[str]


def _prepared(
    config: DistillConfig, records: Sequence[FieldRecord], processes: Processes
) -> Generator[Progress, None, _Made]:
    """Load student and teachers, part the fields, and put it all together."""
    torch.manual_seed(config.run.seed)
    device = own_device(pick_device(config.run.device))
    learning = learning_autocast(device, config.run.precision)
    student = _student(config, device, processes)
    held = rows_of(records, held_out(records, config.data.validation, config.run.seed))
    pairs = yield from _pairs(config, records, student.spec, device, processes)
    training, testing = yield from _loaders(config, pairs, held, device, processes)
    weights = [teacher.weight for teacher in config.teachers]
    task = DistillTask(
        student, config.loss, pairs.widths, weights, freeze_norm=config.student.freeze_norm
    ).to(device)
    task = task.to(memory_format=torch.channels_last)
    scales = {"student.": config.student.lr_scale}
    fit = Fit(task, config.fit, len(training), learning, scales, processes)
    if config.run.compile:
        compile_student(student, learning)
    reference = replace(training, rows=evenly_spaced(training.rows, config.data.agreement_fields))
    return _Made(
        fit,
        training,
        Validation(testing, reference, learning),
        len(held),
        sorted({records[row].slide for row in held}),
    )


def _student(config: DistillConfig, device: torch.device, processes: Processes) -> Student:
    described = config.student
    student = build_student(
        described.start, described.spec(), pretrained=described.pretrained, **described.arguments
    )
    share_batch_norms(student, device, processes, frozen=described.freeze_norm)
    if described.checkpointing:
        recompute_activations(student)
    return student


def _threads(config: DistillConfig, device: torch.device) -> int:
    if config.run.threads is not None:
        return config.run.threads
    return 0 if device.type == "cpu" else _GPU_THREADS


def _pairs(
    config: DistillConfig,
    records: Sequence[FieldRecord],
    spec: StudentSpec,
    device: torch.device,
    processes: Processes,
) -> Generator[Progress, None, Pairs]:
    """Load the teachers; let each see the fields in turn, unless they do so as the student does."""
    if config.data.targets == "online":
        require_fit(records, spec)
        teachers = tuple(load_teacher(t.spec()).to(device) for t in config.teachers)
        for teacher in teachers:
            say_scale(teacher, spec)
        return OnlinePairs(FieldStore(config.data.fields, records), teachers, spec)
    parts = []
    for described in config.teachers:
        # None is kept in memory when its turn is over.
        teacher = load_teacher(described.spec()).to(device)
        parts.append(
            (
                yield from cached_pairs(
                    config.data.fields,
                    records,
                    teacher,
                    spec,
                    cast(Path, config.data.cache),
                    processes=processes,
                    threads=_threads(config, device),
                )
            )
        )
    return replace(parts[0], more=tuple(part.targets for part in parts[1:]))


def _loaders(
    config: DistillConfig,
    pairs: Pairs,
    held: NDArray[np.intp],
    device: torch.device,
    processes: Processes,
) -> Generator[Progress, None, tuple[FieldLoader, FieldLoader]]:
    """Return the loaders of the fields to learn from and of the held-out ones."""
    others = np.setdiff1d(np.arange(len(pairs.records)), held)
    rows = evenly_spaced(others, config.data.training_fields or len(others))
    size, seed = config.run.batch_size, config.run.seed
    if len(rows) < size:
        raise ConfigError(
            expected=f"at least one batch of {size} fields to learn from",
            found=f"{len(rows)} fields",
            hint="Prepare more fields, raise data.training_fields where it is set, or lower "
            "run.batch_size.",
        )
    if size % processes.world:
        raise ConfigError(
            expected=f"a batch that {processes.world} processes share evenly",
            found=f"{size} fields",
            hint="Choose a run.batch_size that is a multiple of the number of processes.",
        )
    online = config.data.targets == "online"
    center = yield from slide_centers(
        pairs, rows, config.loss.center, online=online, processes=processes
    )
    threads = _threads(config, device)
    training = FieldLoader(
        pairs, rows, config.augment, size, seed, device, center, processes, threads
    )
    return training, replace(training, rows=evenly_spaced(held, config.data.validation_fields))


def _save(fit: Fit, config: DistillConfig, metrics: Mapping[str, object]) -> None:
    average = cast(DistillTask, fit.average)
    teachers = [teacher.spec() for teacher in config.teachers]
    save_encoder(
        average.student,
        config.run.out,
        licence=config.run.licence,
        origin={
            "teachers": [teacher.origin() for teacher in teachers],
            "teacher_licence": "; ".join(teacher.licence for teacher in teachers),
            "student": {
                "lr_scale": config.student.lr_scale,
                "freeze_norm": config.student.freeze_norm,
            },
            "targets": config.data.targets,
            "loss": config.loss.model_dump(),
            "augment": config.augment.model_dump(),
            "fit": config.fit.model_dump(),
            "batch_size": config.run.batch_size,
            "seed": config.run.seed,
            "metrics": dict(metrics),
        },
    )
