"""Options that say who works on many slides: processes of this machine, or a cluster."""

import argparse
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_xmag.errors import ConfigError

if TYPE_CHECKING:
    from napari_xmag.batch.analyze_job import AnalyzeJob
    from napari_xmag.batch.events import BatchEvent
    from napari_xmag.batch.features_job import FeaturesJob
    from napari_xmag.batch.run import Workers
    from napari_xmag.batch.slide_job import BatchTask
    from napari_xmag.batch.targets import Target

OneOfJobs = TypeVar("OneOfJobs", "AnalyzeJob", "FeaturesJob")

# Of a process that shares the machine with others; a thread that waits for the disk costs nothing.
_LEAST_READERS, _MOST_READERS = 2, 4
_LEAST_CORES = 4
_ON_ACCELERATOR = 2


def add_options(parser: Any) -> None:
    """Add ``--workers``, ``--scheduler`` and ``--patience``."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="number of worker processes, each working on one slide; 0: no extra processes "
        "(default: one per core up to 4, then one per 4 cores; 2 with a graphics card; 0 for a "
        "single slide)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="dask scheduler of a cluster whose workers see the same paths (tcp://host:8786); "
        "docs/scale.md",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=30.0,
        metavar="MINUTES",
        help="give up on a slide after this many minutes without progress (default: 30)",
    )


def chosen(args: argparse.Namespace, slides: int) -> "Workers":
    """Return who works.

    Raises
    ------
    ConfigError
        When the options do not go together.
    """
    from napari_xmag.batch.run import Workers
    from napari_xmag.cores import usable_cores

    _check(args)
    if args.scheduler is not None:
        return Workers(scheduler=args.scheduler)
    cores = usable_cores()
    wanted = args.workers
    if wanted is None:
        wanted = _suited(cores, args.device) if slides > 1 else 0
    count = min(wanted, slides)
    threads = max(1, cores // count) if count else cores
    return Workers(count, threads, patience=60 * args.patience)


def _divided(job: "OneOfJobs", who: "Workers") -> "OneOfJobs":
    """Return a job for these workers, with a share of the machine, or with paths for all of it."""
    if who.scheduler is not None:
        return replace(job, out=job.out.absolute(), regions=job.regions.absolute())
    if who.count and job.settings.workers is None:
        reading = min(max(who.threads, _LEAST_READERS), _MOST_READERS)
        return replace(job, settings=replace(job.settings, workers=reading))
    return job


def work(
    job: "OneOfJobs", targets: "Sequence[Target]", who: "Workers"
) -> "Generator[tuple[int, BatchEvent], None, None]":
    """Do a job on all slides; see `run_batch`."""
    from napari_xmag.batch.run import run_batch
    from napari_xmag.batch.slide_job import LightJob

    shared = _divided(job, who)
    return run_batch(LightJob(shared) if who.count else shared, _tasks(targets, job.out, who), who)


def _tasks(targets: "Sequence[Target]", out: Path, who: "Workers") -> "list[BatchTask]":
    """Return the tasks of these slides, for these workers."""
    from napari_xmag.batch.places import plan_places
    from napari_xmag.batch.slide_job import BatchTask

    far = who.scheduler is not None
    return [
        BatchTask(_alone(target, far=far), place)
        for target, place in zip(targets, plan_places(targets, out), strict=True)
    ]


def _alone(target: "Target", *, far: bool) -> "Target":
    """Return a slide as it travels: with the name of its project, but none of its other images."""
    project = target.project
    return replace(
        target,
        project=None if project is None else replace(project, entries=()),
        path=target.path.absolute() if far else target.path,
    )


def _suited(cores: int, device: str) -> int:
    from napari_xmag.nets.accelerators import accelerator_possible

    if device != "cpu" and (device != "auto" or accelerator_possible()):
        return _ON_ACCELERATOR
    return max(min(cores, _LEAST_CORES), cores // _LEAST_CORES)


def _check(args: argparse.Namespace) -> None:
    if args.workers is not None and args.workers < 0:
        raise ConfigError(
            expected="--workers of 0 or more", found=str(args.workers), hint="Correct it."
        )
    if args.workers is not None and args.scheduler is not None:
        raise ConfigError(
            expected="--workers or --scheduler",
            found="both",
            hint="A cluster has its own workers: leave out --workers.",
        )
    if not args.patience > 0:
        raise ConfigError(
            expected="--patience above 0 minutes", found=str(args.patience), hint="Correct it."
        )
