"""Opening a slide: what may not be read or would do harm is refused before a library sees it."""

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Mpp
from napari_xmag.printable import printable
from napari_xmag.slide.backends import open_any
from napari_xmag.slide.base import MppSource, Slide, SlideImage
from napari_xmag.slide.given_mpp import take_mpp
from napari_xmag.slide.guard.gate import require_harmless
from napari_xmag.slide.mpp_store import remembered_mpp


def list_images(path: str | os.PathLike[str]) -> tuple[SlideImage, ...]:
    """Return the images of a file or DICOM folder that are slides, most often one.

    Raises
    ------
    SlideOpenError
        When no backend reads it.
    """
    slide = _open_guarded(Path(path), None)
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
        Number (from 1) or name of the image, where the file holds several; see
        :func:`list_images`. Without it the first is opened, and ``notes`` name the others.

    Raises
    ------
    SlideOpenError
        When no backend reads it (``causes`` holds the reason of each), or when it has no such
        image.
    GeometryError
        When the given mpp is not a positive number.
    """
    path = Path(path)
    given = Mpp(float(mpp), float(mpp)) if isinstance(mpp, int | float) else mpp
    slide = _open_guarded(path, image)
    if given is not None:
        take_mpp(slide, given)
    elif slide.mpp is None:
        _apply_remembered(slide)
    return slide


def _open_guarded(path: Path, image: int | str | None) -> Slide:
    try:
        _check_readable(path)
        require_harmless(path)
    except SlideOpenError:
        raise
    except FileNotFoundError as error:
        raise SlideOpenError(
            expected=f"the slide {path.name}",
            found=f"no such file in {path.absolute().parent}",
            hint="Check the name and that the drive is connected.",
            causes=[error],
        ) from error
    except (OSError, ValueError) as error:  # a name may hold what no system takes
        raise SlideOpenError(
            expected=f"to read {printable(path.name)}",
            found=getattr(error, "strerror", None) or str(error),
            hint="Check that you may read it and that the drive is connected.",
            causes=[error],
        ) from error
    return open_any(path, image)


def _check_readable(path: Path) -> None:
    """Touch a file or folder, so that one that may not be read says so."""
    mode = path.stat().st_mode
    if S_ISDIR(mode):
        next(path.iterdir(), None)
        return
    if not S_ISREG(mode):  # reading from a pipe would wait for ever
        raise OSError(f"{path.name} is neither a file nor a folder")
    path.open("rb").close()


def _apply_remembered(slide: Slide) -> None:
    mpp = remembered_mpp(slide.path, slide.image.index)
    if mpp is not None:
        slide.mpp, slide.mpp_source = mpp, MppSource.REMEMBERED
