"""Where the slides of a worklist come from: folders, tables, projects of QuPath, other lists."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from napari_xmag.cohort.cells import is_missing
from napari_xmag.cohort.table import is_table, read_table
from napari_xmag.errors import CohortError, ProjectError, SlideOpenError, XmagError
from napari_xmag.qupath.project import (
    PROJECT_SUFFIX,
    Project,
    ProjectEntry,
    read_project,
)
from napari_xmag.qupath.server import QuPathImage, find_origin, open_shown
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowStatus, WorklistRow, freed
from napari_xmag.slide.find import FoundSlides, find_slides
from napari_xmag.slide.open import list_images

_AT_ONCE = 4
SLIDE_COLUMNS = ("slide", "path", "file", "filename", "image_path")
"""What the column of the slides may be called in a table."""


_Named = tuple[Path, int | None, float | None]
"""A file, the number of a picture of it (None for all), and its pixel size where it is given."""


@dataclass(frozen=True, slots=True)
class FoundRows:
    """The rows that were meant.

    Attributes
    ----------
    rows
        Each slide once; each image of a project, too.
    searched
        What was found, and left out, in folders.
    unusable
        Images of projects that cannot be read as QuPath shows them: their names, and why.
    """

    rows: tuple[WorklistRow, ...]
    searched: FoundSlides
    unusable: tuple[tuple[str, str], ...] = ()


def worklist_rows(sources: Sequence[Path]) -> FoundRows:
    """Return the slides that files, folders, tables, projects and worklists name, each once.

    Each picture of a file, and each image of a project, is a row of its own.

    Parameters
    ----------
    sources
        Slides, folders that are searched, CSV or Excel tables with a column of slides (and
        ``mpp`` and ``image`` where there is one; without a number, all pictures are meant),
        ``project.qpproj`` of QuPath, and worklists, which keep what became of each slide.

    Raises
    ------
    CohortError
        When a table cannot be read, or has no column of slides.
    ProjectError
        When a project cannot be read, or there is no slide but unusable images of projects.
    ResultError
        When a worklist cannot be read.
    """
    rows: list[WorklistRow] = []
    unusable: list[WorklistRow] = []
    places: list[Path] = []
    for source in sources:
        if source.suffix.lower() == PROJECT_SUFFIX:
            found, failed = _of_project(source)
            rows += found
            unusable += failed
        elif source.suffix.lower() == ".json" and source.is_file():
            # what is being analyzed for that list is not for the one that is made here
            rows += map(freed, Worklist.load(source).rows)
        elif is_table(source):
            rows += _each_picture(_of_table(source))
        else:
            places.append(source)
    searched = find_slides(places)
    rows += _each_picture((slide.absolute(), None, None) for slide in searched.slides)
    named = tuple((row.name, row.reason) for row in unusable)
    if named and not rows:
        raise _none_usable(named)
    # in the list they are seen too
    return FoundRows(Worklist([*rows, *unusable]).rows, searched, named)


def _none_usable(unusable: Sequence[tuple[str, str]]) -> ProjectError:
    return ProjectError(
        expected="an image that can be opened",
        found="none. " + " ".join(f"{name}: {reason}" for name, reason in unusable).rstrip("."),
        hint="Correct the project in QuPath.",
    )


def _each_picture(named: Iterable[_Named]) -> list[WorklistRow]:
    """Return a row for each picture of each file; several are opened at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [row for rows in pool.map(_pictures_of, named) for row in rows]


def _pictures_of(named: _Named) -> list[WorklistRow]:
    path, image, mpp = named
    try:
        numbers = [each.index for each in list_images(path)] if image is None else [image]
    except XmagError:  # whoever analyzes it says why
        numbers = [1]
    return [WorklistRow(path, number, mpp) for number in numbers]


def _of_table(path: Path) -> Iterator[_Named]:
    lines = read_table(path, ())
    names = list(lines[0][1]) if lines else []
    column = next((name for name in SLIDE_COLUMNS if name in names), None)
    if column is None:
        raise CohortError(
            expected=f"a column of slides in {path.name}",
            found=", ".join(filter(None, names)) or "no columns",
            hint=f"Call it {SLIDE_COLUMNS[0]!r}; relative paths are those beside the table.",
        )
    for number, cells in lines:
        slide = cells.get(column, "")
        if not is_missing(slide):
            place = (path.absolute().parent / Path(slide).expanduser()).absolute()
            mpp = _number(path, number, "mpp", cells.get("mpp", ""))
            image = _number(path, number, "image", cells.get("image", ""))
            yield place, None if image is None else int(image), mpp


def _number(path: Path, row: int, column: str, text: str) -> float | None:
    if is_missing(text):
        return None
    try:
        value = float(text.replace(",", "."))
        if not 0 < value < 1e6 or (column == "image" and value != int(value)):
            raise ValueError("it is out of range")
    except ValueError as error:
        raise CohortError(
            expected=f"a positive number as {column} in row {row} of {path.name}",
            found=text,
            hint="Correct the cell, or leave it empty.",
            causes=(error,),
        ) from error
    return value


def _of_project(path: Path) -> tuple[list[WorklistRow], list[WorklistRow]]:
    """Return the usable images and the others, which have failed; several are opened at once."""
    project = read_project(path)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = list(pool.map(partial(_of_image, project), project.entries))
    failed = [row for row in rows if row.status is RowStatus.FAILED]
    return [row for row in rows if row.status is not RowStatus.FAILED], failed


def _of_image(project: Project, entry: ProjectEntry) -> WorklistRow:
    mpp = None if entry.image.mpp is None else entry.image.mpp.mean
    row = WorklistRow(
        entry.image.path.absolute(),
        mpp=mpp,
        name=entry.name,
        entry=project.mark(entry.key),
        marks=tuple(filter(None, (project.earlier_mark(entry.key),))),
    )
    try:
        return replace(row, image=_number_of(entry.image))
    except XmagError as error:
        return replace(row, status=RowStatus.FAILED, reason=str(error))


def _number_of(image: QuPathImage) -> int:
    """Return which picture of its file QuPath shows.

    Raises
    ------
    XmagError
        When it cannot be opened, or is none of the file as it is stored.
    """
    image.require_plain()
    if not os.path.exists(image.path):
        raise SlideOpenError(
            expected=f"the slide {image.path}",
            found="no file there",
            hint="Put it back, or correct the project in QuPath.",
        )
    with open_shown(image) as slide:
        find_origin(image, slide)
        return slide.image.index
