"""What Teach does: marks examples, learns from them, and shows what was learned."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell, tell_error
from napari_xmag._gui.teach import tasks
from napari_xmag._gui.teach.canvas import SlideMouse
from napari_xmag._gui.teach.encoding import Encoding
from napari_xmag._gui.teach.layers import UNDRAWN, blank_map, show_examples, show_taught_map
from napari_xmag._gui.teach.newest import Newest
from napari_xmag._gui.teach.region_drawing import RegionDrawing
from napari_xmag._gui.teach.saved import reopen_session
from napari_xmag._gui.teach.slides import TeachSlides
from napari_xmag._gui.teach.state import SuggestedPatch, TeachSlide, TeachState, Tool
from napari_xmag.errors import XmagError
from napari_xmag.features.store import FeatureStore
from napari_xmag.teach.annotations import AnnotatedLesson
from napari_xmag.teach.classifier import Learner, Taught
from napari_xmag.teach.estimate import Estimate
from napari_xmag.teach.lesson import Lesson, SlideId, TaughtClass

if TYPE_CHECKING:
    from napari_xmag.zoo import ModelEntry


class TeachController:
    """Acts for one window; alone changes the state's slides and what was learned.

    Parameters
    ----------
    viewer
        Where slides and maps are layers.
    state
        What the window shows.
    """

    def __init__(self, viewer: ViewerModel, state: TeachState) -> None:
        self.viewer, self.state = viewer, state
        self.jobs = Jobs(tell_error)
        self.session = reopen_session()
        self._teacher = Learner(FeatureStore.of_user())
        self.encoding = Encoding(self.jobs, state, self._ready)
        teacher = self._teacher
        self._answers: Newest[tasks.AnswerRequest] = Newest(
            self.jobs, lambda asked: tasks.answer(teacher, asked), self._hear, tell_error
        )
        self._judged: Newest[tasks.Measured] = Newest(
            self.jobs, lambda asked: tasks.judge(teacher, asked), self._hear_judged, tell_error
        )
        self._strip: Newest[Taught] = Newest(
            self.jobs,
            lambda taught: tasks.picture_suggestions(taught, state.files),
            self._hear_suggestions,
            tell_error,
        )
        self._likeness: Newest[tasks.SimilarRequest] = Newest(
            self.jobs, lambda asked: tasks.alike(teacher, asked), self._hear_alike, tell_error
        )
        self._marks = QTimer()
        self._marks.setSingleShot(True)
        self._marks.timeout.connect(self._show_marks)
        self._mouse = SlideMouse(viewer, state, self._touch, self._done, self._miss)
        self._regions = RegionDrawing(viewer, state, self.mark, self._add)
        self.slides = TeachSlides(viewer, state, self.jobs)
        self._wire()

    def _wire(self) -> None:
        state = self.state
        state.lesson = self.session.lesson
        state.class_name = state.lesson.class_names[0] if state.lesson.classes else ""
        self.session.lesson_changed.connect(self._lesson_changed)
        self.slides.opened.connect(lambda _: self.encoding.go_on())
        self.slides.dropped.connect(self._dropped)
        state.events.model.connect(self._model_changed)
        state.events.current.connect(self._show_marks_later)
        state.events.opacity.connect(self._set_opacity)
        self.slides.connect()
        self.jobs.start(tasks.survey(), self._surveyed)

    @property
    def busy(self) -> bool:
        """Whether something is still being found out."""
        waits = self.encoding.busy or self._marks.isActive()
        return waits or any(newest.busy for newest in self._newest)

    @property
    def _newest(self) -> tuple[Newest[Any], ...]:
        return self._answers, self._judged, self._strip, self._likeness

    def _surveyed(self, found: tasks.Encoders) -> None:
        self.state.models = found.models
        if found.models and not self.state.model:
            self.state.model = found.models[0].name

    def close(self) -> None:
        """End all work and let go of viewer and files; for when the window goes away."""
        self._mouse.disconnect()
        self._marks.stop()
        self.slides.disconnect()
        self.session.lesson_changed.disconnect(self._lesson_changed)
        for newest in self._newest:
            newest.drop()
        self.jobs.stop_all()
        self.slides.close()

    # slides

    def encode(self) -> None:
        """Encode the slide in sight, also after it was cancelled."""
        if self.state.current is not None:
            self.state.current.problem = ""
        self.encoding.go_on()

    def set_finer(self, wanted: bool) -> None:
        """Let the map of the slide in sight be of quarters of patches, or of patches again."""
        if self.state.current is not None:
            self.state.current.wants_finer = wanted
            self.encoding.go_on()

    def slide_of(self, slide: SlideId) -> TeachSlide | None:
        """Return the open slide of an identity."""
        return next((shown for shown in self.state.slides if shown.id == slide), None)

    def _ready(self, shown: TeachSlide) -> None:
        if shown.prepared is None:
            return
        try:
            self.session.open_slide(shown.prepared)
        except XmagError as error:
            shown.problem, shown.prepared = error.found, None
            tell_error(error)
            return
        show_examples(self.viewer, shown, self.state.lesson)
        if self.session.missing:
            # first, or the map would be another one a moment later
            work = tasks.recall(self.session.missing, shown.prepared, self.state.lesson)
            self.jobs.start(work, self._recalled, self._learn)
        else:
            self._learn()

    def _recalled(self, event: object) -> None:
        """Let the examples of slides that are not open teach, too."""
        if not isinstance(event, tasks.Recalled):
            return
        for prepared in event.slides:
            self._try(partial(self.session.know_slide, prepared))

    def _dropped(self, shown: TeachSlide) -> None:
        self.encoding.drop(shown)
        if shown.id is not None:
            if self.slide_of(shown.id) is None:  # not shown by another file of the same content
                self.session.close_slide(shown.id)
            self._learn()

    def _model_changed(self) -> None:
        """Encode all slides anew: features of two encoders cannot be compared."""
        for shown in self.state.slides:
            shown.prepared, shown.ground = None, None
            blank_map(self.viewer, shown)
        self.session.forget_slides()
        self.encoding.cancel()
        for shown in self.state.slides:
            shown.problem = "" if shown.slide is not None else shown.problem
        self.encoding.go_on()

    # marking

    def take_class(self, number: int) -> None:
        """Take the class with a number, from 1, into the hand; what is not there is not taken."""
        names = self.state.lesson.class_names
        if 1 <= number <= len(names):
            self.state.class_name = names[number - 1]
            self.state.tool = Tool.MARK

    def mark(self, slide: SlideId, patches: Sequence[int], class_name: str) -> None:
        """Make patches examples of a class."""
        self._try(lambda: self.session.mark(slide, list(patches), class_name))

    def _touch(self, patches: list[int]) -> None:
        """Show a stroke while it is drawn, before it counts."""
        state = self.state
        if state.current is None:
            return
        colors = state.lesson.colors
        erases = state.tool is Tool.ERASE
        color = UNDRAWN if erases else colors.get(state.class_name, UNDRAWN)
        show_examples(self.viewer, state.current, state.lesson, patches, color)

    def _done(self, patches: list[int], moved: bool) -> None:
        shown, tool = self.state.current, self.state.tool
        if shown is None or shown.id is None:
            return
        slide, name, before = shown.id, self.state.class_name, self.state.lesson
        if tool is Tool.SIMILAR:
            self.find_similar(slide, patches[0])
        elif tool is Tool.ERASE:
            self._try(lambda: self.session.erase(slide, patches))
        elif not name:
            tell("Add a class first.")
        elif not moved and self.session.class_of(slide, patches[0]) == name:
            self._try(lambda: self.session.erase(slide, patches))
        else:
            self.mark(slide, patches, name)
        if self.state.lesson is before:  # else the stroke has gone already
            show_examples(self.viewer, shown, before)

    def _miss(self) -> None:
        tell("The program found no tissue here. To teach it all the same, draw a region around it.")

    def draw_region(self) -> None:
        """Put a lasso into the hand; what it encloses becomes examples of the class in the hand."""
        self._regions.draw()

    def _add(self, examples: Lesson) -> None:
        """Take examples where no tissue was found; their places are encoded."""
        self._try(lambda: self.session.add_examples(examples))

    def undo(self) -> None:
        """Take back the last change of examples or classes."""
        self._try(self.session.undo)

    def redo(self) -> None:
        """Do again what was taken back."""
        self._try(self.session.redo)

    def start_over(self) -> None:
        """Take back all examples; undo brings them back."""
        self._try(self.session.start_over)

    # classes

    def add_class(self, name: str) -> None:
        """Add a class and take it into the hand."""
        if self._try(lambda: self.session.add_class(name)):
            self.state.class_name = name.strip()

    def remove_class(self, name: str) -> None:
        """Remove a class and its examples; undo brings them back."""
        self._try(lambda: self.session.remove_class(name))

    def change_class(self, name: str, kind: TaughtClass) -> None:
        """Rename or recolour a class."""
        in_hand = self.state.class_name == name
        if self._try(lambda: self.session.change_class(name, kind)) and in_hand:
            self.state.class_name = kind.name

    # learning

    def _lesson_changed(self, lesson: Lesson) -> None:
        state = self.state
        before, state.lesson = state.lesson, lesson
        if state.class_name not in lesson.class_names:
            state.class_name = lesson.class_names[0] if lesson.classes else ""
        self._learn()
        self._show_marks_later()
        self.encoding.follow(before, lesson)

    def _show_marks(self) -> None:
        """Show the examples, in a turn of its own: a click must not hold the window up for long.

        Those of a hidden slide or layer are shown when it comes in sight.
        """
        for shown in self.state.slides:
            show_examples(self.viewer, shown, self.state.lesson)
            if shown.marks_layer is not None:
                shown.marks_layer.events.visible.connect(self._show_marks_later)

    def _show_marks_later(self) -> None:
        self._marks.start()

    def _learn(self) -> None:
        for newest in self._newest:
            newest.drop()
        self.state.similar = False
        self._answers.ask(tasks.AnswerRequest(self.session.request(), self.state.grounds))

    def _hear(self, event: object) -> None:
        state = self.state
        if isinstance(event, tasks.Mapped):
            state.taught, state.problem, state.estimate = event.taught, "", None
            if not state.similar:
                self._paint(event.pictures)
            self._strip.ask(event.taught, tasks.SUGGEST_AFTER)
        elif isinstance(event, tasks.NotYet):
            self._nothing_learned(event.words)
        elif isinstance(event, tasks.Measured):
            state.areas = event.areas
            self._judged.ask(event, tasks.ESTIMATE_AFTER)

    def _hear_judged(self, event: object) -> None:
        if isinstance(event, tasks.Measured):
            self.state.areas = event.areas
        elif isinstance(event, Estimate):
            self.state.estimate = event
        elif isinstance(event, tasks.Unlike):
            self.state.unlike = event.words

    def _nothing_learned(self, words: str) -> None:
        state = self.state
        state.taught, state.problem, state.areas = None, words, {}
        state.estimate, state.suggestions, state.unlike = None, (), {}
        # an answer may come after the user asked what looks alike: that map stays
        for shown in () if state.similar else state.slides:
            blank_map(self.viewer, shown)

    def _paint(self, pictures: Mapping[SlideId, NDArray[np.uint8]]) -> None:
        for shown in self.state.slides:
            if shown.id is not None and shown.id in pictures:
                show_taught_map(self.viewer, shown, pictures[shown.id], self.state.opacity)

    def _set_opacity(self, opacity: float) -> None:
        for shown in self.state.slides:
            if shown.map_layer is not None:
                shown.map_layer.opacity = opacity

    # what is worth labelling, and what looks alike

    def _hear_suggestions(self, event: object) -> None:
        if isinstance(event, tuple):
            self.state.suggestions = event

    def label_suggestion(self, suggested: SuggestedPatch, number: int) -> None:
        """Give a suggested patch the class with a number, from 1."""
        names = self.state.lesson.class_names
        if 1 <= number <= len(names):
            left = tuple(each for each in self.state.suggestions if each is not suggested)
            self.state.suggestions = left
            shown = self.slide_of(suggested.slide)
            prepared = shown.prepared if shown is not None else None
            patch = prepared.patch_at(suggested.x, suggested.y) if prepared is not None else None
            if patch is not None:
                self.mark(suggested.slide, [patch], names[number - 1])

    def find_similar(self, slide: SlideId, patch: int) -> None:
        """Colour all patches of all open slides by how like a place they are."""
        request = tasks.SimilarRequest(self.session.request(), slide, patch, self.state.grounds)
        self.state.similar = True
        self._likeness.ask(request)

    def _hear_alike(self, event: object) -> None:
        if isinstance(event, tasks.Alike):
            self._paint(event.pictures)

    def show_classes(self) -> None:
        """Show the classes again instead of what looks alike."""
        self._learn()

    # results

    def save_model(self, folder: Path, hear: Callable[["ModelEntry"], None]) -> None:
        """Save what was learned as a model, in place of one of that name.

        Parameters
        ----------
        hear
            Gets the model once it is there.
        """
        taught, encoder = self.state.taught, self.state.model_entry
        if taught is None or encoder is None:
            return

        def done(event: object) -> None:
            if isinstance(event, tasks.SavedModel):
                tell(f"Saved: choose “{event.entry.name}” in Analyze slide.")
                hear(event.entry)

        work = tasks.save_model(taught, encoder, folder, replace=True)
        self.jobs.start(work, done)

    def export(self, folder: Path) -> None:
        """Write areas, class outlines and examples of all open slides."""
        if self.state.taught is None:
            return

        def done(event: object) -> None:
            if isinstance(event, tasks.ExportedLesson):
                tell(f"{len(event.files)} files were saved in {folder}")

        self.jobs.start(tasks.export(self.state.taught, self.state.files, folder), done)

    def read_annotations(self, path: Path) -> None:
        """Take QuPath's annotations of the slide in sight as examples."""
        shown = self.state.current
        if shown is None or shown.slide is None or shown.prepared is None:
            return

        def done(event: object) -> None:
            if isinstance(event, AnnotatedLesson):
                self._try(lambda: self.session.add_examples(event.lesson))
                tell(f"{path.name}: {event.words}.")

        self.jobs.start(tasks.read_annotations(path, shown.slide, shown.prepared), done)

    def _try(self, change: Callable[[], None]) -> bool:
        try:
            change()
        except XmagError as error:
            tell_error(error)
            return False
        return True
