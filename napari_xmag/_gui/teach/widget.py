"""Plugins > XMAG > Teach: the panels of one dock, wired to its state."""

from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import EmissionInfo
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from napari_xmag._about import NOTICE
from napari_xmag._gui.shared.canvas_keys import CanvasKeys
from napari_xmag._gui.shared.file_kinds import GEOJSON
from napari_xmag._gui.shared.neighbour import TEACH, BesideAnalyze, find_analyze
from napari_xmag._gui.shared.notices import tell_warning
from napari_xmag._gui.shared.placing import look_at
from napari_xmag._gui.shared.scrolled import scrolled
from napari_xmag._gui.shared.section import Section, Words, bold
from napari_xmag._gui.shared.viewer_slides import FollowedSlides
from napari_xmag._gui.teach.class_panel import ClassPanel
from napari_xmag._gui.teach.controller import TeachController
from napari_xmag._gui.teach.encoder_panel import EncoderPanel
from napari_xmag._gui.teach.keys import teach_keys
from napari_xmag._gui.teach.learned_panel import LearnedPanel
from napari_xmag._gui.teach.save_panel import SavePanel
from napari_xmag._gui.teach.state import SuggestedPatch, TeachSlide, TeachState
from napari_xmag._gui.teach.suggestion_strip import SuggestionStrip
from napari_xmag.files import safe_name
from napari_xmag.geometry import Box
from napari_xmag.layer_data import TAUGHT_MAP_ROLE
from napari_xmag.slide.base import require_mpp
from napari_xmag.zoo import user_folder

if TYPE_CHECKING:
    import napari

    from napari_xmag.zoo import ModelEntry


