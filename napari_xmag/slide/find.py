"""Which files are slides, and which of them lie in and below a folder."""

import os
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import tifffile

from napari_xmag.files import real_path
from napari_xmag.slide.dicom.header import (
    DICOM_SUFFIXES,
    is_dicom,
    may_be_dicom,
    read_dicom_header,
)
from napari_xmag.slide.dicom.series import dicom_series

TIFF_SUFFIXES = (
    *(".tif", ".tiff", ".btf", ".tf2", ".tf8"),
    *(".ptif", ".ptiff", ".qptiff", ".zif"),
)
"""Of TIFFs that may be slides or anything else; ``.ome.tif`` is a ``.tif``."""

SLIDE_SUFFIXES = (
    *(".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".czi"),
    *TIFF_SUFFIXES,
    *DICOM_SUFFIXES,
)
"""Suffixes, in lower case, of the files that a backend reads."""

_OME = (".ome.tif", ".ome.tiff")
_MIRAX_INDEX, _DICOM_INDEX = "slidedat.ini", "DICOMDIR"
_LINKED = "a link to what is taken already"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something below a folder that might have been meant, and why it is left out."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class FoundSlides:
    """The slides that were meant, and what was not taken.

    Attributes
    ----------
    slides
        Files, and folders of nothing but DICOM; each slide once.
    skipped
        What looks like a slide and is none, or would be taken twice.
    unread
        Folders that could not be searched: slides may be missing.
    others
        How many files of other kinds lie there, by suffix.
    """

    slides: tuple[Path, ...]
    skipped: tuple[Skipped, ...] = ()
    unread: tuple[Skipped, ...] = ()
    others: tuple[tuple[str, int], ...] = ()


def is_slide(path: str | os.PathLike[str]) -> bool:
    """Return whether a path looks like a slide: by its suffix, or because it is DICOM.

    DICOM files often have no suffix, so those are looked into. A folder that holds DICOM files
    counts.
    """
    path = Path(path)
    if path.is_dir():
        return any(map(_is_dicom_file, path.iterdir()))
    return path.suffix.lower() in SLIDE_SUFFIXES or _is_dicom_file(path)


def is_whole_slide_dicom(path: Path) -> bool:
    """Return whether a DICOM file, or one of those in a folder, shows a whole slide.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    files = filter(_is_dicom_file, path.iterdir()) if path.is_dir() else [path]
    headers = (read_dicom_header(file) for file in files)
    return any(header is not None and header.is_whole_slide for header in headers)


def find_slides(paths: Iterable[Path]) -> FoundSlides:
    """Return the slides named, and those in and below the folders named, each once.

    Links are followed, but nothing is taken twice. Hidden files and folders, the data folders of
    MRXS slides, DICOM files that are no whole slides, and heat maps that napari-xmag wrote are no
    slides. A folder whose slides are all DICOM is one path: its pictures are its series. A path
    that was named stays even where it is no slide, so that opening it says why.
    """
    search = _Search()
    found: dict[Path, Path] = {}
    for path in paths:
        if search.knows(path):
            continue
        inside = search.below(path) if os.path.isdir(path) else []
        for slide in inside or [path]:
            first = found.setdefault(real_path(slide), slide)
            if first != slide:
                search.skipped.append(Skipped(slide, _LINKED))
    return FoundSlides(
        tuple(found.values()),
        tuple(search.skipped),
        tuple(search.unread),
        tuple(sorted(search.others.items())),
    )


@dataclass
class _Search:
    """Goes through folders; remembers those it has seen, so that circles of links end."""

    skipped: list[Skipped] = field(default_factory=list)
    unread: list[Skipped] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    _folders: set[Path] = field(default_factory=set)

    def knows(self, folder: Path) -> bool:
        """Return whether a folder was searched already."""
        return real_path(folder) in self._folders

    def below(self, folder: Path) -> list[Path]:
        """Return the slides in and below a folder, sorted; of a file and its links, the file."""
        found: list[Path] = []
        links: deque[Path] = deque()
        waiting = deque([folder])
        while waiting or links:
            # Links last: what lies here is called by its own name.
            item = waiting.popleft() if waiting else links.popleft()
            target = real_path(item)
            if target in self._folders:
                self.skipped.append(Skipped(item, _LINKED))
                continue
            self._folders.add(target)
            found += self._look_into(item, waiting, links)
        return self._each_once(found)

    def _each_once(self, found: list[Path]) -> list[Path]:
        once: dict[Path, Path] = {}
        for path in sorted(found, key=lambda path: (path.is_symlink(), path)):
            if once.setdefault(real_path(path), path) != path:
                self.skipped.append(Skipped(path, _LINKED))
        return sorted(once.values())

    def _look_into(self, folder: Path, waiting: deque[Path], links: deque[Path]) -> list[Path]:
        """Return the slides that lie in a folder itself; folders in it wait."""
        slides: list[Path] = []
        dicom: list[Path] = []
        for item in self._entries(folder):
            path = Path(item.path)
            if os.path.isdir(path):
                (links if item.is_symlink() else waiting).append(path)
            elif item.name.upper() == _DICOM_INDEX:
                continue  # what it lists lies beside and below it
            elif _is_dicom_file(path):
                dicom.append(path)
            elif path.suffix.lower() not in SLIDE_SUFFIXES:
                self.others[path.suffix.lower()] += 1
            elif os.path.exists(path) and not os.path.isfile(path):
                self.skipped.append(Skipped(path, "no file"))  # a pipe would be waited for
            elif _is_own_map(path):
                self.skipped.append(Skipped(path, "a heat map that napari-xmag wrote"))
            else:
                slides.append(path)
        return slides + self._of_dicom(folder, dicom, alone=not slides)

    def _of_dicom(self, folder: Path, files: list[Path], *, alone: bool) -> list[Path]:
        """Return the folder where DICOM is all there is, else the first file of each slide."""
        series = dicom_series(files)
        used = {file for one in series for file in one.files}
        self.skipped += [Skipped(p, "DICOM, but not a whole slide") for p in files if p not in used]
        if alone and series:
            return [folder]
        return [one.files[0] for one in series]

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return what is to be looked at in a folder."""
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            self.unread.append(Skipped(folder, error.strerror or str(error)))
            return []
        if any(item.name.lower() == _MIRAX_INDEX for item in entries):
            self._note_orphan(folder)
            return []
        hidden = [item for item in entries if item.name.startswith(".")]
        self.skipped += [Skipped(Path(i.path), "hidden") for i in hidden if _might_be_meant(i)]
        return [item for item in entries if item not in hidden]

    def _note_orphan(self, folder: Path) -> None:
        """Name the data folder of an MRXS slide whose file is not beside it."""
        index = real_path(folder)
        if not any(index.with_name(index.name + end).exists() for end in (".mrxs", ".MRXS")):
            why = "the data folder of an MRXS slide, whose .mrxs file is not beside it"
            self.skipped.append(Skipped(folder, why))


def _is_dicom_file(path: Path) -> bool:
    """Return whether a file is DICOM, or called so; of other names the contents decide."""
    if not may_be_dicom(path) or not os.path.isfile(path):
        return False
    return path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path)


def _might_be_meant(item: os.DirEntry[str]) -> bool:
    if os.path.isdir(item.path):
        return True
    # macOS leaves ._NAME beside each NAME on foreign disks
    return Path(item.name).suffix.lower() in SLIDE_SUFFIXES and not item.name.startswith("._")


def _is_own_map(path: Path) -> bool:
    """Return whether a file is a heat map that this program wrote."""
    if not path.name.lower().endswith(_OME):
        return False
    try:
        with tifffile.TiffFile(path) as file:
            return str(file.pages.first.software).startswith("napari-xmag")
    except (tifffile.TiffFileError, OSError, ValueError, LookupError):
        return False  # whoever opens it says what is wrong with it
