"""The slides of a viewer as sessions of *Analyze slide*."""

from typing import cast

from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_xmag._gui.analyze.state import SlideSession, WindowState
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell_warning
from napari_xmag._gui.shared.opening import Opened
from napari_xmag._gui.shared.viewer_slides import ViewerSlides
from napari_xmag.layer_data import SlideKey


class Slides(ViewerSlides[SlideSession]):
    """Keeps one session for each slide layer."""

    MADE_LAYERS = ("map_layer", "tissue_layer", "regions_layer", "mark_layer")

    def __init__(self, viewer: ViewerModel, state: WindowState, jobs: Jobs) -> None:
        super().__init__(viewer, jobs)
        self._state = state
        self._first_sized = True
        self.connect()

    @property
    def records(self) -> tuple[SlideSession, ...]:
        """The sessions of the window's state."""
        return self._state.sessions

    def _keep(self, records: tuple[SlideSession, ...]) -> None:
        self._state.sessions = records

    @property
    def _current(self) -> SlideSession | None:
        return self._state.current

    def _make_current(self, record: SlideSession | None) -> None:
        self._state.current = record

    def _new(self, key: SlideKey, layer: Layer) -> SlideSession:
        return SlideSession(key.path, cast(Image, layer), image=key.image)

    def _take_opened(self, record: SlideSession, opened: Opened) -> None:
        record.problem = ""
        record.slide_metadata = opened.slide_metadata
        if opened.note:
            tell_warning(opened.note)
        if opened.slide.mpp is not None and self._first_sized:
            # Once: a user who puts the scale bar away is not asked twice.
            self._viewer.canvas.overlays.scale_bar.visible = True
            self._first_sized = False