class TeachWidget(BesideAnalyze):
    """Teaches a classifier of patches by clicks.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    """

    NAME, MAP_ROLE = TEACH, TAUGHT_MAP_ROLE

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer)
        self._followed: FollowedSlides[TeachSlide] = FollowedSlides(self._slide_changed)
        self.state = TeachState()
        self.encoder = EncoderPanel()
        self.classes = ClassPanel()
        self.learned = LearnedPanel()
        self.strip = SuggestionStrip()
        self.save = SavePanel()
        self._lay_out()
        self.controller = TeachController(napari_viewer, self.state)
        self.keys = teach_keys(self.controller, self.state)
        self._canvas_keys = CanvasKeys(napari_viewer, self.keys, self, self.in_front)
        self._wire_panels()
        self._wire_state()
        self._show_all()

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(8, 8, 8, 4)
        column.setSpacing(4)
        column.addWidget(self.encoder)
        for title, panel in (
            ("Classes", self.classes),
            ("Map", self.learned),
            ("Worth labelling next", self.strip),
            ("Save and export", self.save),
        ):
            section = Section(title)
            section.add(panel)
            column.addWidget(section)
        column.addStretch()
        self.notice = bold(Words(NOTICE))
        self.notice.setContentsMargins(8, 0, 8, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(2)
        layout.addWidget(scrolled(inside), 1)
        layout.addWidget(self.notice)
        self.setMinimumWidth(320)

    def sizeHint(self) -> QSize:
        """Ask for room in which three places to label lie side by side."""
        return QSize(384, 760)

    def _wire_panels(self) -> None:
        control, state = self.controller, self.state
        self.encoder.slide_chosen.connect(lambda shown: control.slides.shown.show(shown.layer))
        self.encoder.model_chosen.connect(lambda name: setattr(state, "model", name))
        self.encoder.encode_asked.connect(control.encode)
        self.encoder.cancel_asked.connect(control.encoding.cancel)
        self.classes.class_taken.connect(self._take_class)
        self.classes.class_added.connect(control.add_class)
        self.classes.class_removed.connect(control.remove_class)
        self.classes.class_changed.connect(control.change_class)
        self.classes.tool_taken.connect(lambda tool: setattr(state, "tool", tool))
        self.classes.region_asked.connect(control.draw_region)
        self.classes.undo_asked.connect(control.undo)
        self.classes.redo_asked.connect(control.redo)
        self.learned.opacity_set.connect(lambda value: setattr(state, "opacity", value))
        self.learned.finer_asked.connect(control.set_finer)
        self.learned.classes_asked.connect(control.show_classes)
        self.strip.clicked.connect(self._go_to)
        self.strip.labelled.connect(control.label_suggestion)
        self.save.restart_asked.connect(control.start_over)
        self.save.model_asked.connect(self._save_model)
        self.save.export_asked.connect(self._export)
        self.save.annotations_asked.connect(self._read_annotations)

    def _wire_state(self) -> None:
        events = self.state.events
        events.slides.connect(self._follow_slides)
        events.current.connect(self._show_all)
        for name in ("models", "model"):
            getattr(events, name).connect(self._show_models)
        for name in ("lesson", "class_name", "tool"):
            getattr(events, name).connect(self._show_classes)
        for name in ("taught", "problem", "areas", "estimate", "similar", "unlike"):
            getattr(events, name).connect(self._show_learned)
        for name in ("suggestions", "lesson"):
            getattr(events, name).connect(self._show_learned)
        self._follow_slides()

    def _follow_slides(self) -> None:
        self._followed.follow(self.state.slides)
        self.encoder.show_slides(self.state.slides, self.state.current)

    def _slide_changed(self, shown: TeachSlide, info: EmissionInfo) -> None:
        if shown is not self.state.current:
            return
        if info.signal.name in ("progress", "problem", "prepared", "slide"):
            self._show_progress()
        ended = info.signal.name == "progress" and shown.progress is None
        if ended or info.signal.name in ("prepared", "wants_finer"):
            self._show_learned()

    # showing

    def _show_all(self) -> None:
        self.encoder.show_slides(self.state.slides, self.state.current)
        self._show_models()
        self._show_classes()
        self._show_learned()

    def _show_models(self) -> None:
        self.encoder.show_models(self.state.models, self.state.model)
        self._show_progress()

    def _show_progress(self) -> None:
        self.encoder.show_progress(self.state)
        self._allow()

    def _show_classes(self) -> None:
        state, session = self.state, self.controller.session
        self.classes.show_lesson(state.lesson, state.class_name)
        self.classes.show_tool(state.tool, session.can_undo, session.can_redo)

    def _show_learned(self) -> None:
        self.learned.show_state(self.state)
        self.strip.show_state(self.state)
        self._allow()

    def _allow(self) -> None:
        current = self.state.current
        ready = current is not None and current.prepared is not None
        self.save.allow(self.state.taught is not None, ready)
        self.classes.region.setEnabled(ready)

    # acting

    def _take_class(self, name: str) -> None:
        self.controller.take_class(1 + self.state.lesson.class_names.index(name))

    def _go_to(self, suggested: SuggestedPatch) -> None:
        shown = self.controller.slide_of(suggested.slide)
        if shown is None or shown.prepared is None or shown.slide is None:
            return
        self.controller.slides.shown.show(shown.layer)
        features = shown.prepared.features
        width, height = features.stride_x, features.stride_y
        box = Box(suggested.x - width / 2, suggested.y - height / 2, width, height)
        look_at(self.viewer, shown.layer, require_mpp(shown.slide), box)

    def _save_model(self, name: str) -> None:
        folder = user_folder() / safe_name(name.replace(" ", "-").casefold())
        if not name:
            tell_warning("Give the model a name first.")
            self.save.name.setFocus()
        elif not folder.exists() or self._may_replace(name):
            self.controller.save_model(folder, self._offer)

    def _may_replace(self, name: str) -> bool:
        answer = QMessageBox.question(
            self, "Replace the model?", f"A model named “{name}” already exists. Replace it?"
        )
        return answer == QMessageBox.StandardButton.Yes

    def _offer(self, entry: "ModelEntry") -> None:
        desk = find_analyze(self.main_window())
        if desk is not None:
            desk.offer(entry)

    def _export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the exports", str(Path.home()))
        if folder:
            self.controller.export(Path(folder))

    def _read_annotations(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Annotations of this slide", str(Path.home()), GEOJSON
        )
        if path:
            self.controller.read_annotations(Path(path))

    # the end

    def dock_hides(self) -> None:
        """Let go of the mouse when the dock is put away; examples are saved already."""
        self.controller.encoding.cancel()

    def let_go(self) -> None:
        """End all work and let go of the viewer."""
        self._canvas_keys.disconnect()
        self._followed.stop()
        self.state.events.disconnect()
        self.controller.close()
