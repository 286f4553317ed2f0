"""What OpenSlide takes on trust in a DICOM slide, checked."""

import io
import mmap
from pathlib import Path

from PIL import Image, UnidentifiedImageError

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_JPEG_START = b"\xff\xd8\xff"
_LONGEST_HEADER = 2**16


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files in a folder, largest first: that is level 0 of a slide."""
    files = [item for item in folder.iterdir() if item.suffix.lower() == ".dcm" and item.is_file()]
    return sorted(files, key=lambda item: (-item.stat().st_size, item.name))


def hides_ycbcr(path: Path, photometric: str) -> bool:
    """Return whether a DICOM file calls its JPEG frames RGB although they hold YCbCr.

    Some converters copy JPEG frames and write the wrong PhotometricInterpretation. OpenSlide
    believes it and shows pink glass and green tissue; the frame's own header knows better: JFIF is
    always YCbCr, and only YCbCr has coarser colours than brightness.

    Parameters
    ----------
    path
        A DICOM file.
    photometric
        The PhotometricInterpretation that the file states.
    """
    if photometric != "RGB":
        return False
    try:
        frame = Image.open(io.BytesIO(_first_frame(path)), formats=["JPEG"])
    except UnidentifiedImageError:
        return False
    if "adobe_transform" in frame.info:
        return bool(frame.info["adobe_transform"])
    layers = getattr(frame, "layer", [])
    sampled = {(horizontal, vertical) for _, horizontal, vertical, _ in layers}
    return len(layers) == 3 and ("jfif" in frame.info or len(sampled) > 1)


def _first_frame(path: Path) -> bytes:
    """Return the beginning of the first JPEG frame; empty where there is none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_JPEG_START, max(0, data.find(_PIXEL_DATA)))
        return data[start : start + _LONGEST_HEADER] if start >= 0 else b""
