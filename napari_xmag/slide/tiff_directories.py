"""The chain of directories of a TIFF, followed before anything else trusts it."""

import struct
from pathlib import Path

from tifffile import TiffFileError

from napari_xmag.errors import SlideOpenError

# No slide has more pictures and levels than this.
MOST_DIRECTORIES = 4096


def count_directories(path: Path) -> tuple[int, bool]:
    """Count the directories of a TIFF that can be reached.

    Returns
    -------
    Their number, and whether the chain comes to its end; False where the file was cut off before.

    Raises
    ------
    TiffFileError
        When the file is no TIFF.
    SlideOpenError
        When its directories go round in a circle or do not end.
    """
    seen: set[int] = set()
    with path.open("rb") as file:
        order, entry, place, word = _header(file.read(16))
        while place:
            if place in seen or len(seen) >= MOST_DIRECTORIES:
                raise SlideOpenError(
                    expected="a TIFF whose directories come to an end",
                    found=f"{path.name}, whose directories go round in a circle",
                    hint="The file is damaged: copy it again from its source.",
                )
            file.seek(place)
            head = 2 if word == 4 else 8
            count = _number(file.read(head), head, order)
            file.seek(place + head + (count or 0) * entry)
            following = None if count is None else _number(file.read(word), word, order)
            if following is None:
                return len(seen), False
            seen.add(place)
            place = following
    return len(seen), True


def _header(data: bytes) -> tuple[str, int, int, int]:
    """Return the byte order, the size of an entry, the first place, and the size of a place."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        raise TiffFileError("not a TIFF file")
    kind = struct.unpack_from(f"{order}H", data, 2)[0]
    if kind == 42:
        return order, 12, struct.unpack_from(f"{order}I", data, 4)[0], 4
    if kind == 43:
        return order, 20, struct.unpack_from(f"{order}Q", data, 8)[0], 8
    raise TiffFileError(f"not a TIFF file: its version is {kind}")


def _number(data: bytes, size: int, order: str) -> int | None:
    """Return a number of 2, 4 or 8 bytes; None where the file ended before."""
    if len(data) < size:
        return None
    return int(struct.unpack(order + {2: "H", 4: "I", 8: "Q"}[size], data)[0])
