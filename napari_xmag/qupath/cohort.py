"""A project as a table of labelled slides."""

from pathlib import Path

from napari_xmag.cohort.cohort import Cohort, check
from napari_xmag.cohort.problems import Problem
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import CohortError, XmagError
from napari_xmag.qupath.project import Project, ProjectEntry, read_project
from napari_xmag.qupath.server import QuPathImage
from napari_xmag.slide.open import open_slide


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
        row = CohortRow(
            row=number,
            slide=entry.image.path,
            label=entry.metadata.get(label_key, "").strip(),
            patient=entry.metadata.get(patient_key, "").strip() if patient_key else "",
            mpp=_missing_mpp(entry.image),
        )
        rows.append(row)
        if entry.image.problem:
            words = f"{entry.name} was {entry.image.problem} in QuPath"
            altered.append(Problem(number, words, "Add the slide itself to the project"))
    cohort = check(rows, open_slides=open_slides)
    problems = sorted([*altered, *cohort.problems], key=lambda problem: problem.row)
    return Cohort(cohort.rows, tuple(problems))


def _missing_mpp(image: QuPathImage) -> float | None:
    """Return the pixel size that QuPath was given for a slide that states none."""
    if image.mpp is None or not image.path.exists():
        return None
    try:
        with open_slide(image.path) as slide:
            return image.mpp.mean if slide.mpp is None else None
    except XmagError:  # listed among the problems of its row
        return None


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
