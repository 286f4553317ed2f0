"""What every slide can do, whichever library reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import MppMissingError
from napari_xmag.geometry import Box, Level, Mpp


class MppSource(StrEnum):
    """Where a slide's pixel size comes from."""

    VENDOR = "vendor property"
    RESOLUTION_TAG = "resolution tag"
    OME_XML = "OME-XML"
    IMAGEJ = "ImageJ description"
    DICOM = "DICOM header"
    USER = "user"
    REMEMBERED = "remembered from the user"
    OVERRIDE = "entered by the user, overriding the file"
    NONE = "none"


BY_HAND = frozenset((MppSource.USER, MppSource.REMEMBERED, MppSource.OVERRIDE))
"""Sources that are no statements of the file."""


class NoteCode(StrEnum):
    """What a note about a slide is about."""

    OTHER_IMAGES = "other_images"
    PICTURE_LEFT_OUT = "picture_left_out"
    FOCAL_PLANES = "focal_planes"
    LEVEL_LEFT_OUT = "level_left_out"
    DAMAGED = "damaged"
    ORIENTATION = "orientation"
    COLORS = "colors"
    DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class SlideNote:
    """Something about a slide that whoever looks at it must know.

    Attributes
    ----------
    code
        For programs.
    words
        For people: whole sentences.
    """

    code: NoteCode
    words: str


@dataclass(frozen=True, slots=True)
class SlideImage:
    """One image of a file that holds several: a section, a scanned region, a scene, a series.

    Macro, label, thumbnail and overview images are never among them.

    Attributes
    ----------
    index
        Counts from 1, in the order of the file.
    name
        As the file calls it; may be empty.
    width, height
        Size of its level 0 in pixels.
    mpp
        µm per pixel as the file states it, or None.
    focal_planes
        How many planes were scanned, one of which is read.
    plane
        Number of the one that is read, from 1; 0 for the middle one.
    plane_of
        Of a focal plane that is an image of its own: the index of its image; else 0.
    """

    index: int
    name: str
    width: int
    height: int
    mpp: Mpp | None
    focal_planes: int = 1
    plane: int = 0
    plane_of: int = 0

    @property
    def place(self) -> int:
        """Place of the plane that is read in its stack, from 0."""
        return self.plane - 1 if self.plane else self.focal_planes // 2


class Slide(Protocol):
    """A whole slide, safe to read from many threads at once; closed at the end of a ``with`` block.

    Attributes
    ----------
    path
        File or folder that was opened.
    vendor
        Format or scanner vendor, in words.
    mpp
        µm per level-0 pixel, or None where the file states none and the user gave none.
    mpp_source
        Where ``mpp`` comes from.
    mpp_conflict
        Words that say which sources disagree about mpp (also: the user's value against the
        file's); empty when none do.
    images
        All images of the file, most often one.
    planes
        The focal planes that those images do not show, as further images that can be opened.
    image
        The one that this slide is.
    notes
        What must be said of the slide: images, focal planes or levels that are not shown, and
        damage.
    levels
        Finest first; ``levels[0].downsample`` is 1.
    tile_size
        Native tile of level 0 as (width, height) in pixels; (0, 0) when it is not tiled.
    bounds
        The scanned part in level-0 pixels; the whole slide where the file names none.
    background
        RGB on which transparent pixels are composited (white where the file names none).
    properties
        What the file says of itself, as text; never a label image.
    icc_profile
        Embedded profile, or None.
    """

    path: Path
    vendor: str
    mpp: Mpp | None
    mpp_source: MppSource
    mpp_conflict: str
    images: tuple[SlideImage, ...]
    planes: tuple[SlideImage, ...] = ()
    image: SlideImage
    notes: tuple[SlideNote, ...]
    levels: tuple[Level, ...]
    tile_size: tuple[int, int]
    bounds: Box
    objective_power: float | None
    background: tuple[int, int, int]
    properties: Mapping[str, str]
    icc_profile: bytes | None

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        """Read a level-0 box from one level.

        Returns
        -------
        uint8 array (H, W, 3), where W is ``round(box.width / downsample)`` and H likewise;
        parts outside the slide, unscanned or transparent are background.

        Raises
        ------
        TileReadError
            When the file cannot be decoded there. Other places stay readable.
        """
        ...

    def close(self) -> None:
        """Close every handle; reading afterwards is an error."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.levels[0].width, self.levels[0].height
        scale = "no pixel size" if self.mpp is None else f"{self.mpp.mean:.4g} µm/px"
        levels = f"{len(self.levels)} level{'s' if len(self.levels) > 1 else ''}"
        return f"<{type(self).__name__} {self.path.name}: {width} × {height} px, {scale}, {levels}>"


@runtime_checkable
class ShowsScanned(Protocol):
    """A slide that knows which of its pixels were scanned, even where they are as white as glass.

    Slides without this method count as scanned everywhere within their bounds.
    """

    def scanned(self, box: Box, level: int) -> NDArray[np.bool_]:
        """Return where a level-0 box has pixels that are not transparent, as bool (H, W).

        Raises
        ------
        TileReadError
            When the file cannot be decoded there.
        """
        ...


@runtime_checkable
class KnowsGaps(Protocol):
    """A slide that knows, without reading, where its file holds nothing at all."""

    def is_empty(self, box: Box, level: int) -> bool:
        """Return whether the file holds no tile in a level-0 box: all there is background."""
        ...

    def held_pixels(self, level: int) -> int:
        """Return how many pixels of a level the file holds, tiles that are left out excepted."""
        ...


def require_mpp(slide: Slide) -> Mpp:
    """Return the slide's mpp.

    Raises
    ------
    MppMissingError
        When the slide has none: it is never guessed.
    """
    if slide.mpp is None:
        raise MppMissingError(
            expected="the pixel size (µm per pixel) of the slide",
            found=f"none in {slide.path.name}",
            hint="Set it with --mpp on the command line, mpp= in Python, or the pixel size field "
            "in the window.",
        )
    return slide.mpp
