"""What is said while many slides are worked on: small, frozen, and able to go through a pipe."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import XmagError
from napari_xmag.printable import printable

if TYPE_CHECKING:
    from napari_xmag.analyze.events import AnalyzeEvent
    from napari_xmag.analyze.result import SlideResult

Image = int | str | None
"""A picture of a file: its number or name, or None where the file is one picture."""


@dataclass(frozen=True, slots=True)
class SlideLabel:
    """What a slide is called.

    Attributes
    ----------
    path
        Its file or folder.
    image
        Which picture of it.
    shown, key
        Its name and its ID in a project of QuPath, or empty.
    project
        The file of that project; None where it comes from none.
    left
        Where the project lay before it was moved; None where it was not.
    """

    path: Path
    image: Image = None
    shown: str = ""
    key: str = ""
    project: Path | None = None
    left: Path | None = None

    @property
    def name(self) -> str:
        """What a person reads: the image of a project; or the file and the number of a picture."""
        if self.shown:
            return printable(self.shown)
        name = printable(self.path.name or str(self.path))
        return name if self.image in (None, 1) else f"{name} #{self.image}"

    @property
    def whole_name(self) -> str:
        """The same with where it lies: no other slide is called so."""
        if self.shown:
            return f"{self.name} (ID {self.key or 'missing'} of {self.project})"
        return printable(str(self.path.parent / self.name))


@dataclass(frozen=True, slots=True)
class SlideBegun:
    """Work on a slide begins.

    Attributes
    ----------
    slide
        Which one.
    images
        All pictures of the file that are meant.
    """

    slide: SlideLabel
    images: Sequence[Image]


@dataclass(frozen=True, slots=True)
class SlideMoved:
    """Work on a slide goes on, as the event of its analysis says."""

    slide: SlideLabel
    event: "AnalyzeEvent"


@dataclass(frozen=True, slots=True)
class SlideWarned:
    """Something about a slide must be known, and stops nothing."""

    slide: SlideLabel
    words: str


@dataclass(frozen=True, slots=True)
class SlideDone:
    """The result of a slide is written.

    Attributes
    ----------
    slide
        Which one.
    folder
        Where.
    result
        The whole answer.
    notes
        Lines about what was analyzed.
    reused
        Whether it was there already, whole and made with the same model and settings.
    """

    slide: SlideLabel
    folder: Path
    result: "SlideResult"
    notes: tuple[str, ...] = ()
    reused: bool = False


@dataclass(frozen=True, slots=True)
class SlideEncoded:
    """The features of a slide are in the store.

    Attributes
    ----------
    slide
        Which one.
    folder
        Where.
    fingerprint
        Of the slide.
    encoder
        Name of the encoder.
    patches, dimensions
        How many features there are, and how long each is.
    unreadable
        How many patches have none because their tile could not be read.
    regions
        Name of the file of regions that they lie in; empty for the whole slide.
    reused
        Whether all were there already.
    """

    slide: SlideLabel
    folder: Path
    fingerprint: str
    encoder: str
    patches: int
    dimensions: int
    unreadable: int = 0
    regions: str = ""
    reused: bool = False


@dataclass(frozen=True, slots=True)
class SlideFailed:
    """There is no result of a slide, for the reason that the error says."""

    slide: SlideLabel
    error: XmagError


@dataclass(frozen=True, slots=True)
class BatchMoved:
    """How far all of it is, where several slides are worked on at once.

    Attributes
    ----------
    done, total
        Files that are finished, and all of them.
    running
        The slides that are worked on now.
    share
        How much of all is done, 0 to 1; of those that run the tiles count.
    tiles_per_second
        Of all together, since the run began.
    seconds_left
        Estimate for the rest; NaN while nothing is known.
    """

    done: int
    total: int
    running: tuple[str, ...] = ()
    share: float = 0.0
    tiles_per_second: float = 0.0
    seconds_left: float = math.nan


SlideEvent = SlideBegun | SlideMoved | SlideWarned | SlideDone | SlideEncoded | SlideFailed
"""What the work on one file says."""

BatchEvent = SlideEvent | BatchMoved
"""Everything that a batch yields."""
