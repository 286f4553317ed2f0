"""Which picture of a file QuPath shows, where the file holds several."""

from collections.abc import Sequence
from pathlib import Path

import tifffile

from napari_xmag.errors import ProjectError
from napari_xmag.slide.base import SlideImage


def picture_number(
    path: Path, images: Sequence[SlideImage], size: tuple[int, int], series: int | None
) -> int | None:
    """Return the number of the picture of this size; of several, that of the series.

    Parameters
    ----------
    images
        All pictures of the file.
    size
        Width and height in pixels as QuPath shows it; 0 where it does not say.
    series
        Number of the series that Bio-Formats reads, from 0; None where none is named.

    Returns
    -------
    None where the file holds only one picture, or none of that size.

    Raises
    ------
    ProjectError
        When it could be one of several.
    """
    if len(images) == 1:
        return None
    fitting = [item for item in images if not all(size) or (item.width, item.height) == size]
    if len(fitting) == 1:
        return fitting[0].index
    if not fitting or (not all(size) and not series):
        return None
    meant = None if series is None else _of_series(path, images, series)
    if meant in fitting:
        return meant.index
    raise ProjectError(
        expected=f"one image of {size[0]}×{size[1]} pixels in {path.name}",
        found=f"{len(fitting)} that it could be",
        hint="Analyze the slide itself instead, where each of its images is named.",
    )


def _of_series(path: Path, images: Sequence[SlideImage], series: int) -> SlideImage | None:
    """Return the picture of a series; None where that is not certain.

    Of an OME-TIFF Bio-Formats numbers the Images in the order of the file. Where each of them is a
    picture, the pictures are in this order too; of other files it may count differently.
    """
    try:
        with tifffile.TiffFile(path) as file:
            pages = [item.keyframe for item in file.series] if file.is_ome else []
    except (tifffile.TiffFileError, OSError, ValueError):
        return None
    sizes = [(page.imagewidth, page.imagelength) for page in pages]
    same = sizes == [(item.width, item.height) for item in images]
    return images[series] if same and series < len(images) else None
