"""Opening a slide with whichever library reads it."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import cast

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import MppSource, Slide, SlideImage
from napari_xmag.slide.dicom import DIRECTORY
from napari_xmag.slide.dicom_header import is_dicom
from napari_xmag.slide.dicom_slide import DicomSlide
from napari_xmag.slide.find import TIFF_SUFFIXES
from napari_xmag.slide.given_mpp import take_mpp
from napari_xmag.slide.mpp_store import remembered_mpp
from napari_xmag.slide.openslide import OpenSlideSlide
from napari_xmag.slide.tiff import TiffSlide

_log = logging.getLogger(__name__)

_Backend = Callable[[Path, int | str | None], object]
_BACKENDS: tuple[tuple[str, _Backend], ...] = (
    ("OpenSlide", OpenSlideSlide),
    ("tifffile", TiffSlide),
)
_DICOM: tuple[tuple[str, _Backend], ...] = (("pydicom", DicomSlide),)


def list_images(path: str | os.PathLike[str]) -> tuple[SlideImage, ...]:
    """Return the pictures of a file or DICOM folder that are slides, most often one.

    Raises
    ------
    SlideOpenError
        When no backend reads it.
    """
    slide = _open_any(Path(path), None)
    slide.close()
    return slide.images


def open_slide(
    path: str | os.PathLike[str], mpp: Mpp | float | None = None, image: int | str | None = None
) -> Slide:
    """Open a slide file, a DICOM folder, or any one file of a DICOM series.

    Parameters
    ----------
    path
        File or folder.
    mpp
        Pixel size in µm that the user gives; it wins over the file's, and a conflict is noted
        in ``mpp_conflict``. Without it the file's value is taken, then the one remembered for
        this slide; it is never guessed.
    image
        Number (from 1) or name of the picture, where the file holds several; see
        :func:`list_images`. Without it the first is opened, and ``notes`` name the others.

    Raises
    ------
    SlideOpenError
        When no backend reads it (``causes`` holds the reason of each), or when it has no such
        picture.
    GeometryError
        When the given mpp is not a positive number.
    """
    path = Path(path)
    given = Mpp(float(mpp), float(mpp)) if isinstance(mpp, int | float) else mpp
    slide = _open_any(path, image)
    if given is not None:
        take_mpp(slide, given)
    elif slide.mpp is None:
        _apply_remembered(slide)
    return slide


def _open_any(path: Path, image: int | str | None) -> Slide:
    _check_readable(path)
    causes: list[BaseException] = []
    for name, backend in _DICOM if _opens_as_dicom(path) else _BACKENDS:
        try:
            return cast(Slide, backend(path, image))
        except Exception as error:  # noqa: BLE001
            # Broken XML or colour profiles, sizes beyond all memory: whatever a library raises
            # is kept as a cause, and the next one may do better.
            causes.append(error)
            _log.debug("%s does not open %s: %s", name, path, error)
    raise _refusal(path, causes)


def _opens_as_dicom(path: Path) -> bool:
    """Return whether a path is DICOM; a TIFF that is both is read as what its name says."""
    if path.is_dir() or path.name.upper() == DIRECTORY:
        return True
    return path.suffix.lower() not in TIFF_SUFFIXES and is_dicom(path)


def _check_readable(path: Path) -> None:
    """Tell at once of a file or folder that may not be read."""
    try:
        mode = path.stat().st_mode
        if S_ISDIR(mode):
            next(path.iterdir(), None)
            return
        if not S_ISREG(mode):  # reading from a pipe would wait for ever
            raise OSError(f"{path.name} is neither a file nor a folder")
        path.open("rb").close()
    except FileNotFoundError as error:
        raise SlideOpenError(
            expected=f"the slide {path.name}",
            found=f"no such file in {path.parent}",
            hint="Check the name and that the drive is connected.",
            causes=[error],
        ) from error
    except OSError as error:
        raise SlideOpenError(
            expected=f"to read {path.name}",
            found=error.strerror or str(error),
            hint="Check that you may read it and that the drive is connected.",
            causes=[error],
        ) from error


def _apply_remembered(slide: Slide) -> None:
    mpp = remembered_mpp(slide.path, slide.image.index)
    if mpp is not None:
        slide.mpp, slide.mpp_source = mpp, MppSource.REMEMBERED


def _refusal(path: Path, causes: list[BaseException]) -> SlideOpenError:
    """Return the error for a file that no backend opened, in words for its owner."""
    own = [cause for cause in causes if isinstance(cause, SlideOpenError)]
    if own:
        # tifffile understood the file and knows why it is no slide: that is the answer.
        return SlideOpenError(
            expected=own[0].expected, found=own[0].found, hint=own[0].hint, causes=causes
        )
    return SlideOpenError(
        expected="a whole slide that can be read",
        found=_what_it_is(path),
        hint=_what_to_do(path),
        causes=causes,
    )


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return f"the folder {path.name}, in which no slide can be read"
    if path.stat().st_size == 0:
        return f"{path.name}, an empty file"
    if is_dicom(path):
        return f"{path.name}, a DICOM file that lacks what a whole slide needs"
    return f"{path.name}, a file that neither OpenSlide nor tifffile can read"


def _what_to_do(path: Path) -> str:
    if path.is_dir():
        return "Choose the folder that holds the .dcm files of one slide, or the slide file itself."
    if is_dicom(path):
        return (
            "Export the slide again as DICOM whole-slide images, and keep all its .dcm files "
            "together in one folder."
        )
    return (
        "Check that the file is complete (some formats need the folder beside the file), or "
        "convert it to a tiled pyramidal TIFF."
    )
