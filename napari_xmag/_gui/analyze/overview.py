"""Where in the slide the user looks: followed for the overview, and moved by it."""

from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from superqt.utils import qthrottled

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.dialogs.label import LabelDialog
from napari_xmag._gui.analyze.overview_panel import OverviewPanel, ShownPart
from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell

_FOLLOW_MS = 50
_UM_AT_1X = 10.0
"""Width of a screen pixel at a magnification of 1: a 10x objective is scanned at 1 µm."""


class OverviewController:
    """Keeps an overview true to the camera, and moves the camera where it is asked to.

    Parameters
    ----------
    viewer
        Its camera is followed until `disconnect`.
    jobs
        Reads pictures in threads.
    panel
        What is shown.
    """

    def __init__(self, viewer: ViewerModel, jobs: Jobs, panel: OverviewPanel) -> None:
        self._viewer, self._jobs, self._panel = viewer, jobs, panel
        self._session: SlideSession | None = None
        self._pictured: SlideSession | None = None
        self._follow = qthrottled(self._show_part, timeout=_FOLLOW_MS)
        for name in ("center", "zoom"):
            getattr(viewer.scene.camera.events, name).connect(self._moved)
        viewer.canvas.events.size.connect(self._moved)
        panel.place_asked.connect(self.move_to)
        panel.zoom_asked.connect(self.zoom_to)
        panel.label_asked.connect(self.show_label)

    def disconnect(self) -> None:
        """Follow the camera no longer."""
        for name in ("center", "zoom"):
            getattr(self._viewer.scene.camera.events, name).disconnect(self._moved)
        self._viewer.canvas.events.size.disconnect(self._moved)
        self._follow.cancel()

    def show_session(self, session: SlideSession | None) -> None:
        """Show another slide, or that it is open by now."""
        slide = session.slide if session is not None else None
        self._panel.allow(is_open=slide is not None, calibrated=self._scale(session) is not None)
        if session is not self._session or slide is None:
            self._panel.picture.show_picture(None, 1.0)
            self._pictured = None
        self._session = session
        if session is not None and slide is not None and self._pictured is not session:
            self._pictured = session
            self._panel.picture.show_picture(None, slide.bounds.width / slide.bounds.height)
            self._jobs.start(tasks.overview(slide), partial(self._show_picture, session))
        self._show_part()

    def _show_picture(self, session: SlideSession, event: object) -> None:
        slide = session.slide
        if session is self._session and slide is not None and isinstance(event, tasks.Pictured):
            ratio = slide.bounds.width / slide.bounds.height
            self._panel.picture.show_picture(event.pixels, ratio)

    # where the camera is

    def _moved(self, *_: Any) -> None:
        self._follow()

    def _show_part(self) -> None:
        session = self._session
        scale, zoom = self._scale(session), self._viewer.scene.camera.zoom
        self._panel.show_magnification(None if scale is None else _UM_AT_1X * zoom)
        self._panel.picture.show_part(None if session is None else self._part(session))

    def _part(self, session: SlideSession) -> ShownPart | None:
        slide = session.slide
        if slide is None:
            return None
        camera, bounds = self._viewer.scene.camera, slide.bounds
        center = np.array(camera.center[-2:])
        half = np.array(self._viewer.canvas.size) / (2 * camera.zoom)
        # napari counts from the middle of the first pixel, the core from its corner
        corners = [session.layer.world_to_data(center + sign * half) for sign in (-1, 1)]
        (top, left), (bottom, right) = np.array(corners)[:, -2:] + 0.5
        return ShownPart(
            (left - bounds.x) / bounds.width,
            (top - bounds.y) / bounds.height,
            (right - bounds.x) / bounds.width,
            (bottom - bounds.y) / bounds.height,
        )

    def _scale(self, session: SlideSession | None) -> float | None:
        mpp = session.mpp if session is not None else None
        return None if mpp is None else mpp.mean

    # where it is asked to be

    def move_to(self, x: float, y: float) -> None:
        """Look at a place of the slide in sight, given in parts of its scanned width and height."""
        session = self._session
        slide = session.slide if session is not None else None
        if session is None or slide is None:
            return
        bounds = slide.bounds
        place = bounds.y + y * bounds.height - 0.5, bounds.x + x * bounds.width - 0.5
        self._viewer.scene.camera.center = (0.0, *session.layer.data_to_world(place)[-2:])

    def zoom_to(self, magnification: float) -> None:
        """Look at the slide at a magnification; the middle stays where it is."""
        if self._scale(self._session) is not None:
            self._viewer.scene.camera.zoom = magnification / _UM_AT_1X

    # what lies beside the slide

    def show_label(self) -> None:
        """Show label and macro picture of the slide in sight; they are read only now."""
        session = self._session
        if session is not None:
            work = tasks.label_and_macro(session.path)
            self._jobs.start(work, partial(self._show_label, session))

    def _show_label(self, session: SlideSession, event: object) -> None:
        if not isinstance(event, tasks.Beside):
            return
        if not event.pictures:
            tell(f"{session.path.name} contains neither a label image nor a macro image.")
            return
        dialog = LabelDialog(session.path.name, event.pictures, self._panel)
        dialog.finished.connect(dialog.deleteLater)
        self.label_dialog = dialog
        dialog.open()
