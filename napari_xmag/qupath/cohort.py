"""A project as a table of labelled slides."""

from pathlib import Path

from napari_xmag.cohort.cohort import Cohort, check
from napari_xmag.cohort.problems import Problem
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import CohortError, ProjectError, XmagError
from napari_xmag.qupath.project import Project, ProjectEntry, read_project
from napari_xmag.qupath.server import QuPathImage, find_origin, open_shown
from napari_xmag.slide.base import MppSource


def read_project_cohort(
    path: Path, *, label_key: str, patient_key: str = "", open_slides: bool = True
) -> Cohort:
    """Return the slides of a project with labels from the metadata of their images.

    Parameters
    ----------
    path
        The ``project.qpproj``.
    label_key
        Which metadata is the label.
    patient_key
        Which metadata is the patient; each slide is a patient of its own when empty.
    open_slides
        Whether each slide is opened to see that it can be, as for `read_cohort`.

    Returns
    -------
    Rows in the project's order, counted from 1, with their problems.

    Raises
    ------
    ProjectError
        When the project cannot be read.
    CohortError
        When no image has a key of that name.
    """
    project = read_project(path)
    for key in filter(None, (label_key, patient_key)):
        _require_key(project, key)
    rows, altered = [], []
    for number, entry in enumerate(project.entries, 1):
        mpp, found = _seen(entry.image)
        row = CohortRow(
            row=number,
            slide=entry.image.path,
            label=entry.metadata.get(label_key, "").strip(),
            patient=entry.metadata.get(patient_key, "").strip() if patient_key else "",
            mpp=mpp,
        )
        rows.append(row)
        if found:
            words = f"{entry.name} {found}"
            altered.append(Problem(number, words, "Add the slide itself to the project"))
    cohort = check(rows, open_slides=open_slides)
    problems = sorted([*altered, *cohort.problems], key=lambda problem: problem.row)
    return Cohort(cohort.rows, tuple(problems))


def _seen(image: QuPathImage) -> tuple[float | None, str]:
    """Look at what QuPath shows: training reads the first picture of a file, as it is stored.

    Returns
    -------
    The pixel size that QuPath was given for a slide that states none, and why the picture cannot be
    trained on, in words.
    """
    if image.problem:
        return None, f"was {image.problem} in QuPath"
    if not image.path.exists():
        return None, ""  # listed among the problems of its row
    try:
        with open_shown(image) as slide:
            find_origin(image, slide)
            given = slide.mpp.mean if slide.mpp_source is MppSource.USER and slide.mpp else None
            first = slide.image.index == 1
    except ProjectError as error:
        return None, f"cannot be told in its file: {error.found}"
    except XmagError:  # listed among the problems of its row
        return None, ""
    return given, "" if first else "is not the first picture of its file, which training reads"


def _require_key(project: Project, key: str) -> None:
    if any(key in entry.metadata for entry in project.entries):
        return
    raise CohortError(
        expected=f"the metadata {key} on the images of {project.path.name}",
        found=_keys(project.entries) or "images without metadata",
        hint="In QuPath, right-click an image in the project list and choose Add metadata.",
    )


def _keys(entries: tuple[ProjectEntry, ...]) -> str:
    return ", ".join(sorted({key for entry in entries for key in entry.metadata}))
