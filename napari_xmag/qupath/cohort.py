"""A project as a table of labelled slides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_xmag.cohort.cohort import Cohort, check
from napari_xmag.cohort.problems import Problem
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import CohortError, ProjectError, XmagError
from napari_xmag.qupath.project import Project, ProjectEntry, read_project
from napari_xmag.qupath.server import QuPathImage, find_origin, open_shown
from napari_xmag.slide.base import MppSource


def read_project_cohort(
    path: Path,
    *,
    label_key: str,
    patient_key: str = "",
    open_slides: bool = True,
    any_mpp: bool = False,
) -> Cohort:
    """Return the slides of a project with labels from the metadata of their images.

    Images that cannot be read as they are shown are left out: their files are missing or broken,
    or QuPath shows something else than the first picture of the file as it is stored.

    Parameters
    ----------
    path
        The ``project.qpproj``.
    label_key
        Which metadata is the label.
    patient_key
        Which metadata is the patient; each slide is a patient of its own when empty.
    open_slides
        Whether each slide is opened once more to see that it is no copy of another, as for
        `read_cohort`.
    any_mpp
        Take slides without a pixel size too: it is given for all of them.

    Returns
    -------
    Rows in the project's order, numbered from 1, with their problems and what was left out.

    Raises
    ------
    ProjectError
        When the project cannot be read.
    CohortError
        When no image has a key of that name, or none can be used.
    """
    project = read_project(path)
    for key in filter(None, (label_key, patient_key)):
        _require_key(project, key)
    rows: list[CohortRow] = []
    left_out: list[Problem] = []
    for number, entry in enumerate(project.entries, 1):
        row = _row(number, entry, label_key, patient_key)
        try:
            rows.append(replace(row, mpp=_given_mpp(entry.image, any_mpp=any_mpp)))
        except XmagError as error:
            words = f"left out: expected {error.expected}, but found {error.found}"
            left_out.append(Problem.of(row, words, error.hint.rstrip(".")))
    if not rows:
        raise _none_usable(project, left_out)
    cohort = check(rows, open_slides=open_slides)
    return replace(cohort, left_out=(*left_out, *cohort.left_out))


def _row(number: int, entry: ProjectEntry, label_key: str, patient_key: str) -> CohortRow:
    return CohortRow(
        row=number,
        slide=entry.image.path,
        label=entry.metadata.get(label_key, "").strip(),
        patient=entry.metadata.get(patient_key, "").strip() if patient_key else "",
        name=entry.name,
    )


def _given_mpp(image: QuPathImage, *, any_mpp: bool) -> float | None:
    """Return the pixel size that QuPath was given for a slide that states none.

    Raises
    ------
    XmagError
        When training cannot read what QuPath shows: it reads the first picture of a file, as it
        is stored.
    """
    image.require_plain()
    with open_shown(image) as slide:
        find_origin(image, slide)
        if slide.image.index != 1:
            raise ProjectError(
                expected=f"the first image of {image.path.name}, which training reads",
                found=f"number {slide.image.index}",
                hint="Save the image as a file of its own, and add that to the project.",
            )
        if slide.mpp is None and not any_mpp:
            raise ProjectError(
                expected=f"the pixel size of {image.path.name}",
                found="none, neither in the file nor in QuPath",
                hint="In QuPath, enter it in the Image tab, or give --override-mpp.",
            )
        return slide.mpp.mean if slide.mpp_source is MppSource.USER and slide.mpp else None


def _none_usable(project: Project, left_out: Sequence[Problem]) -> CohortError:
    return CohortError(
        expected=f"an image in {project.path.name} that can be trained on",
        found="none. " + ". ".join(map(str, left_out)),
        hint="Correct the project in QuPath.",
    )


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
