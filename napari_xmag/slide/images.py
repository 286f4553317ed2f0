"""Which of the pictures of a file is meant, and what is said of the others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.base import NoteCode, SlideImage, SlideNote

# What the values of the TIFF tag Orientation other than 1 ask for.
_TURNED = {
    2: "mirrored left to right",
    3: "rotated by 180°",
    4: "mirrored top to bottom",
    5: "mirrored and rotated",
    6: "rotated by 90° clockwise",
    7: "mirrored and rotated",
    8: "rotated by 90° counterclockwise",
}


def choose_image(
    path: Path, images: Sequence[SlideImage], wanted: int | str | None = None
) -> SlideImage:
    """Return the picture that is wanted; the first without a wish.

    Parameters
    ----------
    wanted
        Number from 1, or name. What is written in digits is always a number, even where a picture
        is called so.

    Raises
    ------
    SlideOpenError
        When there is none such, or several have the name.
    """
    if wanted is None:
        return images[0]
    text = str(wanted).strip()
    if text.isdecimal():
        found = [image for image in images if image.index == int(text)]
    else:
        found = [image for image in images if image.name == wanted and wanted]
    if len(found) == 1:
        return found[0]
    ways = "the number" if found or text.isdecimal() else "the number or the name"
    raise SlideOpenError(
        expected=f"{'one' if found else 'the'} image {wanted!r} in {path.name}",
        found=", ".join(f"#{i.index} {i.name} ({i.width}×{i.height})" for i in found or images),
        hint=f"Give {ways} of one of them.",
    )


def plane_images(
    image: SlideImage, depths: Sequence[float | None], first: int, several: bool
) -> tuple[SlideImage, ...]:
    """Return the focal planes that a picture does not show, as images of their own.

    Parameters
    ----------
    depths
        Where each plane lies, in µm; None where nobody says.
    first
        Number of the first of them.
    several
        Whether there are other pictures, so that names must tell them apart.
    """
    total = len(depths)
    shown = image.plane - 1 if image.plane else total // 2
    before = f"#{image.index} " if several else ""
    others = [plane for plane in range(total) if plane != shown]
    return tuple(
        replace(
            image,
            index=first + number,
            name=before + _plane_name(plane, depths),
            plane=plane + 1,
            plane_of=image.index,
        )
        for number, plane in enumerate(others)
    )


def _plane_name(plane: int, depths: Sequence[float | None]) -> str:
    depth = depths[plane]
    if depth is None or len(set(depths)) < len(depths):
        return f"plane {plane + 1} of {len(depths)}"
    return f"plane z = {depth:g} µm"


def image_notes(
    images: Sequence[SlideImage],
    chosen: SlideImage,
    wanted: int | str | None,
    planes: Sequence[SlideImage] = (),
) -> tuple[SlideNote, ...]:
    """Say which pictures are left out where nobody chose one, and which focal plane is read."""
    notes = []
    if wanted is None and len(images) > 1:
        sizes = ", ".join(f"#{image.index} of {image.width}×{image.height}" for image in images)
        words = (
            f"The file contains {len(images)} images ({sizes} pixels). This is the first; the "
            "others are separate slides."
        )
        notes.append(SlideNote(NoteCode.OTHER_IMAGES, words))
    if chosen.focal_planes > 1:
        read = f"number {chosen.plane}" if chosen.plane else "the middle one"
        words = (
            f"The slide was scanned in {chosen.focal_planes} focal planes, of which only {read} "
            "is read."
        )
        if own := [plane for plane in planes if plane.plane_of == chosen.index]:
            words += f" The others are images of their own (#{own[0].index} to #{own[-1].index})."
        notes.append(SlideNote(NoteCode.FOCAL_PLANES, words))
    return tuple(notes)


def orientation_note(stated: object) -> tuple[SlideNote, ...]:
    """Say that a TIFF asks for its picture to be turned or mirrored; readers of slides do neither.

    Parameters
    ----------
    stated
        Value of the tag Orientation, or None.
    """
    turned = _TURNED.get(stated) if isinstance(stated, int) else None
    if turned is None:
        return ()
    words = (
        f"The file asks viewers to show its image {turned} (orientation {stated}). It is shown "
        "and analyzed as stored; positions refer to the stored pixels."
    )
    return (SlideNote(NoteCode.ORIENTATION, words),)


def damage_note(
    cut_off: float,
    levels: int = 0,
    complete: bool = True,
    incomplete: str = "",
    described: bool = True,
) -> tuple[SlideNote, ...]:
    """Say what of a slide cannot be read.

    Parameters
    ----------
    cut_off
        Share of the slide, 0 to 1, that lies beyond the end of the file.
    levels
        How many coarse levels lie beyond it.
    complete
        Whether the file's list of pictures comes to its end.
    incomplete
        Which of its files or frames are missing, in words.
    described
        Whether what it says of its pictures is all there.
    """
    words = []
    if cut_off:
        words.append(f"{100 * cut_off:.2g} % of the slide")
    if levels:
        words.append("1 coarse level" if levels == 1 else f"{levels} coarse levels")
    if not complete:
        words.append("the end of its list of images")
    if not described:
        words.append("what it says of its images, such as their pixel size")
    if not words and not incomplete:
        return ()
    cause = (
        f"The slide is incomplete: {incomplete}."
        if incomplete
        else "The file is damaged: it ends too early."
    )
    lost = ""
    if words:
        lost = f" Missing: {', '.join(words)}. Unreadable areas are hatched and are not analyzed."
    copy = "all files of the slide" if incomplete else "the file"
    sentence = f"{cause}{lost} Copy {copy} again from {'their' if incomplete else 'its'} source."
    return (SlideNote(NoteCode.DAMAGED, sentence),)
