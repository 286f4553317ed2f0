"""The labelled slides of a command: a table, or a project of QuPath."""

import argparse
from typing import TYPE_CHECKING

from napari_xmag.errors import ConfigError

if TYPE_CHECKING:
    from napari_xmag.cohort.cohort import Cohort


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which metadata of a project is which."""
    parser.add_argument(
        "--label-key", metavar="KEY", help="with project.qpproj: the images' metadata that labels"
    )
    parser.add_argument(
        "--patient-key", metavar="KEY", help="with project.qpproj: the metadata that is the patient"
    )


def read(args: argparse.Namespace) -> "Cohort":
    """Read what the options name.

    Raises
    ------
    ConfigError
        When a project comes without the key of the label, or a table with one.
    CohortError, ProjectError
        When it cannot be read.
    """
    from napari_xmag.cohort.cohort import read_cohort
    from napari_xmag.qupath.cohort import project_cohort
    from napari_xmag.qupath.project import PROJECT_SUFFIX, read_project

    is_project = args.cohort.suffix.lower() == PROJECT_SUFFIX
    if is_project != bool(args.label_key) or (args.patient_key and not is_project):
        raise ConfigError(
            expected="--label-key with a project.qpproj, and only there",
            found=f"{args.cohort.name} {'with' if args.label_key else 'without'} --label-key",
            hint="In a project, name the metadata of the images that is their label.",
        )
    if not is_project:
        return read_cohort(args.cohort)
    return project_cohort(read_project(args.cohort), args.label_key, args.patient_key or "")
