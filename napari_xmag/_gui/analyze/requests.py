"""What other widgets of the window ask of Analyze slide."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer

from napari_xmag._gui.analyze.state import SlideSession
from napari_xmag._gui.analyze.tasks import Analysis
from napari_xmag._gui.reader import image_layers, read_slides
from napari_xmag._gui.shared.neighbour import MadeResult
from napari_xmag.errors import SlideOpenError
from napari_xmag.files import is_same_file
from napari_xmag.layer_data import LayerData, slide_key, slide_of_plane
from napari_xmag.slide.base import BY_HAND

if TYPE_CHECKING:
    from napari_xmag._gui.analyze.controller import Controller
    from napari_xmag.zoo import ModelEntry


class Requests(QObject):
    """Answers other widgets, and maps the slide that they ask for as soon as it is open.

    Parameters
    ----------
    controller
        Acts on the slides of the window.
    """

    def __init__(self, controller: "Controller") -> None:
        super().__init__()
        self._controller = controller
        self._waiting: SlideSession | None = None
        self._made: dict[tuple[Path, int], MadeResult] = {}
        controller.keeper.kept.connect(self._note_made)

    def predictions(self) -> dict[Path, str]:
        """Return the answer for each slide of the viewer that has one; of a file, its first image.

        Training, for which this is asked, reads no other one.
        """
        sessions = (s for s in self._controller.state.sessions if s.image == 1)
        known = {s.path: s.result.answer for s in sessions if s.result is not None}
        return {path: label for path, label in known.items() if label}

    def given_mpp(self, path: Path) -> float | None:
        """Return the pixel size that the user gave for a slide; None where its file states it."""
        session = self._session(path, 1)
        if session is None or session.slide is None or session.slide.mpp is None:
            return None
        return session.slide.mpp.x if session.slide.mpp_source in BY_HAND else None

    def offer(self, entry: "ModelEntry") -> None:
        """Add a model to the choice, and choose it."""
        self._controller.offer(entry)

    def analysis(self) -> Analysis | None:
        """Return how slides are to be analyzed now; None while that is not known, or wrong."""
        controller, state = self._controller, self._controller.state
        if not state.model or state.settings is None:
            return None
        settings = replace(state.settings, device=state.device)
        return Analysis(state.model, settings, controller.shelf)

    def model_digest(self) -> str:
        """Return the digest of the model that is chosen now; empty while that is not known."""
        entry = self._controller.entry_of(self._controller.state.model)
        return entry.info.sha256 if entry is not None and entry.info is not None else ""

    def in_sight(self) -> tuple[Path, int] | None:
        """Return the file and the picture of the slide in sight; None where there is none."""
        session = self._controller.state.current
        return None if session is None else (session.path, session.image)

    def fingerprint_in_sight(self) -> str:
        """Return the fingerprint of the slide in sight; empty while it is not known."""
        session = self._controller.state.current
        store = session.store if session is not None else None
        return store.fingerprint if store is not None else ""

    def show_slide(self, path: Path, image: int) -> None:
        """Bring a picture of a slide in sight; it is opened where it is not open.

        Raises
        ------
        SlideOpenError
            When it cannot be opened; that was told, and no slide is in sight then.
        """
        session = self._session(path, image)
        if session is None:
            try:
                self._add(image_layers(path, image))
            except SlideOpenError:
                self._controller.slides.shown.show_none()
                raise
            session = self._session(path, image)
        if session is not None:
            self._controller.choose_slide(session)

    def close_slide(self, path: Path, image: int) -> None:
        """Take a slide out of the viewer, with its focal planes; what was said of it is saved."""
        session = self._session(path, image)
        if session is None or session.progress is not None:
            return
        layers = self._controller.viewer.layers
        own = slide_key(session.layer)
        planes = [layer for layer in layers if own is not None and slide_of_plane(layer) == own]
        for layer in (session.layer, *planes):
            layers.remove(layer)

    def take_made(self) -> list[MadeResult]:
        """Return what was analyzed here since this was asked last; of each slide the last one."""
        made, self._made = list(self._made.values()), {}
        return made

    def _note_made(self, session: SlideSession, result_id: str) -> None:
        if session.store is not None:
            picture = session.path, session.image
            self._made[picture] = MadeResult(picture, session.store.fingerprint, result_id)

    def map_slide(self, path: Path, mpp: float | None) -> None:
        """Open a slide and let the chosen model draw its map.

        Parameters
        ----------
        mpp
            µm per pixel, given by hand where the file states none.
        """
        controller = self._controller
        session = self._session_of(path)
        if session is None:
            with suppress(SlideOpenError):  # it was told
                # of whatever kind: napari's reader leaves small TIFFs alone
                self._add(read_slides(str(path)))
            session = self._session_of(path)
        if session is None:
            return
        controller.choose_slide(session)
        controller.viewer.reset_view()
        self.forget()
        self._waiting = session
        session.events.slide.connect(partial(self._later, mpp))
        self._later(mpp)

    def show_saved(self, path: Path, image: int) -> None:
        """Bring a slide of the viewer in sight with what is saved of it."""
        session = self._session(path, image)
        if session is not None:
            self._controller.choose_slide(session)
            self.reload(path, image)

    def reload(self, path: Path, image: int) -> None:
        """Show what is saved of a slide, where it is in the viewer, anew."""
        session = self._session(path, image)
        if session is None:
            return
        if session.slide is not None and session.slide.mpp is None:
            self._controller.slides.open(session)  # its pixel size may be known by now
        else:
            self._controller.keeper.reload(session)

    def forget(self) -> None:
        """Wait for no slide any more."""
        if self._waiting is not None:
            self._waiting.events.slide.disconnect()
            self._waiting = None

    def _later(self, mpp: float | None, *_: Any) -> None:
        QTimer.singleShot(0, self, partial(self._map, mpp))

    def _map(self, mpp: float | None) -> None:
        session, controller = self._waiting, self._controller
        if session is None or session.slide is None:
            return
        if session.slide.mpp is None and mpp is not None:
            controller.set_pixel_size(mpp)
            return  # the slide is opened again, and this is called again
        self.forget()
        model = controller.entry_of(controller.state.model)
        if session.result is None or model is None or not _made_by(session, model):
            controller.analyze()

    def _add(self, layers: Iterable[LayerData]) -> None:
        for data, arguments, kind in layers:
            self._controller.viewer.add_layer(Layer.create(data, arguments, kind))

    def _session(self, path: Path, image: int) -> SlideSession | None:
        return next((each for each in self._sessions_of(path) if each.image == image), None)

    def _session_of(self, path: Path) -> SlideSession | None:
        return next(self._sessions_of(path), None)

    def _sessions_of(self, path: Path) -> Iterator[SlideSession]:
        return (s for s in self._controller.state.sessions if is_same_file(s.path, path))


def _made_by(session: SlideSession, model: Any) -> bool:
    return bool(session.result and session.result.model.get("sha256") == model.info.sha256)
