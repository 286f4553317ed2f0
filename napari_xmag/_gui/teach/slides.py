"""The slides of a viewer as Teach knows them."""

from typing import cast

from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.opening import Opened
from napari_xmag._gui.shared.viewer_slides import ViewerSlides
from napari_xmag._gui.teach.state import TeachSlide, TeachState
from napari_xmag.layer_data import SlideKey


class TeachSlides(ViewerSlides[TeachSlide]):
    """Keeps one `TeachSlide` for each slide layer.

    Parameters
    ----------
    state
        Its slides, and which of them is in sight, are set here alone.
    """

    MADE_LAYERS = ("map_layer", "marks_layer", "region_layer")

    def __init__(self, viewer: ViewerModel, state: TeachState, jobs: Jobs) -> None:
        super().__init__(viewer, jobs)
        self._state = state

    @property
    def records(self) -> tuple[TeachSlide, ...]:
        """The slides of the window's state."""
        return self._state.slides

    def _keep(self, records: tuple[TeachSlide, ...]) -> None:
        self._state.slides = records

    @property
    def _current(self) -> TeachSlide | None:
        return self._state.current

    def _make_current(self, record: TeachSlide | None) -> None:
        self._state.current = record

    def _new(self, key: SlideKey, layer: Layer) -> TeachSlide:
        return TeachSlide(key.path, cast(Image, layer), image=key.image)

    def _take_opened(self, record: TeachSlide, opened: Opened) -> None:
        if opened.slide.mpp is None:
            record.problem = "Its pixel size is unknown. Enter it in Analyze slide."
