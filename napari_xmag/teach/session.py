"""Teaching as it happens: open slides, marks, undo and redo; saved after each change.

See the top of `napari_xmag.teach` for how a window uses it. All of it is quick and belongs into the
thread of the window; `napari_xmag.teach.classifier.fit` belongs into a worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_xmag.errors import ResultError
from napari_xmag.qupath.classes import distinct_color
from napari_xmag.teach.lesson import Example, Lesson, SlideId, TaughtClass
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.saved_lesson import load_lesson, save_change
from napari_xmag.teach.settings import TeachSettings


@dataclass(frozen=True, slots=True, eq=False)
class TeachRequest:
    """All that a fit needs, frozen, so that a worker may have it.

    Attributes
    ----------
    lesson
        Classes and examples, those on glass or on slides that are not open included.
    slides
        The open slides, and after them those that are closed but taught it.
    opened
        How many of them are open.
    settings
        How to fit.
    number
        Grows with each change: the answer to the largest number counts.
    """

    lesson: Lesson
    slides: tuple[PreparedSlide, ...]
    opened: int
    settings: TeachSettings = field(default_factory=TeachSettings)
    number: int = 0

    def slide(self, slide: SlideId) -> PreparedSlide:
        """Return an open slide.

        Raises
        ------
        ResultError
            When it is not open.
        """
        for prepared in self.slides:
            if prepared.id == slide:
                return prepared
        raise not_open(slide)


class TeachSession:
    """What is taught now.

    Attributes
    ----------
    lesson_changed
        Emitted with the new lesson after each change.
    slides_changed
        Emitted with the open slides when one is opened or closed.

    Parameters
    ----------
    path
        Where the lesson is saved after each change; what lies there is taken up. What other
        windows teach meanwhile is kept there for the next session. None saves nothing.
    settings
        How a classifier is fitted.

    Raises
    ------
    ResultError
        When the file that lies there is damaged.
    """

    lesson_changed = Signal(Lesson)
    slides_changed = Signal(tuple)

    def __init__(self, path: Path | None = None, settings: TeachSettings | None = None) -> None:
        self._path = path
        self._settings = settings or TeachSettings()
        self._lesson = load_lesson(path) if path is not None and path.exists() else Lesson()
        self._saved = self._lesson
        self._undone: list[Lesson] = []
        self._done: list[Lesson] = []
        self._slides: dict[SlideId, PreparedSlide] = {}
        self._known: dict[SlideId, PreparedSlide] = {}
        self._number = 0

    @property
    def lesson(self) -> Lesson:
        """Classes and examples as they are now."""
        return self._lesson

    @property
    def slides(self) -> tuple[PreparedSlide, ...]:
        """The open slides."""
        return tuple(self._slides.values())

    @property
    def missing(self) -> tuple[SlideId, ...]:
        """Slides that bear examples but whose features are not at hand."""
        return tuple(of for of in self._lesson.slides if of not in self._known)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back."""
        return bool(self._undone)

    def request(self) -> TeachRequest:
        """Return all that a fit needs."""
        closed = (self._known[of] for of in self._lesson.slides if of in self._known)
        taught_by = tuple(slide for slide in closed if slide.id not in self._slides)
        slides = (*self.slides, *taught_by)
        return TeachRequest(self._lesson, slides, len(self._slides), self._settings, self._number)

    def open_slide(self, prepared: PreparedSlide) -> None:
        """Take in a slide; another encoding of it takes the place of the first.

        Raises
        ------
        ResultError
            When it was encoded by another encoder than the slides that are open.
        """
        self._require_same_encoder(prepared)
        self._slides[prepared.id] = self._known[prepared.id] = prepared
        self._number += 1
        self.slides_changed.emit(self.slides)

    def close_slide(self, slide: SlideId) -> None:
        """Show a slide no more; its examples go on teaching."""
        if self._slides.pop(slide, None) is not None:
            self._number += 1
            self.slides_changed.emit(self.slides)

    def forget_slides(self) -> None:
        """Let go of all slides, for another encoder will encode them; the examples stay."""
        self._slides.clear()
        self._known.clear()
        self._number += 1
        self.slides_changed.emit(self.slides)

    def know_slide(self, prepared: PreparedSlide) -> None:
        """Let the examples of a slide count that is not open; see `kept_slides`.

        Raises
        ------
        ResultError
            When it was encoded by another encoder than the slides that are open.
        """
        self._require_same_encoder(prepared)
        self._known[prepared.id] = prepared
        self._number += 1

    def mark(self, slide: SlideId, patches: Sequence[int] | NDArray[np.int64], name: str) -> None:
        """Make patches examples of a class; those that showed another class change over.

        Parameters
        ----------
        patches
            Indices of patches of an open slide; see `PreparedSlide.patch_at`.

        Raises
        ------
        ConfigError
            When there is no such class.
        ResultError
            When the slide is not open.
        """
        self._lesson.require(name)
        prepared, chosen = self._open(slide), np.unique(np.asarray(patches, np.int64))
        added = [Example(slide, x, y, name) for x, y in prepared.centers[chosen].tolist()]
        removed = self._examples_in(prepared, chosen)
        same = {example.class_name for example in removed} == {name}
        if len(chosen) and not (same and len(removed) == len(added)):
            self._change(self._lesson.with_examples(added, removed))

    def erase(self, slide: SlideId, patches: Sequence[int] | NDArray[np.int64]) -> None:
        """Take back what patches show."""
        removed = self._examples_in(self._open(slide), np.asarray(patches, np.int64))
        if removed:
            self._change(self._lesson.with_examples((), removed))

    def class_of(self, slide: SlideId, patch: int) -> str | None:
        """Return which class a patch is an example of; None for none."""
        found = self._examples_in(self._open(slide), np.array([patch]))
        return found[-1].class_name if found else None

    def add_examples(self, lesson: Lesson) -> None:
        """Add the classes and examples of another lesson, of annotations for instance."""
        known = {name.casefold(): name for name in self._lesson.class_names}
        joined = self._lesson
        for kind in lesson.classes:
            name = known.get(kind.name.casefold())
            if name is None:
                joined = joined.with_class(kind)
            elif not joined.count(name):  # a class that was not used yet
                joined = joined.with_class_changed(name, replace(kind, name=name))
        examples = [
            replace(e, class_name=known.get(e.class_name.casefold(), e.class_name))
            for e in lesson.examples
        ]
        taken = {(e.slide, e.x, e.y) for e in examples}
        replaced = [e for e in joined.examples if (e.slide, e.x, e.y) in taken]
        self._change(joined.with_examples(examples, replaced))

    def clear_classes(self) -> None:
        """Begin with no class and no example, for annotations that bring their own."""
        self._change(Lesson((), ()))

    def add_class(self, name: str) -> None:
        """Add a class, in a colour that is told from the others'; see `Lesson.with_class`."""
        color = distinct_color(name, list(self._lesson.colors.values()))
        self._change(self._lesson.with_class(TaughtClass(name, color)))

    def remove_class(self, name: str) -> None:
        """Remove a class and its examples; see `Lesson.without_class`."""
        self._change(self._lesson.without_class(name))

    def change_class(self, name: str, kind: TaughtClass) -> None:
        """Rename or recolour a class; see `Lesson.with_class_changed`."""
        self._change(self._lesson.with_class_changed(name, kind))

    def start_over(self) -> None:
        """Take back all examples; the classes stay."""
        if self._lesson.examples:
            self._change(self._lesson.with_examples((), self._lesson.examples))

    def undo(self) -> None:
        """Take back the last change."""
        if self._done:
            self._undone.append(self._lesson)
            self._show(self._done.pop())

    def redo(self) -> None:
        """Do again what was taken back."""
        if self._undone:
            self._done.append(self._lesson)
            self._show(self._undone.pop())

    def _change(self, lesson: Lesson) -> None:
        self._done.append(self._lesson)
        self._undone.clear()
        self._show(lesson)

    def _show(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._number += 1
        # told first: a full disk must not keep the window from showing what was done
        self.lesson_changed.emit(lesson)
        if self._path is not None:
            save_change(self._saved, lesson, self._path)
            self._saved = lesson

    def _require_same_encoder(self, prepared: PreparedSlide) -> None:
        known = {**self._known, **self._slides}
        require_one_encoder([*(s for s in known.values() if s.id != prepared.id), prepared])

    def _open(self, slide: SlideId) -> PreparedSlide:
        if slide not in self._slides:
            raise not_open(slide)
        return self._slides[slide]

    def _examples_in(
        self, prepared: PreparedSlide, patches: NDArray[np.int64]
    ) -> tuple[Example, ...]:
        examples = self._lesson.on(prepared.id)
        lie_in = prepared.patches_of(examples)
        hit = np.isin(lie_in, patches)
        return tuple(example for example, is_hit in zip(examples, hit, strict=True) if is_hit)


def require_one_encoder(slides: Sequence[PreparedSlide]) -> None:
    """Refuse slides whose features cannot be compared.

    Raises
    ------
    ResultError
        When they come from different encoders.
    """
    encoders: dict[tuple[str, str, float, int], str] = {}
    for slide in slides:
        key = slide.features.key
        made_by = key.encoder, key.granularity, key.mpp, key.tile_px
        encoders.setdefault(made_by, f"{slide.name} by {slide.features.names[1]}")
    if len(encoders) > 1:
        raise ResultError(
            expected="slides that one encoder encoded",
            found="; ".join(encoders.values()),
            hint="Encode all slides with the same model.",
        )


def not_open(slide: SlideId) -> ResultError:
    """Say that a slide is not open."""
    return ResultError(
        expected="a slide that is open for teaching",
        found=f"slide {slide.fingerprint[:8]}, image {slide.image}, which is not",
        hint="Open and encode it first.",
    )
