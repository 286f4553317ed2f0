"""Decides whether a file may be opened here, at once, after a child process survived it, or not."""

from pathlib import Path

from tifffile import TiffFileError

from napari_xmag.slide.backends import opens_as_dicom
from napari_xmag.slide.guard.child import require_survivable
from napari_xmag.slide.guard.tiff_checks import doubts, require_plausible
from napari_xmag.slide.guard.tiff_walk import walk_tiff
from napari_xmag.slide.tiff.leica import require_described_pages


def require_harmless(path: Path) -> None:
    """Refuse a file that could end or hold up this process.

    The sizes, places and chains of a TIFF are checked by our own reading of its directories. A
    TIFF in which something is odd, and a file of another scanner's format, of which nothing can be
    checked so, is opened in a child process first. DICOM is read by Python alone.

    Raises
    ------
    SlideOpenError
        When the file declares what cannot be, or the child died, hung, or took too much memory.
    """
    if opens_as_dicom(path) or path.stat().st_size == 0:
        return
    try:
        walk = walk_tiff(path)
    except TiffFileError:
        require_survivable(path)
        return
    require_plausible(path, walk)
    if path.suffix.lower() == ".scn":
        require_described_pages(path)
    if doubts(walk):
        require_survivable(path)
