"""A lesson in a file: written whole after each change, so that closing at any moment loses none."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from napari_xmag._about import NOTICE
from napari_xmag.errors import ExportError, ResultError, shortened
from napari_xmag.files import parse_json, write_json
from napari_xmag.folders import data_folder
from napari_xmag.locks import alone
from napari_xmag.teach.lesson import Example, Lesson, SlideId, TaughtClass

FORMAT, VERSION = "napari-xmag lesson", 1


def user_lesson() -> Path:
    """Return where the window keeps what is taught."""
    return data_folder() / "teach" / "lesson.json"


def save_lesson(lesson: Lesson, path: Path) -> None:
    """Write a lesson.

    Raises
    ------
    ExportError
        When the file cannot be written, or could not be read again; what was there stays.
    """
    content = {
        "format": FORMAT,
        "format_version": VERSION,
        "notice": NOTICE,
        "classes": [{"name": kind.name, "color": list(kind.color)} for kind in lesson.classes],
        "slides": [
            {
                "fingerprint": slide.fingerprint,
                "image": slide.image,
                "examples": [
                    {"class": example.class_name, "x": example.x, "y": example.y}
                    for example in examples
                ],
            }
            for slide, examples in lesson.by_slide.items()
        ],
    }
    try:
        _lesson(content)
    except (ValueError, TypeError) as error:
        raise ExportError(
            expected=f"a lesson that can be read again from {path}",
            found=shortened(str(error)),
            hint="Take back the last change.",
            causes=[error],
        ) from error
    write_json(path, content)


def save_change(before: Lesson, after: Lesson, path: Path) -> None:
    """Write what changed from one lesson to another into a file, beside what others wrote there.

    Raises
    ------
    ExportError
        When the file cannot be written; what was there stays.
    ResultError
        When the file was damaged meanwhile.
    """
    with alone(path):
        there = load_lesson(path) if path.exists() else before
        same = there.classes == before.classes and there.examples == _as_saved(before)
        save_lesson(after if same else there.with_changes(before, after), path)


def _as_saved(lesson: Lesson) -> tuple[Example, ...]:
    """Return the examples in the order of the file, which keeps those of a slide together."""
    return tuple(chain.from_iterable(lesson.by_slide.values()))


def load_lesson(path: Path) -> Lesson:
    """Read what `save_lesson` wrote.

    Raises
    ------
    ResultError
        When the file is damaged or not from this program.
    """
    try:
        return _lesson(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            expected=f"saved examples in {path}",
            found=shortened(f"{type(error).__name__}: {error}"),
            hint="Choose a file that this program wrote, unaltered.",
            causes=[error],
        ) from error


def _lesson(content: Any) -> Lesson:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("not a file of this program")
    if content["format_version"] > VERSION:
        raise ValueError(f"format version {content['format_version']}, newer than this program")
    classes = tuple(_class(kind) for kind in content["classes"])
    names = {kind.name for kind in classes}
    examples = tuple(example for slide in content["slides"] for example in _examples(slide))
    unknown = {example.class_name for example in examples} - names
    if unknown or len(names) != len(classes):
        raise ValueError(f"classes {sorted(names)} with examples of {sorted(unknown)}")
    return Lesson(classes, examples)


def _class(kind: Mapping[str, Any]) -> TaughtClass:
    red, green, blue = (int(value) for value in kind["color"])
    if not (
        isinstance(kind["name"], str) and 0 <= min(red, green, blue) <= max(red, green, blue) < 256
    ):
        raise ValueError("a class without a name or with a colour that is none")
    return TaughtClass(kind["name"], (red, green, blue))


def _examples(slide: Mapping[str, Any]) -> list[Example]:
    of = SlideId(str(slide["fingerprint"]), int(slide["image"]))
    return [
        Example(of, float(item["x"]), float(item["y"]), str(item["class"]))
        for item in slide["examples"]
    ]
