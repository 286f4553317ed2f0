"""Which part of a slide is analyzed: outlined, repainted, drawn by hand, and kept."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.state import SlideSession, WindowState
from napari_xmag._gui.analyze.tissue import layer as tissue_layer
from napari_xmag._gui.analyze.tissue.request import TissueRequest
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell_error
from napari_xmag._gui.shared.placing import selection_kept
from napari_xmag.errors import XmagError
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueChoice, TissueMask

_KEEP_MS = 500


class TissueTools:
    """Acts on the tissue of the slide in sight.

    Parameters
    ----------
    viewer
        Where tissue and regions are layers.
    state
        Names the slide in sight.
    jobs
        Finds tissue in threads.
    """

    def __init__(self, viewer: ViewerModel, state: WindowState, jobs: Jobs) -> None:
        self._viewer, self._state, self._jobs = viewer, state, jobs
        self._unsaved: dict[SlideSession, Shapes] = {}
        self._repainted: set[SlideSession] = set()

    def close(self) -> None:
        """Save the regions that are not saved yet."""
        self._repainted.clear()
        for session in list(self._unsaved):
            self._keep(session)

    def choose(self, choice: TissueChoice) -> None:
        """Take a part of the slide for the next run; a painted mask needs one to paint on."""
        session = self._state.current
        if session is None:
            return
        if choice is TissueChoice.REGIONS:
            self._note_regions(session)  # those of a layer of the user's may have changed since
        session.tissue = choice
        if choice is TissueChoice.PAINTED and session.tissue_layer is None:
            self._outline(session, TissueRequest(TissueChoice.AUTO))

    def show(self) -> None:
        """Show the chosen part as a layer to repaint; a painted one is never thrown away."""
        session = self._state.current
        if session is None:
            return
        if session.tissue is TissueChoice.PAINTED and session.tissue_layer is not None:
            session.tissue_layer.visible = True
            self._viewer.layers.selection.active = session.tissue_layer
            return
        try:
            self._outline(session, self.request(session))
        except XmagError as error:
            tell_error(error)

    def show_found(self, session: SlideSession, mask: TissueMask) -> None:
        """Outline what a run will look at, and leave the user's tool and selection alone."""
        if session is not self._state.current:
            return
        if session.tissue_layer is not None:
            session.tissue_layer.visible = True
        elif session.slide is not None and session.layer in self._viewer.layers:
            with selection_kept(self._viewer):
                self._add(session, session.slide, mask)

    def draw(self) -> None:
        """Put a polygon tool into the user's hand, for one region."""
        session = self._state.current
        if session is None:
            return
        session.tissue = TissueChoice.REGIONS
        own = self._regions(session)
        self._viewer.layers.selection.active = own
        own.mode = "add_polygon"

    def request(self, session: SlideSession) -> TissueRequest:
        """Return what a run shall take, read from the layers.

        Raises
        ------
        TissueError
            When regions are to be analyzed and none is drawn.
        """
        choice = session.tissue
        if choice is TissueChoice.REGIONS:
            polygons = tissue_layer.polygons_of(self._viewer, session)
            return _noted(session, TissueRequest(choice, polygons=polygons))
        if choice is TissueChoice.PAINTED and session.tissue_layer is not None:
            # A copy: the user may go on painting while the run reads it.
            pixels = tissue_layer.painted_pixels(session.tissue_layer)
            return _noted(session, TissueRequest(choice, pixels=pixels))
        if choice is TissueChoice.PAINTED:
            return TissueRequest(TissueChoice.AUTO)
        return TissueRequest(choice)

    def put_back(
        self, session: SlideSession, polygons: Sequence[NDArray[np.float64]], choice: str
    ) -> None:
        """Show again the regions that were drawn on a slide, and choose what was chosen."""
        if polygons and session.regions_layer is None:
            layer = self._regions(session)
            # The core counts from the corner of the first pixel, napari from its centre.
            layer.add_polygons([polygon[:, ::-1] - 0.5 for polygon in polygons])
            self._note_regions(session)
        if choice == TissueChoice.WHOLE or (polygons and choice == TissueChoice.REGIONS):
            session.tissue = TissueChoice(choice)

    def _regions(self, session: SlideSession) -> Shapes:
        own = session.regions_layer
        if own is None or own not in self._viewer.layers:
            own = tissue_layer.new_regions(self._viewer, session)
            own.events.data.connect(partial(self._drawn, session))
        return own

    def _drawn(self, session: SlideSession, event: Any) -> None:
        """Put the tool down when a region is closed, and save all regions in a moment."""
        layer = event.source
        self._unsaved[session] = layer
        if str(event.action) == "added":
            QTimer.singleShot(0, partial(_put_down, layer))
        QTimer.singleShot(_KEEP_MS, partial(self._keep, session))

    def _keep(self, session: SlideSession) -> None:
        layer = self._unsaved.pop(session, None)
        if layer is None:
            return
        if session.layer in self._viewer.layers:  # the slide may have left it since
            self._note_regions(session)
        if session.store is None:
            return
        try:
            session.store.save_regions(tissue_layer.closed_shapes([layer], session))
        except XmagError as error:
            tell_error(error)

    def _note_regions(self, session: SlideSession) -> None:
        layers = tissue_layer.regions_layers(self._viewer, session)
        polygons = tissue_layer.closed_shapes(layers, session)
        _noted(session, TissueRequest(TissueChoice.REGIONS, polygons=polygons))

    def _outline(self, session: SlideSession, request: TissueRequest) -> None:
        if session.slide is None or session.mpp is None:
            return
        self._jobs.start(tasks.outline(session.slide, request), partial(self._outlined, session))

    def _outlined(self, session: SlideSession, event: object) -> None:
        slide = session.slide
        if not isinstance(event, TissueMask) or slide is None or slide.mpp is None:
            return
        if session.layer in self._viewer.layers:
            self._add(session, slide, event)

    def _add(self, session: SlideSession, slide: Slide, mask: TissueMask) -> None:
        layer = tissue_layer.show_tissue(self._viewer, session, slide, mask)
        layer.events.paint.connect(partial(_painted, session))
        layer.events.paint.connect(partial(self._repaint, session))
        layer.events.set_data.connect(partial(self._repaint, session))  # to undo is no painting
        self._repaint(session)

    def _repaint(self, session: SlideSession, *_: object) -> None:
        """Note what is painted, in a moment: a brush tells of each step."""
        if session not in self._repainted:
            self._repainted.add(session)
            QTimer.singleShot(_KEEP_MS, partial(self._note_painted, session))

    def _note_painted(self, session: SlideSession) -> None:
        layer = session.tissue_layer
        if session in self._repainted and layer is not None:
            pixels = tissue_layer.painted_pixels(layer)
            _noted(session, TissueRequest(TissueChoice.PAINTED, pixels=pixels))
        self._repainted.discard(session)


def _noted(session: SlideSession, request: TissueRequest) -> TissueRequest:
    """Note which regions, or which painted mask, there are now."""
    session.drawn = {**session.drawn, request.choice: request.digest}
    return request


def _painted(session: SlideSession, *_: object) -> None:
    session.tissue = TissueChoice.PAINTED


def _put_down(layer: Shapes) -> None:
    if str(layer.mode).startswith("add_"):
        layer.mode = "pan_zoom"
