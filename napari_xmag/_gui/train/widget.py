"""Plugins > XMAG > Train: from labelled slides to a model, in one dock."""

from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtCore import QSize
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QMessageBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._about import NOTICE
from napari_xmag._gui.shared.neighbour import TRAIN, BesideAnalyze
from napari_xmag._gui.shared.notices import tell
from napari_xmag._gui.shared.scrolled import scrolled
from napari_xmag._gui.shared.section import Words, bold
from napari_xmag._gui.train.cohort_panel import CohortPanel
from napari_xmag._gui.train.controller import TrainController
from napari_xmag._gui.train.curves import CurvesPanel
from napari_xmag._gui.train.result_panel import TrainingResultPanel
from napari_xmag._gui.train.review import Reviewer
from napari_xmag._gui.train.run_panel import PlanGrid, TrainRunPanel
from napari_xmag._gui.train.settings_panel import SettingsPanel
from napari_xmag._gui.train.state import TrainState
from napari_xmag.layer_data import slide_layers, slide_path

_CLOSE = "Closing stops the training. Its last checkpoint is kept, and Resume continues from there."


class TrainWidget(BesideAnalyze):
    """Trains a slide model on labelled slides and shows what came of it.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    """

    NAME = TRAIN

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._leaves: QMainWindow | QDockWidget | None = None
        self.state = TrainState()
        self.controller = TrainController(self.state)
        self.cohort = CohortPanel()
        self.settings = SettingsPanel()
        self.plan = PlanGrid()
        self.curves = CurvesPanel(self.controller.curves)
        self.result = TrainingResultPanel()
        self.run = TrainRunPanel()
        self.reviewer = Reviewer(self)
        self._lay_out()
        self._wire_panels()
        self._wire_state()
        self._read_settings()
        self._show_cohort()
        self._show_run()
        self._follow_layers()

    # layout

    def _lay_out(self) -> None:
        self.pages = QTabWidget()
        for title, page in (
            ("Slides", self.cohort),
            ("Settings", self.settings),
            ("Training", scrolled(self._training_page())),
            ("Result", self.result),
        ):
            self.pages.addTab(page, title)
        self.notice = bold(Words(NOTICE))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.setSpacing(4)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self.run)
        layout.addWidget(self.notice)
        self.setMinimumWidth(360)

    def _training_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 6, 6, 0)
        column.setSpacing(6)
        self.idle = Words("The plan, progress and learning curves of the training run appear here.")
        self.plan_title = bold(QLabel("Plan"))
        for widget in (self.idle, self.plan_title, self.plan):
            column.addWidget(widget)
        column.addWidget(self.curves, 1)
        return page

    def sizeHint(self) -> QSize:
        """Ask for room in which the table shows four columns."""
        return QSize(460, 760)

    # wires

    def _wire_panels(self) -> None:
        control = self.controller
        self.cohort.open_asked.connect(control.cohort.open_table)
        self.cohort.save_asked.connect(control.cohort.save_table)
        self.cohort.examples_asked.connect(control.cohort.make_examples)
        self.cohort.stop_asked.connect(control.cohort.stop_making)
        self.cohort.add_asked.connect(self.add)
        self.cohort.removal_asked.connect(control.cohort.remove)
        self.cohort.table.cohort.edited.connect(control.cohort.edit)
        self.settings.encoder_chosen.connect(self._choose_encoder)
        self.settings.out_chosen.connect(lambda path: setattr(self.state, "out", path))
        self.settings.form.changed.connect(self._read_settings)
        control.ended.connect(self._training_ended)
        self.run.train_asked.connect(self._train)
        self.run.resume_asked.connect(self._resume)
        self.run.cancel_asked.connect(control.cancel)
        self.result.open_asked.connect(control.open_run)
        self.result.slide_asked.connect(self.reviewer.show_slide)
        self.result.use_asked.connect(self.reviewer.use_model)

    def _wire_state(self) -> None:
        events = self.state.events
        for name in ("rows", "busy_words"):
            getattr(events, name).connect(self._show_cohort)
        for name in ("problems", "drawn", "regions"):
            getattr(events, name).connect(self._show_problems)
        for name in ("checked", "note", "draw_problem"):
            getattr(events, name).connect(self._show_summary)
        for name in ("encoders", "encoder", "out"):
            getattr(events, name).connect(self._show_places)
        for name in ("config", "progress", "epoch", "outcome"):
            getattr(events, name).connect(self._show_run)
        events.plan.connect(self._show_plan)
        events.loaded.connect(self.settings.form.set_values)
        events.record.connect(self._show_record)

    def _follow_layers(self) -> None:
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(self.show_slides)
        self.show_slides()

    # showing

    def _show_cohort(self) -> None:
        self.cohort.show_rows(self.state)
        self._show_run()

    def _show_problems(self) -> None:
        self.cohort.show_problems(self.state)
        self._show_run()

    def _show_summary(self) -> None:
        self.cohort.show_summary(self.state)
        self._show_run()

    def show_slides(self) -> None:
        """Offer the slides of the viewer, with what a model predicted for them."""
        paths = [slide_path(layer) for layer in slide_layers(self.viewer)]
        slides = list(dict.fromkeys(path for path in paths if path is not None))
        self.cohort.show_slides(slides, self.reviewer.predictions())

    def _show_places(self) -> None:
        self.settings.show_places(self.state)
        self._show_run()

    def _show_plan(self) -> None:
        self.plan.show_plan(self.state.plan)
        self.plan_title.setVisible(self.state.plan is not None)
        begun = self.state.plan is not None or bool(self.controller.curves.stages)
        self.idle.setVisible(not begun)

    def _show_run(self) -> None:
        state = self.state
        self.run.show_progress(state.progress)
        self.run.message.say(state.outcome, state.failed)
        self.run.allow(self.controller.why_not(), self.controller.why_no_resume())

    def _show_record(self) -> None:
        self.result.show_record(self.state.record)
        if self.state.record is not None:
            self.pages.setCurrentWidget(self.result)

    # acting

    def _read_settings(self) -> None:
        config, self.state.config_problem = self.settings.form.read()
        self.state.config = config

    def _choose_encoder(self, name: str) -> None:
        if name:
            self.state.encoder = name
        self._show_places()

    def add(self, slide: Path, label: str) -> None:
        """Put a slide of the viewer into the table, with the pixel size that was given for it."""
        self.controller.cohort.add(slide, label, self.reviewer.given_mpp(slide))

    def _train(self) -> None:
        if self.controller.holds_run():
            fresh = self.controller.free_folder()
            self.ask(
                "Start a new training run?",
                f"{self.state.out} already contains a training run, which is kept. Save the new "
                f"run to {fresh.name} instead?",
                "Start",
                lambda: self._begin_in(fresh),
            )
        else:
            self._begin()

    def _begin_in(self, folder: Path) -> None:
        self.state.out = folder
        self._begin()

    def _begin(self) -> None:
        self._show_training()
        self.controller.train()

    def _resume(self) -> None:
        self._show_training()
        self.controller.resume()

    def _show_training(self) -> None:
        self.pages.setCurrentIndex(2)
        self.idle.hide()

    def ask(self, title: str, words: str, yes: str, then: Callable[[], None]) -> None:
        """Ask a question; ``then`` is done when the answer is yes."""
        box = QMessageBox(QMessageBox.Icon.Question, title, words, parent=self)
        agree = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        box.finished.connect(lambda _: then() if box.clickedButton() is agree else None)
        box.finished.connect(box.deleteLater)
        self.question = box
        box.open()  # not exec: the training and the window live on behind it

    def showEvent(self, event: QShowEvent) -> None:
        """Offer what happened to the slides while another widget was in front."""
        super().showEvent(event)
        self.show_slides()

    # the end

    def may_close(self, place: QMainWindow | QDockWidget) -> bool:
        """Ask before a training is ended by closing the window or the dock."""
        if not self.controller.busy:
            return True
        self.ask("Training is in progress", _CLOSE, "Stop and close", lambda: self._leave(place))
        return False

    def _leave(self, place: QMainWindow | QDockWidget) -> None:
        if self.controller.busy:
            self._leaves = place
            self.controller.cancel()
        else:  # it ended before the user answered
            self.close_place(place)

    def _training_ended(self) -> None:
        place, self._leaves = self._leaves, None
        if place is not None:
            self.close_place(place)
        elif not self.isVisible():
            tell(self.state.outcome)

    def dock_hides(self) -> None:
        """Tell where a training is found that goes on out of sight."""
        if self.controller.busy:
            tell("The training continues. Plugins > XMAG > Train (XMAG) shows it again.")

    def let_go(self) -> None:
        """End all work and let go of the viewer."""
        self.viewer.layers.events.inserted.disconnect(self.show_slides)
        self.viewer.layers.events.removed.disconnect(self.show_slides)
        self.reviewer.let_go()
        self.curves.let_go()
        self.state.events.disconnect()
        self.controller.close()
