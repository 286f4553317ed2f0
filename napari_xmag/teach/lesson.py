"""What a person has shown: classes and examples, as one immutable value."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError
from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.qupath.classes import RGB, class_color


@dataclass(frozen=True, slots=True)
class TaughtClass:
    """A class that is taught.

    Attributes
    ----------
    name
        As QuPath shows it.
    color
        Red, green, blue, 0 to 255.
    """

    name: str
    color: RGB

    @classmethod
    def named(cls, name: str) -> "TaughtClass":
        """Return a class with QuPath's colour."""
        return cls(name, class_color(name))


@dataclass(frozen=True, slots=True)
class SlideId:
    """Which picture of which slide, whatever its file is called.

    Attributes
    ----------
    fingerprint
        Of the file's content.
    image
        Number of the picture in it, from 1.
    """

    fingerprint: str
    image: int = 1


@dataclass(frozen=True, slots=True)
class Example:
    """A place that shows a class.

    Attributes
    ----------
    slide
        On which slide.
    x, y
        Where, in level-0 pixels.
    class_name
        What it shows.
    """

    slide: SlideId
    x: float
    y: float
    class_name: str


DEFAULT_CLASSES = (TaughtClass.named("Tumor"), TaughtClass.named("Other"))


@dataclass(frozen=True, slots=True)
class Lesson:
    """All classes and examples; every change gives another lesson.

    Attributes
    ----------
    classes
        In the order of their keys 1, 2, 3…
    examples
        In the order in which they were given.
    """

    classes: tuple[TaughtClass, ...] = DEFAULT_CLASSES
    examples: tuple[Example, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(kind.name for kind in self.classes)

    @property
    def colors(self) -> dict[str, RGB]:
        """Colour of each class."""
        return {kind.name: kind.color for kind in self.classes}

    @property
    def slides(self) -> tuple[SlideId, ...]:
        """Slides that bear examples."""
        return tuple(dict.fromkeys(example.slide for example in self.examples))

    def count(self, class_name: str) -> int:
        """Return how many examples a class has."""
        return sum(example.class_name == class_name for example in self.examples)

    @property
    def by_slide(self) -> dict[SlideId, list[Example]]:
        """Examples of each slide, in the order in which they were given."""
        found: dict[SlideId, list[Example]] = {}
        for example in self.examples:
            found.setdefault(example.slide, []).append(example)
        return found

    def on(self, slide: SlideId) -> tuple[Example, ...]:
        """Return the examples on a slide."""
        return tuple(example for example in self.examples if example.slide == slide)

    def places_on(self, slide: SlideId) -> NDArray[np.float64]:
        """Return where the examples on a slide lie, float (N, 2): x and y in level-0 pixels."""
        places = [(example.x, example.y) for example in self.on(slide)]
        return np.array(places, float).reshape(-1, 2)

    def with_examples(self, added: Iterable[Example], removed: Iterable[Example] = ()) -> "Lesson":
        """Return the lesson with some examples more and some less."""
        gone = set(removed)
        kept = tuple(example for example in self.examples if example not in gone)
        return replace(self, examples=(*kept, *added))

    def with_class(self, kind: TaughtClass) -> "Lesson":
        """Return the lesson with one class more.

        Raises
        ------
        ConfigError
            When its name is empty or taken.
        """
        self._check(kind.name, self.class_names)
        return replace(self, classes=(*self.classes, kind))

    def without_class(self, name: str) -> "Lesson":
        """Return the lesson without a class and its examples."""
        self.require(name)
        classes = tuple(kind for kind in self.classes if kind.name != name)
        kept = tuple(example for example in self.examples if example.class_name != name)
        return Lesson(classes, kept)

    def with_class_changed(self, name: str, kind: TaughtClass) -> "Lesson":
        """Return the lesson with another name or colour of a class; its examples follow.

        Raises
        ------
        ConfigError
            When there is no such class, or the new name is empty or taken.
        """
        self.require(name)
        self._check(kind.name, [other for other in self.class_names if other != name])
        classes = tuple(kind if old.name == name else old for old in self.classes)
        examples = tuple(
            replace(example, class_name=kind.name) if example.class_name == name else example
            for example in self.examples
        )
        return Lesson(classes, examples)

    def with_changes(self, before: "Lesson", after: "Lesson") -> "Lesson":
        """Return the lesson with what changed from one of an earlier day to another.

        Of an example or a colour that both changed, the change stands. A class that one of both
        removed stays where the other has given more examples of it. The classes of ``after`` keep
        their order; those of others follow.
        """
        had = set(before.examples)
        gone = had - set(after.examples)
        new = [example for example in after.examples if example not in had]
        taken = {(example.slide, example.x, example.y) for example in new}
        kept = [
            example
            for example in self.examples
            if example not in gone and (example.slide, example.x, example.y) not in taken
        ]
        examples = (*kept, *new)
        used = {example.class_name for example in examples}
        return Lesson(self._classes_with_changes(before, after, used), examples)

    def _classes_with_changes(
        self, before: "Lesson", after: "Lesson", used: Set[str]
    ) -> tuple[TaughtClass, ...]:
        there, had, ours = (
            {kind.name: kind for kind in lesson.classes} for lesson in (self, before, after)
        )
        found = []
        for name in {**ours, **there}:
            # of what was known before, either side may have removed it
            if name in used or name not in had or (name in ours and name in there):
                changed = name in ours and ours[name] != had.get(name)
                found.append(ours[name] if changed or name not in there else there[name])
        return tuple(found)

    def require(self, name: str) -> None:
        """Refuse the name of a class that there is not.

        Raises
        ------
        ConfigError
            When there is no such class.
        """
        if name not in self.class_names:
            raise ConfigError(
                expected=f"one of the classes {', '.join(self.class_names)}",
                found=repr(name),
                hint="Choose a class, or add this one first.",
            )

    @staticmethod
    def _check(name: str, taken: Iterable[str]) -> None:
        known = {other.casefold() for other in (*taken, NOT_TAUGHT)}
        if not name.strip() or name != name.strip() or name.casefold() in known:
            raise ConfigError(
                expected="a name for the class that is not taken yet",
                found=repr(name),
                hint="Choose another name.",
            )
