"""Which of the pictures of a file is meant, and what is said of the others."""

from collections.abc import Sequence
from pathlib import Path

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.base import NoteCode, SlideImage, SlideNote


def choose_image(
    path: Path, images: Sequence[SlideImage], wanted: int | str | None = None
) -> SlideImage:
    """Return the picture that is wanted; the first without a wish.

    Parameters
    ----------
    wanted
        Number from 1, or name; a number written as text serves too.

    Raises
    ------
    SlideOpenError
        When there is none such.
    """
    if wanted is None:
        return images[0]
    for image in images:
        if wanted == image.name and wanted:
            return image
    number = int(wanted) if str(wanted).strip().isdecimal() else 0
    if 1 <= number <= len(images):
        return images[number - 1]
    raise SlideOpenError(
        expected=f"the picture {wanted!r} in {path.name}",
        found=_list_of(images),
        hint="Give the number or the name of one of them.",
    )


def image_notes(
    images: Sequence[SlideImage], chosen: SlideImage, wanted: int | str | None
) -> tuple[SlideNote, ...]:
    """Say which pictures are left out where nobody chose one, and which focal plane is read."""
    notes = []
    if wanted is None and len(images) > 1:
        words = (
            f"The file holds {len(images)} pictures, and this is the first: {_list_of(images)}. "
            "The others are slides of their own and are not part of this one."
        )
        notes.append(SlideNote(NoteCode.OTHER_IMAGES, words))
    if chosen.focal_planes > 1:
        words = (
            f"The slide was scanned in {chosen.focal_planes} focal planes, of which only the "
            "middle one is read."
        )
        notes.append(SlideNote(NoteCode.FOCAL_PLANES, words))
    return tuple(notes)


def _list_of(images: Sequence[SlideImage]) -> str:
    return ", ".join(
        f"#{image.index} {image.name} ({image.width}×{image.height})".replace("  ", " ")
        for image in images
    )
