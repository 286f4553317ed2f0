"""The slides of a viewer: found by their layers' metadata, opened, followed until they go."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from napari.components import ViewerModel
from napari.layers import Image, Layer
from psygnal import EmissionInfo, Signal, SignalGroup

from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell_error
from napari_xmag._gui.shared.opening import Opened, open_for_window
from napari_xmag._gui.shared.shown_slide import ShownSlide
from napari_xmag.errors import XmagError
from napari_xmag.layer_data import SlideKey, calibrate, is_calibrated, slide_key, slide_path
from napari_xmag.slide.base import Slide


class ViewerSlide(Protocol):
    """What a panel keeps of one slide of the viewer, at the least; its changes are ``events``."""

    if TYPE_CHECKING:
        events: ClassVar[SignalGroup]

    path: Path
    layer: Image
    image: int
    slide: Slide | None
    problem: str


_Slide = TypeVar("_Slide", bound=ViewerSlide)


class ViewerSlides(Generic[_Slide]):
    """Keeps one record for each slide layer; the panel says what a record is and where it lies.

    Parameters
    ----------
    viewer
        Followed from `connect` until `disconnect`.
    jobs
        Opens files.

    Attributes
    ----------
    MADE_LAYERS
        Names of a record's fields that hold layers made for its slide.
    shown
        Keeps one slide in sight.
    opened, dropped
        Say that the file of a slide is open, and that a slide left the viewer; its file is closed
        afterwards.
    """

    MADE_LAYERS: ClassVar[tuple[str, ...]] = ()
    opened = Signal(object)
    dropped = Signal(object)

    def __init__(self, viewer: ViewerModel, jobs: Jobs) -> None:
        self._viewer, self._jobs = viewer, jobs
        self.shown = ShownSlide(viewer)

    @property
    @abstractmethod
    def records(self) -> tuple[_Slide, ...]:
        """All of them, in the order of their layers."""

    @abstractmethod
    def _keep(self, records: tuple[_Slide, ...]) -> None:
        """Put these in place of all of them."""

    @property
    @abstractmethod
    def _current(self) -> _Slide | None:
        """The one in sight."""

    @abstractmethod
    def _make_current(self, record: _Slide | None) -> None:
        """Let the panel follow the one in sight."""

    @abstractmethod
    def _new(self, key: SlideKey, layer: Layer) -> _Slide:
        """Make the record of a slide that came in."""

    def _take_opened(self, record: _Slide, opened: Opened) -> None:
        """Take in what is known of a slide now that its file is open."""

    def connect(self) -> None:
        """Take in the slides that are there, and follow the viewer."""
        layers = self._viewer.layers
        layers.events.inserted.connect(self._inserted)
        layers.events.removed.connect(self._removed)
        for layer in list(layers):
            self._take(layer)
        self.shown.changed.connect(self._show)
        self._show(self.shown.layer)

    def disconnect(self) -> None:
        """Follow the viewer no longer."""
        self.shown.disconnect()
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)

    def close(self) -> None:
        """Close all files."""
        for record in self.records:
            if record.slide is not None:
                record.slide.close()

    def open(self, record: _Slide, mpp: float | None = None) -> None:
        """Open a slide's file in a thread; with ``mpp``, give it that size and remember it."""
        self._jobs.start(
            open_for_window(record.path, record.image, mpp),
            partial(self._opened, record),
            fail=partial(self._not_opened, record),
        )

    def layers_of(self, record: _Slide) -> list[Layer]:
        """Return the slide's own layer and those made for it."""
        layers = [record.layer, *(getattr(record, name) for name in self.MADE_LAYERS)]
        return [layer for layer in layers if layer is not None]

    def _opened(self, record: _Slide, event: object) -> None:
        if not isinstance(event, Opened):
            return
        if record not in self.records:
            event.slide.close()
            return
        old, record.slide = record.slide, event.slide
        if old is not None:
            old.close()
        mpp = event.slide.mpp
        if mpp is not None and (old is not None or not is_calibrated(record.layer)):
            calibrate(record.layer, mpp)
            self.shown.share_units()
            if record is self._current:
                self.shown.fit()
        self._take_opened(record, event)
        self.opened.emit(record)

    def _not_opened(self, record: _Slide, error: Exception) -> None:
        record.problem = error.found if isinstance(error, XmagError) else str(error)
        tell_error(error)

    def _inserted(self, event: Any) -> None:
        self._take(event.value)

    def _take(self, layer: Layer) -> None:
        key = slide_key(layer)
        if slide_path(layer) is None or key is None or key in self._by_key():
            return
        record = self._new(key, layer)
        self._keep((*self.records, record))
        self.open(record)

    def _show(self, layer: Layer | None) -> None:
        if layer is not None:
            self._take(layer)  # it may be heard of here first
        key = slide_key(layer) if layer is not None else None
        self._make_current(self._by_key().get(key) if key is not None else None)

    def _by_key(self) -> dict[SlideKey, _Slide]:
        return {SlideKey(each.path, each.image): each for each in self.records}

    def _removed(self, event: Any) -> None:
        layer = event.value
        for record in self.records:
            for name in self.MADE_LAYERS:
                if getattr(record, name) is layer:
                    setattr(record, name, None)
            if record.layer is layer:
                self._drop(record)

    def _drop(self, record: _Slide) -> None:
        if self._current is record:
            self._make_current(None)  # the next one comes in sight in a moment
        self._keep(tuple(each for each in self.records if each is not record))
        self.dropped.emit(record)
        if record.slide is not None:
            record.slide.close()


class FollowedSlides(Generic[_Slide]):
    """Hears the changes of some slides, and of no others.

    Parameters
    ----------
    hear
        Gets the slide and what changed.
    """

    def __init__(self, hear: Callable[[_Slide, EmissionInfo], None]) -> None:
        self._hear = hear
        self._heard: dict[_Slide, Callable[[EmissionInfo], None]] = {}

    def follow(self, slides: Iterable[_Slide]) -> None:
        """Hear these from now on, and no others."""
        wanted = list(slides)
        for slide in [slide for slide in self._heard if slide not in wanted]:
            slide.events.disconnect(self._heard.pop(slide))
        for slide in [slide for slide in wanted if slide not in self._heard]:
            self._heard[slide] = partial(self._hear, slide)
            slide.events.connect(self._heard[slide])

    def stop(self) -> None:
        """Hear nothing any more."""
        self.follow(())
