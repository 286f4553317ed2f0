"""The slides of a viewer: found by their layers' metadata, opened, followed until they go."""

from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal

from napari_xmag._gui.analyze.state import SlideSession, WindowState
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell_error, tell_warning
from napari_xmag._gui.shared.opening import Opened, open_for_window
from napari_xmag._gui.shared.shown_slide import ShownSlide
from napari_xmag.errors import XmagError
from napari_xmag.layer_data import (
    SlideKey,
    calibrate,
    is_calibrated,
    slide_image,
    slide_key,
    slide_path,
)

_MADE_LAYERS = ("map_layer", "tissue_layer", "regions_layer", "mark_layer")


class Slides:
    """Keeps one session for each slide layer.

    Attributes
    ----------
    shown
        Keeps one slide in sight.
    opened, dropped
        Say that the file of a slide is open, and that a slide left the viewer.
    """

    opened = Signal(SlideSession)
    dropped = Signal(SlideSession)

    def __init__(self, viewer: ViewerModel, state: WindowState, jobs: Jobs) -> None:
        self._viewer = viewer
        self._state = state
        self._jobs = jobs
        self._first_sized = True
        self.shown = ShownSlide(viewer)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        for layer in list(viewer.layers):
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
        for session in self._state.sessions:
            if session.slide is not None:
                session.slide.close()

    def open(self, session: SlideSession, mpp: float | None = None) -> None:
        """Open a slide's file in a thread; with ``mpp``, give it that size and remember it."""
        self._jobs.start(
            open_for_window(session.path, session.image, mpp),
            partial(self._opened, session),
            fail=partial(self._not_opened, session),
        )

    def _opened(self, session: SlideSession, event: object) -> None:
        if not isinstance(event, Opened):
            return
        if session not in self._state.sessions:
            event.slide.close()
            return
        old, session.slide = session.slide, event.slide
        if old is not None:
            old.close()
        session.problem = ""
        session.slide_metadata = event.slide_metadata
        if event.note:
            tell_warning(event.note)
        mpp = event.slide.mpp
        if mpp is not None and (old is not None or not is_calibrated(session.layer)):
            calibrate(session.layer, mpp)
            if session is self._state.current:
                self.shown.fit()
        if mpp is not None and self._first_sized:
            # Once: a user who puts the scale bar away is not asked twice.
            self._viewer.canvas.overlays.scale_bar.visible = True
            self._first_sized = False
        self.opened.emit(session)

    def _not_opened(self, session: SlideSession, error: Exception) -> None:
        session.problem = error.found if isinstance(error, XmagError) else str(error)
        tell_error(error)

    def layers_of(self, session: SlideSession) -> list[Layer]:
        """Return the slide's own layer and those made for it."""
        layers = [session.layer, *(getattr(session, name) for name in _MADE_LAYERS)]
        return [layer for layer in layers if layer is not None]

    def _inserted(self, event: Any) -> None:
        self._take(event.value)

    def _take(self, layer: Layer) -> None:
        path = slide_path(layer)
        if path is None:
            return
        image = slide_image(layer)
        if any((known.path, known.image) == (path, image) for known in self._state.sessions):
            return
        session = SlideSession(path, layer, image=image)
        self._state.sessions = (*self._state.sessions, session)
        self.open(session)

    def _show(self, layer: Layer | None) -> None:
        """Let the panel follow the slide in sight."""
        if layer is not None:
            self._take(layer)  # it may be heard of here first
        key = slide_key(layer) if layer is not None else None
        known = {SlideKey(each.path, each.image): each for each in self._state.sessions}
        self._state.current = known.get(key) if key is not None else None

    def _removed(self, event: Any) -> None:
        layer = event.value
        for session in self._state.sessions:
            for name in _MADE_LAYERS:
                if getattr(session, name) is layer:
                    setattr(session, name, None)
            if session.layer is layer:
                self._drop(session)

    def _drop(self, session: SlideSession) -> None:
        if self._state.current is session:
            self._state.current = None  # the next one comes in sight in a moment
        self._state.sessions = tuple(
            other for other in self._state.sessions if other is not session
        )
        self.dropped.emit(session)
        if session.slide is not None:
            session.slide.close()
