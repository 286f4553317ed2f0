"""What the Teach window knows: one evented state for the window, one for each slide in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroup, evented

from napari_xmag.slide.base import Slide
from napari_xmag.teach.areas import ClassArea
from napari_xmag.teach.classifier import Taught
from napari_xmag.teach.estimate import Estimate
from napari_xmag.teach.lesson import Lesson, SlideId
from napari_xmag.teach.picture import MapGround
from napari_xmag.teach.prepared import PreparedSlide

if TYPE_CHECKING:
    from typing import ClassVar

    from napari.layers import Image, Points, Shapes

    from napari_xmag.zoo import ModelEntry


class Tool(StrEnum):
    """What a click on the slide does."""

    LOOK = "look"
    MARK = "mark"
    ERASE = "erase"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True)
class EncodeProgress:
    """How far the encoding of a slide is.

    Attributes
    ----------
    stage
        In words.
    done, total
        Tiles; both 0 before they are planned.
    """

    stage: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SuggestedPatch:
    """A place that is worth labelling.

    Attributes
    ----------
    slide
        On which slide.
    x, y
        Middle of the patch in level-0 pixels: its number changes with what is encoded.
    is_taught
        Whether it is like an example.
    pixels
        uint8 (H, W, 3); None when it could not be read.
    """

    slide: SlideId
    x: float
    y: float
    is_taught: bool
    pixels: NDArray[np.uint8] | None


@evented(connect_child_events=False)
@dataclass(eq=False, repr=False)
class TeachSlide:
    """All that belongs to one slide of the viewer.

    Attributes
    ----------
    path, image
        The slide's file or folder, and which picture of it.
    layer
        Its picture in the viewer.
    slide
        Opened a moment after the layer was seen; None until then.
    prepared
        Its encoded patches, once there are some.
    ground
        Where its map has colour; set with ``prepared``.
    progress
        None when it is not being encoded.
    wants_finer
        Whether its map shall be of quarters of patches.
    wants_more
        Whether its examples beyond the tissue are others than it was encoded with.
    problem
        Why it cannot be taught on, in words; empty when it can.
    map_layer, marks_layer, region_layer
        Layers made for it, while they are in the viewer.
    """

    if TYPE_CHECKING:
        events: ClassVar[SignalGroup]

    path: Path
    layer: "Image"
    image: int = 1
    slide: Slide | None = None
    prepared: PreparedSlide | None = None
    ground: MapGround | None = None
    progress: EncodeProgress | None = None
    wants_finer: bool = False
    wants_more: bool = False
    problem: str = ""
    map_layer: "Image | None" = None
    marks_layer: "Points | None" = None
    region_layer: "Shapes | None" = None

    def __repr__(self) -> str:
        # short: psygnal formats what is bound to a callback, with all its arrays otherwise
        return f"<{type(self).__name__} {self.path.name}>"

    @property
    def id(self) -> SlideId | None:
        """Which slide it is, whatever its file is called; None until it is encoded."""
        return self.prepared.id if self.prepared is not None else None

    @property
    def is_ready(self) -> bool:
        """Whether it is encoded as it shall be."""
        is_finer = self.prepared is not None and self.prepared.finer is not None
        return self.prepared is not None and is_finer == self.wants_finer and not self.wants_more


@evented(connect_child_events=False)
@dataclass(eq=False)
class TeachState:
    """The window's own choices, and what was learned last.

    Attributes
    ----------
    slides
        Of the viewer, in the order of their layers.
    current
        The one in sight.
    models, model
        What the encoder chooser offers, and which is chosen; empty until the models are known.
    lesson
        Classes and examples.
    class_name
        The class in the hand.
    tool
        What a click does.
    opacity
        Of the map, 0 to 1.
    taught
        The last answer; None before there is one.
    problem
        Why there is no map, in words; empty when there is one.
    estimate
        How right it is; None while that is being found.
    areas
        Of each open slide; empty while they are being measured.
    unlike
        What is said of slides that look unlike those with examples.
    suggestions
        Worth labelling next, the best first.
    similar
        Whether the maps show likeness to a place instead of classes.
    """

    if TYPE_CHECKING:
        events: ClassVar[SignalGroup]

    slides: tuple[TeachSlide, ...] = ()
    current: TeachSlide | None = None
    models: "tuple[ModelEntry, ...]" = ()
    model: str = ""
    lesson: Lesson = field(default_factory=Lesson)
    class_name: str = ""
    tool: Tool = Tool.MARK
    opacity: float = 0.6
    taught: Taught | None = None
    problem: str = ""
    estimate: Estimate | None = None
    areas: Mapping[SlideId, tuple[ClassArea, ...]] = field(default_factory=dict)
    unlike: Mapping[SlideId, str] = field(default_factory=dict)
    suggestions: tuple[SuggestedPatch, ...] = ()
    similar: bool = False

    @property
    def grounds(self) -> dict[SlideId, MapGround]:
        """Where maps are shown: on each slide that is encoded."""
        return {
            shown.id: shown.ground
            for shown in self.slides
            if shown.id is not None and shown.ground is not None
        }

    @property
    def files(self) -> dict[SlideId, Slide]:
        """Each slide that is open."""
        return {
            shown.id: shown.slide
            for shown in self.slides
            if shown.id is not None and shown.slide is not None
        }

    @property
    def model_entry(self) -> "ModelEntry | None":
        """What is known of the chosen model."""
        return next((entry for entry in self.models if entry.name == self.model), None)
