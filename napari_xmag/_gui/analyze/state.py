"""What the window knows: one evented state for each window, one for each slide in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroup, evented

from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.geometry import Box, Mpp
from napari_xmag.review.evidence import Foremost
from napari_xmag.review.history import ReviewHistory
from napari_xmag.review.store import ReviewStore, SavedResult
from napari_xmag.review.verdicts import PlaceReview
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueChoice, TissueMask

if TYPE_CHECKING:
    from typing import ClassVar

    from napari.layers import Image, Labels, Shapes


@dataclass(frozen=True, slots=True)
class SlideProgress:
    """How far a run is.

    Attributes
    ----------
    stage
        What is waited for, in words; empty while tiles are read and encoded.
    done, total
        Tiles; both 0 before they are planned.
    tiles_per_second, seconds_left
        0 until known.
    unreadable
        Tiles that could not be read.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    tiles_per_second: float = 0.0
    seconds_left: float = 0.0
    unreadable: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PatchCard:
    """A patch of the strip: its picture and its values.

    Attributes
    ----------
    patch
        Index in the result's table.
    place
        1 for the foremost.
    value
        Its share of the attention, or what it adds to the class's score, as the strip shows.
    pixels
        uint8 (H, W, 3); None when it could not be read.
    """

    patch: int
    place: int
    value: float
    pixels: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Another result of a slide, with which the one that is shown is compared.

    Attributes
    ----------
    scores
        Values of its patches.
    own_words, words
        What the shown result is called, and this one.
    """

    scores: PatchScores
    own_words: str
    words: str


@dataclass(frozen=True, slots=True)
class Spot:
    """What a person says something of.

    Attributes
    ----------
    session
        The slide.
    place
        Where, in level-0 pixels.
    class_name
        As evidence for which class; empty for attention.
    """

    session: "SlideSession"
    place: Box
    class_name: str


@evented(connect_child_events=False)
@dataclass(eq=False, repr=False)
class SlideSession:
    """All that belongs to one slide of the viewer; what changes is announced by ``events``.

    Attributes
    ----------
    path
        The slide's file or folder.
    layer
        Its picture in the viewer.
    image
        Which picture of the file it is, from 1.
    slide
        Opened a moment after the layer was seen; None until then.
    slide_metadata
        What the slide's file states about the slide.
    problem
        Why it cannot be analyzed, in words; empty when it can.
    tissue
        Which part is analyzed.
    drawn
        Digests of the regions and of the painted mask, as they are now.
    progress
        None when no run is under way.
    outcome
        How the last run ended, when it did not end with a result.
    scores
        Latest values of the patches.
    result
        The last finished analysis.
    cards_for
        What the strip shows: the patches that speak most for this class, or those with the most
        attention where it is empty. None before there is a result.
    foremost
        Which patches these are, and what they carry; None while they are chosen.
    cards
        Their pictures, the foremost first; None while they are read.
    place
        Which of them is looked at, from 0; None where none is.
    said
        What was said of the patches as evidence for ``cards_for``, by index of the patch.
    reviews
        All that was said of places of the slide.
    store, history
        Keep all this; None until the slide is open.
    saved, shown_id, shown_before
        The results that are kept, the newest first; which of them is shown, and which was before.
    compared
        With which result the shown one is compared; None where the map is its own.
    tissue_of_result
        The tissue that the shown result was made of, as far as it is known.
    map_layer, tissue_layer, regions_layer, mark_layer
        Layers made for this slide, while they are in the viewer.
    """

    if TYPE_CHECKING:
        events: ClassVar[SignalGroup]

    path: Path
    layer: "Image"
    slide: Slide | None = None
    image: int = 1
    slide_metadata: Mapping[str, Any] | None = None
    problem: str = ""
    tissue: TissueChoice = TissueChoice.AUTO
    drawn: Mapping[TissueChoice, str] = field(default_factory=dict)
    progress: SlideProgress | None = None
    outcome: str = ""
    scores: PatchScores | None = None
    result: SlideResult | None = None
    cards_for: str | None = None
    foremost: Foremost | None = None
    cards: tuple[PatchCard, ...] | None = None
    place: int | None = None
    said: Mapping[int, PlaceReview] = field(default_factory=dict)
    reviews: tuple[PlaceReview, ...] = ()
    store: ReviewStore | None = None
    history: ReviewHistory | None = None
    saved: tuple[SavedResult, ...] = ()
    shown_id: str = ""
    shown_before: str = ""
    compared: Compared | None = None
    tissue_of_result: TissueMask | None = None
    map_layer: "Image | None" = None
    tissue_layer: "Labels | None" = None
    regions_layer: "Shapes | None" = None
    mark_layer: "Shapes | None" = None

    def __repr__(self) -> str:
        # short: psygnal formats what is bound to a callback, with all its arrays otherwise
        return f"<{type(self).__name__} {self.path.name}>"

    @property
    def mpp(self) -> Mpp | None:
        """Pixel size of the slide; None until it is open and its pixel size is known."""
        return self.slide.mpp if self.slide is not None else None

    def spot(self, place: int | None) -> Spot | None:
        """Return what is spoken of at a place of the strip, from 0; None where there is none.

        Where something was said of it, perhaps on another grid, that is gone on with.
        """
        if self.result is None or place is None or not 0 <= place < len(self.cards or ()):
            return None
        assert self.cards is not None
        patch = self.cards[place].patch
        said = self.said.get(patch)
        box = self.result.patches.box(patch) if said is None else said.place
        return Spot(self, box, self.cards_for or "")


@evented(connect_child_events=False)
@dataclass(eq=False, repr=False)
class WindowState:
    """The widget's own choices.

    Attributes
    ----------
    sessions
        Slides of the viewer, in the order of their layers.
    current
        The slide that is shown.
    models
        What the model chooser offers.
    model, device
        Chosen names; ``model`` is empty until the models are known.
    settings, settings_problem
        All else that an analysis depends on; None and the reason while a setting is wrong.
    view, class_name
        What the map shows; an empty class stands for the predicted one.
    opacity, threshold
        Of the map, 0 to 1.
    """

    if TYPE_CHECKING:
        events: ClassVar[SignalGroup]

    sessions: tuple[SlideSession, ...] = ()
    current: SlideSession | None = None
    models: tuple[Any, ...] = ()
    devices: tuple[str, ...] = ("auto",)
    model: str = ""
    device: str = "auto"
    settings: AnalyzeSettings | None = field(default_factory=AnalyzeSettings)
    settings_problem: str = ""
    view: HeatMapView = HeatMapView.EVIDENCE
    class_name: str = ""
    opacity: float = 0.5
    threshold: float = 0.0
