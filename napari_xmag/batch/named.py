"""What slides are called in tables, and how a row finds its slide again at a later run."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from napari_xmag.batch.events import SlideLabel
from napari_xmag.files import joined_path, relative_path

PROJECT, FILE = "project", "file"
"""Columns: paths as seen from the table's folder, the first only of images of QuPath."""

_ID = "ID "
"""How an image of a QuPath project is told from others of its name."""


@dataclass(frozen=True, slots=True)
class NamedSlide:
    """One slide, picture of a file, or image of a QuPath project in a table.

    Attributes
    ----------
    slide
        Its path relative to what the user named; the name of an image of a project.
    image
        Which picture of the file; the ID of an image of a project.
    project
        The project as seen from the table; empty for a plain slide.
    file
        The slide as seen from the table; empty in tables of earlier versions.
    left
        The place of a project, seen from the table, before it was moved; empty where it was not.
    """

    slide: str
    image: str
    project: str = ""
    file: str = ""
    left: str = ""

    @classmethod
    def of_row(cls, row: Mapping[str, str]) -> "NamedSlide":
        """Return what a row is about."""
        return cls(row["slide"], row["image"], row.get(PROJECT, ""), row.get(FILE, ""))

    @property
    def key(self) -> tuple[str, str]:
        """The same whatever it is called: names depend on what was given, and change in QuPath."""
        if self.project:
            return self.project, self.image or self.slide
        return self.file, self._picture

    @property
    def former_key(self) -> tuple[str, str]:
        """What the key was where its project lay before."""
        return replace(self, project=self.left or self.project).key

    @property
    def called(self) -> tuple[str, str]:
        """Its name, and which picture: less than the key, but it outlasts a move."""
        return self.slide, self._picture

    @property
    def _picture(self) -> str:
        # a file that cannot be opened fails before anyone knows how many pictures it has
        return self.image or "1"

    def words(self, *, of_project: bool = False) -> str:
        """Return what a person reads; of which project, too, where there are several."""
        if self.image.startswith(_ID):
            where = f" of {self.project}" if of_project and self.project else ""
            return f"{self.slide} [{self.image}{where}]"
        return self.slide if self._picture == "1" else f"{self.slide} #{self.image}"

    def is_gone(self, folder: Path) -> bool:
        """Return whether no slide lies any more where the row of a table in this folder says."""
        return not (self.file and os.path.lexists(joined_path(folder, self.file)))


class HeardSlides:
    """The slides that a run says something of: rows of earlier runs about them are out of date.

    Parameters
    ----------
    folder
        Of the table.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: set[tuple[str, str]] = set()
        self._called: set[tuple[str, str]] = set()

    def add(self, slide: NamedSlide) -> None:
        """Take in a slide."""
        self._keys |= {slide.key, slide.former_key}
        if not slide.project:
            self._called.add(slide.called)

    def has(self, row: Mapping[str, str]) -> bool:
        """Return whether a row is about one of them; a file that was moved is known by its name."""
        slide = NamedSlide.of_row(row)
        if slide.key in self._keys:
            return True
        alike = slide.called in self._called and not slide.project
        return alike and slide.is_gone(self._folder)


class SlideNames:
    """What slides are called: relative to what the user named, never with a home folder.

    An image of a QuPath project is called by its name there.

    Parameters
    ----------
    given
        Files and folders.
    folder
        Of the tables.
    """

    def __init__(self, given: Iterable[Path], folder: Path) -> None:
        self._root = _common_root(given)
        self._folder = folder

    def of(self, slide: SlideLabel) -> NamedSlide:
        """Return what a slide is called."""
        file = self._seen(slide.path)
        if slide.shown:
            key = f"{_ID}{slide.key}" if slide.key else ""
            places = self._seen(slide.project), file, self._seen(slide.left)
            return NamedSlide(slide.shown, key, *places)
        image = "" if slide.image is None else str(slide.image)
        return NamedSlide(self._path(slide.path), image, file=file)

    def _seen(self, path: Path | None) -> str:
        return "" if path is None else relative_path(path, self._folder)

    def _path(self, slide: Path) -> str:
        path = Path(os.path.abspath(slide))  # noqa: PTH100 - links are called by their names
        if self._root is None or not path.is_relative_to(self._root) or path == self._root:
            return path.name
        return path.relative_to(self._root).as_posix()


def _common_root(given: Iterable[Path]) -> Path | None:
    """Return the folder below which all of it lies; None where it is no more than the disk."""
    roots = {Path(os.path.abspath(path)) for path in given}  # noqa: PTH100 - as `SlideNames.of`
    folders = {root if root.is_dir() else root.parent for root in roots}
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:  # on several disks, or nothing given
        return None
    return None if common == Path(common.anchor) else common
