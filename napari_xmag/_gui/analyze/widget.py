"""Plugins > XMAG > Analyze slide: the panels of one dock, wired to its state."""

from typing import Any

import napari
from psygnal import EmissionInfo
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xmag._about import NOTICE
from napari_xmag._gui.analyze.chooser_panel import ChooserPanel
from napari_xmag._gui.analyze.controller import Controller
from napari_xmag._gui.analyze.dialogs.card import CardDialog
from napari_xmag._gui.analyze.keys import KeysDialog, review_keys
from napari_xmag._gui.analyze.label_panel import LabelPanel
from napari_xmag._gui.analyze.map_panel import HoverLine, MapPanel, hover_words
from napari_xmag._gui.analyze.output_panel import OutputPanel
from napari_xmag._gui.analyze.overview import OverviewController
from napari_xmag._gui.analyze.overview_panel import OverviewPanel
from napari_xmag._gui.analyze.patch_strip import PatchStrip
from napari_xmag._gui.analyze.requests import Requests
from napari_xmag._gui.analyze.result_chooser import ResultPanel
from napari_xmag._gui.analyze.run_panel import RunPanel
from napari_xmag._gui.analyze.slide_metadata_panel import SlideMetadataPanel
from napari_xmag._gui.analyze.state import SlideSession, Spot, WindowState
from napari_xmag._gui.analyze.tissue.panel import TissuePanel
from napari_xmag._gui.shared.canvas_keys import CanvasKeys
from napari_xmag._gui.shared.dock import Docked, NapariDocks
from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag._gui.shared.neighbour import ANALYZE, open_train
from napari_xmag._gui.shared.scrolled import scrolled
from napari_xmag._gui.shared.section import Section, Words, bold
from napari_xmag._gui.shared.viewer_slides import FollowedSlides
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.layer_data import MAP_ROLE


