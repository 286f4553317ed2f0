"""DICOM files: which of them belong to one slide, and what each states."""

import filecmp
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xmag.files import real_path
from napari_xmag.slide.dicom.header import DICOM_SUFFIXES, is_dicom, may_be_dicom

DIRECTORY = "DICOMDIR"

_DEPTH = "ZOffsetInSlideCoordinateSystem"
_HEADER = [
    "ImageType", "SOPInstanceUID", "Manufacturer", "ManufacturerModelName",
    "InConcatenationNumber", "InConcatenationTotalNumber", "ConcatenationUID",
    "ConcatenationFrameOffsetNumber", "DimensionOrganizationType",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "ImagedVolumeWidth", "ImagedVolumeHeight", "TotalPixelMatrixColumns",
    "TotalPixelMatrixRows", "OpticalPathSequence", "NumberOfOpticalPaths",
    "TotalPixelMatrixFocalPlanes", "SharedFunctionalGroupsSequence", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "TotalPixelMatrixOriginSequence",
]  # fmt: skip


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files in a folder, by name; with a DICOMDIR those that it lists too."""
    files = [item for item in sorted(folder.iterdir()) if item.is_file()]
    found = [item for item in files if _looks_dicom(item)]
    for directory in (item for item in files if item.name.upper() == DIRECTORY):
        found += [item for item in listed_files(directory) if item not in found]
    return found


def _looks_dicom(path: Path) -> bool:
    if path.name.upper() == DIRECTORY or path.name.startswith(".") or not may_be_dicom(path):
        return False
    return path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path)


def listed_files(directory: Path) -> list[Path]:
    """Return the files that a DICOMDIR lists and that are there.

    Raises
    ------
    pydicom.errors.InvalidDicomError, OSError
        When it cannot be read.
    """
    from pydicom import dcmread

    records = dcmread(directory).get("DirectoryRecordSequence") or []
    parts = [record.get("ReferencedFileID") for record in records]
    paths = [directory.parent.joinpath(*([p] if isinstance(p, str) else p)) for p in parts if p]
    return [path for path in paths if path.is_file()]


@dataclass(frozen=True, eq=False)
class Instance:
    """One DICOM file of a whole slide: a level or a part of one, a label, an overview.

    Attributes
    ----------
    path
        The file.
    header
        What it states, as pydicom reads it; without per-frame groups and pixels.
    syntax
        UID of the transfer syntax.
    pixels_at
        Where the pixel data element begins, in bytes.
    per_frame
        Room for what is stated of each frame, read when it is needed.
    """

    path: Path
    header: Any
    syntax: str
    pixels_at: int
    per_frame: list[Any] = field(default_factory=list)

    def number(self, name: str, default: int = 0) -> int:
        """Return an integer attribute."""
        value = self.header.get(name)
        return default if value is None or value == "" else int(value)

    def text(self, name: str) -> str:
        """Return a text attribute; empty when it is missing."""
        return str(self.header.get(name) or "")

    @property
    def is_level(self) -> bool:
        """Whether it is a level: the third value of ImageType is VOLUME."""
        kinds: Any = self.header.get("ImageType") or ()
        return not isinstance(kinds, str) and len(kinds) > 2 and str(kinds[2]).upper() == "VOLUME"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture in pixels."""
        return (
            self.number("TotalPixelMatrixColumns", self.number("Columns")),
            self.number("TotalPixelMatrixRows", self.number("Rows")),
        )

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a frame in pixels."""
        return self.number("Columns"), self.number("Rows")

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Size of a pixel in mm, as (x, y): PixelSpacing, else the imaged volume over pixels."""
        measures = _first(self._shared(), "PixelMeasuresSequence")
        if measures is None:  # all frames have one size, whoever states it
            measures = _first(next(iter(self.frame_groups()), None), "PixelMeasuresSequence")
        values = None if measures is None else measures.get("PixelSpacing")
        if values is not None and len(values) == 2 and min(map(float, values)) > 0:
            return float(values[1]), float(values[0])
        return self.volume_spacing

    @property
    def volume_spacing(self) -> tuple[float, float] | None:
        """Size of a pixel in mm, as (x, y), from the size of the imaged volume; or None."""
        across = float(self.header.get("ImagedVolumeWidth") or 0)
        down = float(self.header.get("ImagedVolumeHeight") or 0)
        width, height = self.size
        return (across / width, down / height) if across > 0 and down > 0 else None

    @property
    def origin(self) -> tuple[float, float] | None:
        """Where the first pixel lies on the glass, in mm, as (x, y); None where nobody says."""
        place = _first(self.header, "TotalPixelMatrixOriginSequence")
        names = ("XOffsetInSlideCoordinateSystem", "YOffsetInSlideCoordinateSystem")
        x, y = (None if place is None else place.get(name) for name in names)
        return None if x is None or y is None else (float(x), float(y))

    def depths(self) -> Iterator[float | None]:
        """Yield where its focal plane lies in the slide, in µm, as three places state it.

        They are those of all frames together, of each frame (of several planes the lowest), and
        of the whole picture; None where nobody says.
        """
        yield _depth(_first(self._shared(), "PlanePositionSlideSequence"))
        places = [_first(item, "PlanePositionSlideSequence") for item in self.frame_groups()]
        yield min((depth for place in places if (depth := _depth(place)) is not None), default=None)
        yield _depth(_first(self.header, "TotalPixelMatrixOriginSequence"))

    def frame_depths(self) -> list[float]:
        """Return the focal plane of each frame in µm, 0 where a frame states none."""
        places = (_first(item, "PlanePositionSlideSequence") for item in self.frame_groups())
        return [_depth(place) or 0.0 for place in places]

    def frame_groups(self) -> Sequence[Any]:
        """Return what the file states of each frame; empty where it states nothing."""
        from pydicom import config, dcmread

        if not self.per_frame:
            tags = ["PerFrameFunctionalGroupsSequence"]
            with config.disable_value_validation():
                header = dcmread(self.path, stop_before_pixels=True, specific_tags=tags)
                header.walk(lambda *_: None)  # converts all values, while nothing warns of them
            self.per_frame.append(header.get("PerFrameFunctionalGroupsSequence") or ())
        items: Sequence[Any] = self.per_frame[0]
        return items

    @property
    def optical_path(self) -> Any:
        """The first optical path, with its objective and colour profile; or None."""
        return _first(self.header, "OpticalPathSequence")

    def _shared(self) -> Any:
        return _first(self.header, "SharedFunctionalGroupsSequence")


