"""What a person has shown: classes and examples, as one immutable value."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from napari_xmag.errors import ConfigError
from napari_xmag.nets.patch_classifier import NOT_TAUGHT
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

    def on(self, slide: SlideId) -> tuple[Example, ...]:
        """Return the examples on a slide."""
        return tuple(example for example in self.examples if example.slide == slide)

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

        Of an example that both changed, and of a class's colour, the change stands. A class that
        was removed stays where others have given more examples of it.
        """
        gone = set(before.examples) - set(after.examples)
        new = [example for example in after.examples if example not in set(before.examples)]
        taken = {(example.slide, example.x, example.y) for example in new}
        kept = [
            example
            for example in self.examples
            if example not in gone and (example.slide, example.x, example.y) not in taken
        ]
        used = {example.class_name for example in (*kept, *new)}
        removed = set(before.class_names) - set(after.class_names) - used
        ours = {kind.name: kind for kind in after.classes}
        known = {kind.name: ours.get(kind.name, kind) for kind in self.classes}
        added = {name: kind for name, kind in ours.items() if name not in before.class_names}
        classes = {name: kind for name, kind in (known | added).items() if name not in removed}
        return Lesson(tuple(classes.values()), (*kept, *new))

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