class AnalyzeWidget(Docked):
    """Analyzes slides of a viewer and shows what came of it.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    """

    NAME, MAP_ROLE = ANALYZE, MAP_ROLE

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._docks = NapariDocks()
        self._followed: FollowedSlides[SlideSession] = FollowedSlides(self._session_changed)
        self.state = WindowState()
        self.chooser = ChooserPanel()
        self.tissue = TissuePanel()
        self.settings = SettingsForm(AnalyzeSettings, omit=("device", "tissue"))
        self.run = RunPanel()
        self.result = ResultPanel()
        self.kept, self.prediction = self.result.kept, self.result.prediction
        self.map = MapPanel()
        self.strip = PatchStrip()
        self.label = LabelPanel()
        self.slide_metadata = SlideMetadataPanel()
        self.hover = HoverLine()
        self.overview = OverviewPanel()
        self.controller = Controller(napari_viewer, self.state)
        self.hand_on = OutputPanel(self.controller)
        self.sight = OverviewController(napari_viewer, self.controller.jobs, self.overview)
        self.export_button = self.hand_on.export_button
        self._lay_out()
        self.desk = Requests(self.controller)
        self.keys = review_keys(self.controller, self._begin_comment, self.show_keys)
        self._canvas_keys = CanvasKeys(napari_viewer, self.keys, self, self.in_front)
        self._wire_panels()
        self._wire_state()
        self._show_all()

    # layout

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(2)
        for section in self._sections():
            column.addWidget(section)
        column.addStretch()
        self.notice = bold(Words(NOTICE))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(2)
        layout.addWidget(scrolled(inside), 1)
        layout.addWidget(self.hand_on)
        for line in (self.hover, self.notice):
            line.setContentsMargins(8, 0, 8, 0)
            layout.addWidget(line)
        self.setMinimumWidth(320)

    def sizeHint(self) -> QSize:
        """Ask for room for three patches of the strip."""
        return QSize(384, 760)

    def _sections(self) -> list[QWidget]:
        self.results = QWidget()
        column = QVBoxLayout(self.results)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for title, panel in (
            ("Prediction", self.result),
            ("Heat map", self.map),
            ("Patches to review", self.strip),
        ):
            column.addWidget(_section(title, panel))
        self.setup_section = _section("Slide, model and tissue", self.chooser)
        self.setup_section.add(self.tissue)
        self.setup_section.add(self.settings)
        self.setup_section.add(self.run)
        return [
            self.setup_section,
            self.results,
            _section("Overview", self.overview),
            _section("Add this slide to training", self.label, folded=True),
            _section("Slide information", self.slide_metadata, folded=True),
        ]

    def _fold_setup(self) -> None:
        """Make room for a result; show again how to get one where there is none."""
        session = self.state.current
        if session is not None and session.result is not None:
            self.setup_section.set_title("Analyze again")
            self.setup_section.collapse(animate=False)
        else:
            self.setup_section.set_title("Slide, model and tissue")
            self.setup_section.expand(animate=False)

    # wires

    def _wire_panels(self) -> None:
        control, state = self.controller, self.state
        self.chooser.slide_chosen.connect(control.choose_slide)
        self.chooser.model_chosen.connect(control.choose_model)
        self.chooser.device_chosen.connect(lambda name: setattr(state, "device", name))
        self.chooser.card_asked.connect(self._show_card)
        self.chooser.pixel_size.given.connect(control.set_pixel_size)
        self.tissue.chosen.connect(control.tissue.choose)
        self.settings.changed.connect(self._read_settings)
        self.tissue.show_asked.connect(control.tissue.show)
        self.tissue.draw_asked.connect(control.tissue.draw)
        self.run.analyze_asked.connect(control.analyze)
        self.run.cancel_asked.connect(lambda: control.cancel())
        self.map.view_chosen.connect(lambda view: setattr(state, "view", view))
        self.map.class_chosen.connect(control.show_evidence)
        self.map.opacity_set.connect(lambda value: setattr(state, "opacity", value))
        self.map.threshold_set.connect(lambda value: setattr(state, "threshold", value))
        self.kept.chosen.connect(self._choose_result)
        self.kept.swap_asked.connect(lambda: control.swap_results())
        self.kept.difference_asked.connect(lambda: control.compare_results())
        self.kept.delete_asked.connect(self._delete_result)
        self.strip.clicked.connect(lambda place: control.places.go_to(place))
        self.strip.marked.connect(lambda place, verdict: control.places.mark(place, verdict))
        self.strip.stepped.connect(lambda by: control.places.step(by))
        self.strip.commented.connect(self._end_comment)
        self.label.given.connect(self._add_to_training)
        self.hand_on.layout_asked.connect(
            lambda away: self._docks.put_away(self.main_window(), away)
        )
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(lambda: control.cancel())
        self.viewer.mouse_move_callbacks.append(self._hover)

    def _wire_state(self) -> None:
        events = self.state.events
        self.controller.keeper.settled.connect(lambda _: self._show_prediction())
        events.sessions.connect(self._follow_sessions)
        events.current.connect(self._show_all)
        for name in ("models", "model"):
            getattr(events, name).connect(self._show_models)
        for name in ("devices", "device"):
            getattr(events, name).connect(self._show_devices)
        for name in ("view", "class_name", "threshold", "opacity"):
            getattr(events, name).connect(self._show_map)
        self._follow_sessions()

    def _follow_sessions(self) -> None:
        self._followed.follow(self.state.sessions)
        self.chooser.show_slides(self.state.sessions, self.state.current)

    # showing

    def _session_changed(self, session: SlideSession, info: EmissionInfo) -> None:
        if session is not self.state.current:
            return
        {
            "slide": self._show_slide,
            "slide_metadata": self._show_metadata,
            "problem": self._show_slide,
            "tissue": self._show_tissue,
            "drawn": self._show_prediction,
            "progress": self._show_progress,
            "outcome": self._show_progress,
            "scores": self._show_map,
            "result": self._show_result,
            "cards": self._show_strip,
            "cards_for": self._show_strip,
            "place": self._show_place,
            "said": self._show_place,
            "reviews": self._show_reviews,
            "saved": self._show_prediction,
            "shown_id": self._show_prediction,
            "compared": self._show_compared,
        }.get(info.signal.name, lambda: None)()

    def _show_all(self) -> None:
        session = self.state.current
        self.chooser.show_models(self.state.models, self.state.model)
        self._show_devices()
        self.chooser.show_slides(self.state.sessions, session)
        self.sight.show_session(session)
        self.tissue.show_session(session)
        self._show_run()
        self._show_result()
        self._show_map()

    def _show_slide(self) -> None:
        self.chooser.show_session(self.state.current)
        self.sight.show_session(self.state.current)
        self._show_tissue()
        self._show_metadata()
        self._show_progress()

    def _show_models(self) -> None:
        self.chooser.show_models(self.state.models, self.state.model)
        self._show_progress()
        self._show_prediction()

    def _show_devices(self) -> None:
        self.chooser.show_devices(self.state.devices, self.state.device)

    def _show_tissue(self) -> None:
        self.tissue.show_session(self.state.current)
        self._show_prediction()

    def _show_metadata(self) -> None:
        session = self.state.current
        slide_metadata = session.slide_metadata if session is not None else None
        self.slide_metadata.show_slide(
            slide_metadata, session.result if session is not None else None
        )

    def _show_progress(self) -> None:
        self._show_run()
        if self.state.current is not None and self.state.current.scores is not None:
            self._show_map()

    def _show_run(self) -> None:
        session = self.state.current
        progress = session.progress if session is not None else None
        self.run.show_progress(progress, session.outcome if session is not None else "")
        why_not = self._why_not()
        self.run.allow(not why_not, why_not)

    def _why_not(self) -> str:
        session = self.state.current
        if session is None:
            return "Open a slide first."
        if session.problem:
            return session.problem
        if session.slide is None:
            return "The slide is still opening."
        if session.slide.mpp is None:
            return "Enter the pixel size of the slide first."
        if self.state.settings is None:
            return f"Correct the advanced settings first: {self.state.settings_problem}"
        return "" if self.state.model else "Looking for models …"

    def _show_result(self) -> None:
        session = self.state.current
        self.hover.say("", "")  # what it said was of another result
        result = session.result if session is not None else None
        self._show_prediction()
        self._fold_setup()
        self.label.show_result(result)
        self.hand_on.show_session(session)
        self._show_strip()
        self._show_reviews()
        self._show_metadata()

    def _show_prediction(self) -> None:
        chosen = self.controller.entry_of(self.state.model)
        self.result.show_session(self.state.current, chosen)

    def _show_compared(self) -> None:
        self._show_prediction()
        self._show_map()

    def _show_strip(self) -> None:
        self.strip.show_session(self.state.current)

    def _show_place(self) -> None:
        self.strip.show_place(self.state.current)

    def _show_reviews(self) -> None:
        session = self.state.current
        self.label.show_reviews(session.reviews if session is not None else ())

    def _show_map(self) -> None:
        session, state = self.state.current, self.state
        name = self.controller.class_of(session) if session is not None else ""
        self.map.show_session(session, state, name)

    # acting

    def _read_settings(self) -> None:
        self.state.settings, self.state.settings_problem = self.settings.read()
        self._show_progress()

    def _choose_result(self, result_id: str) -> None:
        if self.state.current is not None:
            self.controller.keeper.choose(self.state.current, result_id)

    def _delete_result(self, result_id: str) -> None:
        if self.state.current is not None:
            self.controller.keeper.delete(self.state.current, result_id)

    def _begin_comment(self) -> bool:
        """Let the user write about the place that is looked at."""
        session = self.state.current
        if session is None or session.place is None:
            return False
        self.strip.comment.setFocus()
        return True

    def _end_comment(self, spot: Spot, words: str) -> None:
        if not self.controller.places.comment(spot, words):
            self.strip.keep_comment(spot, words)
        window = self.main_window()
        if window is not None and window.focusWidget() is self.strip.comment:
            window.setFocus()  # napari hands keys that reach its window to the canvas

    def _show_card(self) -> None:
        entry = self.controller.entry_of(self.state.model)
        if entry is not None:
            self.card_dialog = CardDialog(entry, self)
            self.card_dialog.open()

    def show_keys(self) -> None:
        """List the keys of all docks of the window."""
        window = self.main_window()
        docks = window.findChildren(Docked) if window is not None else [self]
        dialog = KeysDialog([key for dock in docks for key in dock.keys], self)
        dialog.finished.connect(dialog.deleteLater)
        self.keys_dialog = dialog
        dialog.open()

    def _hover(self, viewer: object, event: Any) -> None:
        session = self.state.current
        if session is None or session.scores is None:
            return
        y, x = session.layer.world_to_data(event.position)[-2:]
        self.hover.say(*hover_words(session, x + 0.5, y + 0.5))

    def _add_to_training(self, label: str) -> None:
        session = self.state.current
        if session is not None:
            open_train(self.viewer, self.main_window()).add(session.path, label)

    # the end

    def dock_hides(self) -> None:
        """End the run when the dock is put away: another one takes seconds."""
        self.controller.cancel_all()

    def let_go(self) -> None:
        """End all work and let go of the viewer."""
        self.strip.save_all()
        self.viewer.mouse_move_callbacks.remove(self._hover)
        self._docks.put_away(self.main_window(), False)
        self._canvas_keys.disconnect()
        self.desk.forget()
        self.sight.disconnect()
        self._followed.stop()
        self.state.events.disconnect()
        self.controller.close()


def _section(title: str, panel: QWidget, *, folded: bool = False) -> Section:
    section = Section(title, folded=folded)
    section.add(panel)
    return section
