"""Between Train and Analyze: slides of a result are shown with their map, models handed over."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_xmag._gui.analyze_widget import AnalyzeWidget
from napari_xmag._gui.neighbour import ANALYZE, find, open_beside
from napari_xmag._gui.state import SlideSession
from napari_xmag.zoo import ModelEntry, check_model, user_folder

if TYPE_CHECKING:
    from napari_xmag._gui.train_widget import TrainWidget

_BY_HAND = ("user", "remembered from the user")


class Reviewer:
    """Acts on the Analyze widget of the same window.

    Parameters
    ----------
    widget
        The Train widget.
    """

    def __init__(self, widget: "TrainWidget") -> None:
        self._widget = widget
        self._waiting: SlideSession | None = None
        widget.controller.model_added.connect(self._added)

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._forget()
        self._widget.controller.model_added.disconnect(self._added)

    # what Analyze knows

    def _sessions(self) -> tuple[SlideSession, ...]:
        analyze = find(self._widget.main_window(), AnalyzeWidget)
        return analyze.state.sessions if analyze is not None else ()

    def predictions(self) -> dict[Path, str]:
        """Return what a model said of the slides in the viewer."""
        known = {s.path: s.result.predicted for s in self._sessions() if s.result is not None}
        return {path: label for path, label in known.items() if label}

    def given_mpp(self, path: Path) -> float | None:
        """Return the pixel size that the user gave for a slide; None where its file says it."""
        for session in self._sessions():
            if session.path == path and session.slide is not None and session.slide.mpp:
                by_hand = session.slide.mpp_source in _BY_HAND
                return session.slide.mpp.x if by_hand else None
        return None

    # what Analyze shall do

    def _analyze(self) -> AnalyzeWidget:
        window = self._widget.main_window()
        return open_beside(self._widget.viewer, window, AnalyzeWidget, ANALYZE)

    def use_model(self) -> None:
        """Copy the trained model among the user's own, and choose it in Analyze."""
        record = self._widget.state.record
        if record is None or record.model is None:
            return
        folder = record.model
        name = check_model(folder).name
        add = partial(self._widget.controller.add_model, folder)
        if (user_folder() / name).exists():
            words = f"A model named {name} is among yours already. Replace it by this one?"
            self._widget.ask("Replace the model?", words, "Replace", add)
        else:
            add()

    def _added(self, entry: ModelEntry) -> None:
        self._analyze().controller.offer(entry)

    def show_slide(self, slide: Path, mpp: float | None) -> None:
        """Open a slide of the result and let the trained model draw its map."""
        record = self._widget.state.record
        analyze = self._analyze()
        if record is not None and record.model is not None:
            analyze.controller.offer(trained_entry(record.model))
        session = _session_of(analyze, slide)
        if session is None:
            self._widget.viewer.open(str(slide), plugin="napari-xmag")
            session = _session_of(analyze, slide)
        if session is None:
            return
        analyze.controller.choose_slide(session)
        self._widget.viewer.reset_view()
        self._forget()
        self._waiting = session
        session.events.slide.connect(partial(self._later, analyze, mpp))
        self._later(analyze, mpp)

    def _later(self, analyze: AnalyzeWidget, mpp: float | None, *_: Any) -> None:
        QTimer.singleShot(0, analyze, partial(self._map, analyze, mpp))

    def _map(self, analyze: AnalyzeWidget, mpp: float | None) -> None:
        session = self._waiting
        if session is None or session.slide is None:
            return
        if session.slide.mpp is None and mpp is not None:
            analyze.controller.set_pixel_size(mpp)
            return  # the slide is opened again, and this is called again
        self._forget()
        model = analyze.controller.entry_of(analyze.state.model)
        done = session.result is not None and model is not None
        if done and session.result.model.get("sha256") == model.info.sha256:
            return
        analyze.controller.analyze()

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.events.slide.disconnect()
            self._waiting = None


def trained_entry(folder: Path) -> ModelEntry:
    """Return the entry of a model that lies in the folder of its training."""
    return ModelEntry(str(folder), folder, check_model(folder))


def _session_of(analyze: AnalyzeWidget, path: Path) -> SlideSession | None:
    same = (s for s in analyze.state.sessions if s.path.resolve() == path.resolve())
    return next(same, None)
