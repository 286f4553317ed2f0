"""What JPEG and JPEG 2000 streams say of their own colours.

Labels beside a stream (TIFF's photometric interpretation, DICOM's) are often wrong; the stream
itself is what a decoder obeys.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_JPEG_START = b"\xff\xd8"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_J2K_START, _J2K_SIZE, _J2K_CODING, _J2K_TILE = b"\xff\x4f", 0x51, 0x52, 0x90
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_SYCC = 18


@dataclass(frozen=True, slots=True)
class StreamColor:
    """How the three components of a stream become colours.

    Attributes
    ----------
    is_ycbcr
        Whether the stream says that it holds YCbCr (True) or RGB (False); None where it says
        neither, so that only the label beside it can tell.
    bits
        Bits a component.
    undone
        Whether a decoder returns RGB whatever is stored.
    """

    is_ycbcr: bool | None
    bits: int
    undone: bool = False


def jpeg_color(stream: bytes) -> StreamColor | None:
    """Return what a JPEG stream says; None where it is no JPEG stream.

    JFIF is always YCbCr, only YCbCr has coarser colours than brightness, and Adobe's marker names
    the transform.
    """
    jfif, adobe, frame = False, None, b""
    for marker, body in _jpeg_segments(stream):
        if marker == 0xE0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker in _JPEG_FRAMES:
            frame = body
    if len(frame) < 6:
        return None
    parts = [frame[6 + 3 * index : 9 + 3 * index] for index in range(frame[5])]
    if len(parts) != 3 or len(parts[-1]) != 3:
        return StreamColor(None, frame[0])
    if adobe is not None:
        return StreamColor(adobe == 1, frame[0])
    if jfif or len({part[1] for part in parts}) > 1:
        return StreamColor(True, frame[0])
    named_rgb = bytes(part[0] for part in parts) == b"RGB"
    return StreamColor(False if named_rgb else None, frame[0])


def stream_pixels(stream: bytes) -> int:
    """Return how many pixels a JPEG or JPEG 2000 stream declares; 0 where it says nothing."""
    for marker, body in _jpeg_segments(stream):
        if marker in _JPEG_FRAMES and len(body) >= 5:
            return int.from_bytes(body[1:3], "big") * int.from_bytes(body[3:5], "big")
    start = stream.find(_J2K_START)
    if stream[:2] == _JPEG_START or start < 0:
        return 0
    for marker, body in _jpeg2000_segments(stream, start + 2):
        if marker == _J2K_SIZE and len(body) >= 18:
            right, bottom, left, top = struct.unpack_from(">4I", body, 2)
            return int(max(0, right - left) * max(0, bottom - top))
    return 0


def _jpeg_segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, body) of the header's segments."""
    if stream[:2] != _JPEG_START:
        return
    place = 2
    while place + 4 <= len(stream):
        if stream[place] != 0xFF:
            return
        marker = stream[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in (_JPEG_SCAN, _JPEG_END):
            return
        length = int.from_bytes(stream[place + 2 : place + 4], "big")
        yield marker, stream[place + 4 : place + 2 + length]
        place += 2 + length


def jpeg2000_color(stream: bytes) -> StreamColor | None:
    """Return what a JPEG 2000 stream says, bare or in a JP2 file; None where it is none.

    With a component transform, coarser chroma or a colour box of sYCC, decoders return RGB. A
    bare stream without transform does not say what its components are.
    """
    box = _jp2_color(stream)
    start = stream.find(_J2K_START)
    if start < 0:
        return None
    transform, size = 0, b""
    for marker, body in _jpeg2000_segments(stream, start + 2):
        if marker == _J2K_SIZE:
            size = body
        elif marker == _J2K_CODING and len(body) >= 5:
            transform = body[4]
    if len(size) < 39:
        return None
    parts = [
        size[36 + 3 * index : 39 + 3 * index] for index in range(int(size[34] << 8 | size[35]))
    ]
    bits = (parts[0][0] & 0x7F) + 1
    coarse = len(parts) == 3 and len({part[1:] for part in parts}) > 1
    if len(parts) < 3:
        return StreamColor(None, bits)
    if transform or coarse or box == _SYCC:
        return StreamColor(True, bits, undone=True)
    return StreamColor(None, bits)


def _jpeg2000_segments(stream: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    while place + 4 <= len(stream) and stream[place] == 0xFF:
        marker = stream[place + 1]
        if marker == _J2K_TILE:
            return
        length = int.from_bytes(stream[place + 2 : place + 4], "big")
        yield marker, stream[place + 4 : place + 2 + length]
        place += 2 + length


def _jp2_color(stream: bytes) -> int | None:
    """Return the enumerated colour space of a JP2 file's colour box."""
    if not stream.startswith(_JP2_SIGNATURE):
        return None
    place = stream.find(b"colr", 0, 4096)
    if place < 0 or stream[place + 4] != 1:
        return None
    return int(struct.unpack_from(">I", stream, place + 7)[0])
