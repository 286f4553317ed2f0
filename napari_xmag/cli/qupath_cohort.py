"""The labelled slides of a command: a table, or a project of QuPath."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from napari_xmag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_xmag.cohort.cohort import Cohort
    from napari_xmag.progress.events import Progress


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which metadata of a project is which."""
    parser.add_argument(
        "--label-key",
        metavar="KEY",
        help="with project.qpproj: the metadata key that holds the label",
    )
    parser.add_argument(
        "--patient-key",
        metavar="KEY",
        help="with project.qpproj: the metadata key that holds the patient",
    )


def opening(
    args: argparse.Namespace, override_mpp: float | None = None
) -> "Generator[Progress, None, Cohort]":
    """Read and open what the options name, as `open_cohort` does.

    Raises
    ------
    ConfigError
        When a project comes without the key of the label, or a table with one.
    CohortError, ProjectError
        When it cannot be read.
    """
    from napari_xmag.cohort.opening import open_cohort
    from napari_xmag.qupath.cohort import read_project_cohort
    from napari_xmag.qupath.project import PROJECT_SUFFIX

    is_project = args.cohort.suffix.lower() == PROJECT_SUFFIX
    if is_project != bool(args.label_key) or (args.patient_key and not is_project):
        raise ConfigError(
            expected="--label-key with a project.qpproj, and only there",
            found=f"{args.cohort.name} {'with' if args.label_key else 'without'} --label-key",
            hint="For a project, name the image metadata key that holds the label.",
        )
    if not is_project:
        return open_cohort(args.cohort, override_mpp=override_mpp)
    read = partial(
        read_project_cohort,
        label_key=args.label_key,
        patient_key=args.patient_key or "",
        any_mpp=override_mpp is not None,
    )
    return open_cohort(args.cohort, read, override_mpp)