def _depth(place: Any) -> float | None:
    value = None if place is None else place.get(_DEPTH)
    return None if value is None or value == "" else float(value)


def _first(dataset: Any, name: str) -> Any:
    items = None if dataset is None else dataset.get(name)
    return items[0] if items else None


def read_instances(files: Iterable[Path]) -> list[Instance]:
    """Return the DICOM files among those of a slide, each once."""
    found = [instance for path in files if (instance := read_instance(path)) is not None]
    return list(dict.fromkeys(without_copies(found)))


def without_copies(instances: Sequence[Instance]) -> list[Instance]:
    """Return for each file the first one of the same contents: most often itself.

    The same file may come twice, for instance beside a link and beside its target. Two files of
    one UID with other contents are two: not all writers make a new UID, or any.
    """
    known: dict[str, list[Instance]] = {}
    firsts = []
    for instance in instances:
        alike = known.setdefault(instance.text("SOPInstanceUID"), [])
        first = next((one for one in alike if _same_contents(one.path, instance.path)), instance)
        if first is instance:
            alike.append(instance)
        firsts.append(first)
    return firsts


def _same_contents(one: Path, other: Path) -> bool:
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def read_instance(path: Path) -> Instance | None:
    """Return what a DICOM file states; None for another kind of file and for a damaged one."""
    from pydicom import config, dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with path.open("rb") as file, config.disable_value_validation():
            header = dcmread(file, stop_before_pixels=True, specific_tags=list(_HEADER))
            header.walk(lambda *_: None)  # converts all values, while nothing warns of them
            return Instance(path, header, str(header.file_meta.TransferSyntaxUID), file.tell())
    except (InvalidDicomError, OSError, ValueError, AttributeError, KeyError, EOFError):
        return None  # another kind of file, or one without the beginning of DICOM


def slide_files(path: Path) -> list[Path]:
    """Return the files among which a slide's levels are sought.

    Parameters
    ----------
    path
        A folder, a DICOMDIR, or a file whose siblings belong to it; of a link, the siblings of
        its target too.
    """
    if path.is_dir():
        return dicom_files(path)
    if path.name.upper() == DIRECTORY:
        return listed_files(path)
    folders = dict.fromkeys(Path(os.path.abspath(folder)) for folder in _homes(path))  # noqa: PTH100 - links stay
    siblings = [item for folder in folders for item in dicom_files(folder)]
    return [path, *(item for item in siblings if item != path)]


def _homes(path: Path) -> Iterator[Path]:
    yield path.parent
    yield real_path(path).parent
