"""The slides of a viewer, as Teach knows them: opened, followed until they go."""

from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal

from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell_error
from napari_xmag._gui.shared.opening import Opened, open_for_window
from napari_xmag._gui.shared.shown_slide import ShownSlide
from napari_xmag._gui.teach.state import TeachSlide, TeachState
from napari_xmag.errors import XmagError
from napari_xmag.layer_data import SlideKey, calibrate, is_calibrated, slide_key, slide_path

_MADE_LAYERS = ("map_layer", "marks_layer", "region_layer")


class TeachSlides:
    """Keeps one `TeachSlide` for each slide layer.

    Parameters
    ----------
    viewer
        Followed until `disconnect`.
    state
        Its slides, and which of them is in sight, are set here alone.
    jobs
        Opens files.

    Attributes
    ----------
    opened
        Says that a slide's file is open and can be encoded.
    dropped
        Says that a slide left the viewer; its file is closed afterwards.
    """

    opened = Signal(TeachSlide)
    dropped = Signal(TeachSlide)

    def __init__(self, viewer: ViewerModel, state: TeachState, jobs: Jobs) -> None:
        self._viewer, self._state, self._jobs = viewer, state, jobs
        self.shown = ShownSlide(viewer)

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
        for shown in self._state.slides:
            if shown.slide is not None:
                shown.slide.close()

    def _inserted(self, event: Any) -> None:
        self._take(event.value)

    def _take(self, layer: Layer) -> None:
        key = slide_key(layer)
        if slide_path(layer) is None or key is None or key in self._known():
            return
        shown = TeachSlide(key.path, layer, image=key.image)
        self._state.slides = (*self._state.slides, shown)
        self._jobs.start(
            open_for_window(key.path, key.image),
            partial(self._opened, shown),
            fail=partial(self._not_opened, shown),
        )

    def _opened(self, shown: TeachSlide, event: object) -> None:
        if not isinstance(event, Opened):
            return
        if shown not in self._state.slides:
            event.slide.close()
            return
        shown.slide = event.slide
        mpp = event.slide.mpp
        if mpp is None:
            shown.problem = "Its pixel size is not known: enter it in Analyze slide."
            return
        if not is_calibrated(shown.layer):
            calibrate(shown.layer, mpp)
        self.opened.emit(shown)

    def _not_opened(self, shown: TeachSlide, error: Exception) -> None:
        shown.problem = error.found if isinstance(error, XmagError) else str(error)
        tell_error(error)

    def _show(self, layer: Layer | None) -> None:
        if layer is not None:
            self._take(layer)  # it may be heard of here first
        key = slide_key(layer) if layer is not None else None
        self._state.current = self._known().get(key) if key is not None else None

    def _known(self) -> dict[SlideKey, TeachSlide]:
        return {SlideKey(each.path, each.image): each for each in self._state.slides}

    def _removed(self, event: Any) -> None:
        layer = event.value
        for shown in self._state.slides:
            for name in _MADE_LAYERS:
                if getattr(shown, name) is layer:
                    setattr(shown, name, None)
            if shown.layer is layer:
                self._drop(shown)

    def _drop(self, shown: TeachSlide) -> None:
        if self._state.current is shown:
            self._state.current = None  # the next one comes in sight in a moment
        self._state.slides = tuple(each for each in self._state.slides if each is not shown)
        self.dropped.emit(shown)
        if shown.slide is not None:
            shown.slide.close()
