"""DICOM files with a header and nothing that could be shown, written byte by byte."""

import struct
from pathlib import Path

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
COMPUTED_TOMOGRAPHY = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def write_header(
    path: Path,
    *,
    kind: str = WHOLE_SLIDE,
    series: str = "1.2.3",
    instance: str = "",
    more: int = 0,
    fill: bytes = b"\7",
) -> Path:
    """Write a DICOM file that ends in ``more`` private bytes.

    ``instance`` is made of the file's name where none is given.
    """
    instance = instance or "1.9." + ".".join(str(byte) for byte in path.name.encode())[:50].strip(
        "."
    )
    meta = _uid(0x0002, 0x0010, _EXPLICIT_LITTLE_ENDIAN)
    data = _uid(0x0008, 0x0016, kind) + _uid(0x0008, 0x0018, instance)
    # a sequence of unknown length, as many writers have it before what is looked for
    data += struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    data += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + _uid(0x0008, 0x1155, "9.9.9")
    data += struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    data += _uid(0x0020, 0x000D, "1.2.99") + _uid(0x0020, 0x000E, series)
    data += struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"OB", 0, more) + fill * more
    path.parent.mkdir(parents=True, exist_ok=True)
    length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(meta))
    path.write_bytes(bytes(128) + b"DICM" + length + meta + data)
    return path


def _uid(group: int, element: int, text: str) -> bytes:
    value = text.encode() + b"\0" * (len(text) % 2)
    return struct.pack("<HH2sH", group, element, b"UI", len(value)) + value
