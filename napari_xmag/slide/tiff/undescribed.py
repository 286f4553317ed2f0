"""Pages of an OME-TIFF that its XML describes wrongly or not at all: they are pictures, too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_xmag.slide.tiff.pages import add_reduced, is_mask, is_plain_level, page_picture
from napari_xmag.slide.tiff.picture import TiffPicture

UNDESCRIBED = (
    "The OME-XML of the file does not describe this image as it is stored. Its size is that of the "
    "stored pixels, and no pixel size is taken from the OME-XML."
)


def with_undescribed(
    found: Sequence[TiffPicture], described: set[int], pages: Sequence[Any], path: Path
) -> list[TiffPicture]:
    """Return pictures with those of the pages that no description fits, in the order of the file.

    A page that shows a picture in coarser pixels, or is marked as one that does, is its level.

    Parameters
    ----------
    found
        The pictures that are described.
    described
        Numbers of their pages.
    pages
        All pages of the file.
    """
    pictures = list(found)
    for number, page in enumerate(pages):
        if number in described or is_mask(page):
            continue
        picture = page_picture(page)
        finer = next((one for one in found if is_plain_level(picture, one, path)), None)
        if finer is not None:
            finer.levels.extend(picture.levels)
            continue
        before = [one for one in found if _number(one) < number]
        if page.is_reduced and add_reduced(picture, before or found[:1]):
            continue
        picture.remark = UNDESCRIBED
        pictures.append(picture)
    return sorted(pictures, key=_number)


def _number(picture: TiffPicture) -> int:
    index = picture.levels[0].pages[0].index
    return index if isinstance(index, int) else index[0]
