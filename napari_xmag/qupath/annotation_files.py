"""Which file of a folder holds the annotations of which slide."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from napari_xmag.errors import TissueError
from napari_xmag.files import composed, lying_path
from napari_xmag.qupath.geojson_file import GEOJSON_SUFFIXES
from napari_xmag.slide.find import SLIDE_SUFFIXES

_EXACT, _STEM, _FILE = range(3)
"""How a file is named: as its slide, as it without suffix, or as the file behind an image."""

_OME = ".ome"
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|]+')


@dataclass(frozen=True, slots=True)
class AnnotatedSlide:
    """What a file of annotations may be named after.

    Attributes
    ----------
    path
        The slide's file or folder.
    name
        The name of the image in QuPath, or empty.
    key
        Its ID in a project of QuPath, or empty.
    further
        Whether it is another picture of its file than the first: then the file's name is not its.
    """

    path: Path
    name: str = ""
    key: str = ""
    further: bool = False

    @property
    def words(self) -> str:
        """The slide as a person knows it."""
        return self.name or self.path.name

    @property
    def file_stem(self) -> str:
        """Its name as a file may bear it, without a suffix."""
        return _NOT_IN_FILE_NAMES.sub("_", composed(self.words))

    @property
    def short_stem(self) -> str:
        """The same without the suffix of a slide."""
        return next(_without_suffix(self.file_stem), self.file_stem)


def picture_mark(image: int | str | None) -> str:
    """Return what stands behind a slide's name for a further picture of its file: ``#2``."""
    return "" if image in (None, 1, "1") else f"#{image}"


@dataclass(frozen=True)
class AnnotationFiles:
    """Finds the annotations of each of many slides, and none that belong to another.

    Attributes
    ----------
    slides
        All slides that are worked on.
    """

    slides: tuple[AnnotatedSlide, ...] = ()

    @classmethod
    def of(cls, slides: Iterable[AnnotatedSlide]) -> "AnnotationFiles":
        """Take slides, each once."""
        return cls(tuple(dict.fromkeys(slides)))

    def find(self, slide: AnnotatedSlide, folder: Path, mark: str = "") -> Path | None:
        """Return the file of a slide; None where there is none.

        Parameters
        ----------
        mark
            As of `picture_mark`.

        Raises
        ------
        TissueError
            When the file could as well be another slide's.
        """
        found = self._first(slide, folder, mark)
        if found is None:
            return None
        stem, file = found
        for other, level in self._named.get(stem, {}).items():
            if other == slide:
                continue
            if level == _EXACT or self._first(other, folder, mark) == found:
                raise _shared(file, slide, other)
        return file

    def _first(self, slide: AnnotatedSlide, folder: Path, mark: str) -> tuple[str, Path] | None:
        for stem in self._own_stems(slide):
            for suffix in GEOJSON_SUFFIXES:
                file = lying_path(folder / f"{stem}{mark}{suffix}")
                if os.path.isfile(file):
                    return stem, file
        return None

    def _own_stems(self, slide: AnnotatedSlide) -> Iterator[str]:
        """Yield the names that a file may bear, without those that fit another slide better."""
        for stem, level in _stems(slide).items():
            if all(level <= theirs for theirs in self._named.get(stem, {}).values()):
                yield stem

    @cached_property
    def _named(self) -> Mapping[str, Mapping[AnnotatedSlide, int]]:
        named: defaultdict[str, dict[AnnotatedSlide, int]] = defaultdict(dict)
        for slide in self.slides:
            for stem, level in _stems(slide).items():
                named[stem][slide] = level
        return named


def _stems(slide: AnnotatedSlide) -> dict[str, int]:
    """Return the names that a file may bear without its suffix, the surest first."""
    shown = slide.file_stem
    exact = [f"{shown} [ID {slide.key}]", shown] if slide.key else [shown]
    stems = dict.fromkeys(exact, _EXACT)
    for short in _without_suffix(shown):
        stems.setdefault(short, _STEM)
    if not slide.further:
        file = composed(slide.path.name)
        for name in (file, *_without_suffix(file)):
            stems.setdefault(name, _FILE)
    return stems


def _without_suffix(name: str) -> Iterator[str]:
    path = Path(name)
    # of "Case 1.2" nothing must go: it would become the name of another case
    if path.suffix.lower() in SLIDE_SUFFIXES:
        yield path.stem
        # QuPath takes ".ome.tif" for one suffix
        if path.stem.lower().endswith(_OME):
            yield path.stem[: -len(_OME)]


def _shared(file: Path, slide: AnnotatedSlide, other: AnnotatedSlide) -> TissueError:
    same = slide.words == other.words
    if same and slide.key and slide.key == other.key:
        return TissueError(
            expected=f"annotations of one image in {file.name}",
            found=f"two images named {slide.words} with the ID {slide.key}, of different projects",
            hint="Work on one project at a time, each with a folder of annotations of its own.",
        )
    two = f"two slides named {slide.words}" if same else f"{slide.words} and {other.words}"
    way = (
        f'"{slide.file_stem} [ID {slide.key}].geojson", with the ID of each image in the project'
        if slide.key
        else "the whole name of each slide and .geojson, or analyze them one folder at a time"
    )
    return TissueError(
        expected=f"annotations of one slide in {file.name}",
        found=f"a file that could be of {two}",
        hint=f"Name the files apart: {way}.",
    )
