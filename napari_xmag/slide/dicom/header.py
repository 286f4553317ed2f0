"""The few facts at the beginning of a DICOM file that say what it is and where it belongs."""

from dataclasses import dataclass
from pathlib import Path

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic")

_ALSO_DICOM = ("", ".ima")
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
_IMAGE_TYPE, _SOP_CLASS, _SOP_INSTANCE = 0x00080008, 0x00080016, 0x00080018
_PYRAMID, _SERIES, _CONTAINER = 0x00080019, 0x0020000E, 0x00400512
_ASIDES = frozenset({"LABEL", "OVERVIEW", "THUMBNAIL", "LOCALIZER"})


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What a DICOM file says of itself; a text is empty where the file says nothing.

    Attributes
    ----------
    kind
        SOPClassUID: which kind of picture, or none.
    instance
        SOPInstanceUID: this file.
    series
        SeriesInstanceUID: the files of one slide have the same.
    pyramid, container
        PyramidUID and ContainerIdentifier, which tell the slides of one series apart.
    flavor
        The third value of ImageType: VOLUME, LABEL, OVERVIEW, THUMBNAIL.
    """

    kind: str
    instance: str
    series: str
    pyramid: str = ""
    container: str = ""
    flavor: str = ""

    @property
    def is_whole_slide(self) -> bool:
        """Whether it is a level, label or overview of a whole slide."""
        return self.kind == _WHOLE_SLIDE

    @property
    def is_aside(self) -> bool:
        """Whether it is a label or overview of a slide, which is no slide itself."""
        return self.is_whole_slide and self.flavor in _ASIDES

    @property
    def slide(self) -> str:
        """What all levels of one slide have in common, and no two slides have."""
        return " ".join(filter(None, (self.series, self.pyramid, self.container)))


def may_be_dicom(path: Path) -> bool:
    """Return whether a file may be DICOM by its name: scanners and archives leave suffixes away.

    Files named by their UID end in digits, which look like a suffix.
    """
    suffix = path.suffix.lower()
    return suffix in (*DICOM_SUFFIXES, *_ALSO_DICOM) or suffix[1:].isdigit()


def is_dicom(path: Path) -> bool:
    """Return whether a file carries the DICOM signature; False for one that cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom_header(path: Path) -> DicomHeader | None:
    """Return the header of a DICOM file; None for all other files and for damaged ones.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_partial

    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return None
        stream.seek(0)
        try:
            found = read_partial(stream, stop_when=lambda tag, *_: int(tag) > _CONTAINER)
        except (InvalidDicomError, EOFError, ValueError, LookupError, NotImplementedError):
            return None
    # Unconverted: pydicom warns of every UID that is a digit too long.
    tags = _SOP_CLASS, _SOP_INSTANCE, _SERIES, _PYRAMID, _CONTAINER, _IMAGE_TYPE
    raw = (found.get_item(tag) for tag in tags)
    texts = [_text(item.value if item is not None else None) for item in raw]
    kinds = texts.pop().upper().split("\\")
    texts.append(kinds[2].strip() if len(kinds) > 2 else "")
    return DicomHeader(*texts)


def _text(value: object) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 ")
