"""Projects of QuPath: which slides, with which labels; and notes written back."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from napari_xmag.errors import EmptyProjectError, ProjectError
from napari_xmag.files import json_text, lying_path, parse_json
from napari_xmag.qupath.server import (
    BUILDER_ERRORS,
    QuPathImage,
    builder_words,
    read_server,
    uri_parts,
    uri_path,
)

PROJECT_SUFFIX = ".qpproj"
_UNKNOWN = "described in a way that this program does not know"


@dataclass(frozen=True, slots=True)
class ProjectEntry:
    """One image of a project.

    Attributes
    ----------
    key
        Its number in the project, as text; empty where the project states none.
    name
        As shown in the project.
    image
        The picture.
    metadata
        Keys and values that the user gave it.
    description
        Free text.
    """

    key: str
    name: str
    image: QuPathImage
    metadata: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it was read.

    Attributes
    ----------
    path
        Its file.
    entries
        Its images, in its order.
    digest
        SHA-256 of the file when it was read: written back only when it is still the same.
    created
        When QuPath made it, as it writes that; empty where it does not.
    left
        Where it lay when QuPath saved it last, as it says itself, and nothing lies any more: it was
        moved since. None where it was not, or is a copy of what still lies there.
    """

    path: Path
    entries: tuple[ProjectEntry, ...]
    digest: str
    created: str = ""
    left: Path | None = None

    def mark(self, key: str) -> str:
        """Return what tells an image from all of other projects, copies of this one included.

        Parameters
        ----------
        key
            Its number in the project, as text.
        """
        return mark_of(_place(self.path), self.created, key)

    def earlier_mark(self, key: str) -> str:
        """Return the same where the project lay before it was moved; empty where it was not."""
        return "" if self.left is None else mark_of(_place(self.left), self.created, key)


def mark_of(*parts: object) -> str:
    """Return a short name that other parts do not have."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()[:16]


def named_project(stated: Mapping[str, Any]) -> Project:
    """Return the project that the script in QuPath names beside an image; no image is read.

    Raises
    ------
    BUILDER_ERRORS
        When it is not named as the script does.
    """
    path = Path(str(stated["path"])).absolute()
    left = _left(str(stated.get("previous") or ""), path)
    return Project(path, (), "", str(stated.get("created") or ""), left)


def _place(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def read_project(path: str | os.PathLike[str]) -> Project:
    """Read a ``project.qpproj`` of QuPath 0.2 or later.

    Slides that are not where the project says are looked for relative to it: a project that was
    moved together with its slides finds them by the place where it last lay.

    Raises
    ------
    ProjectError
        When it cannot be read, or two of its images have one ID.
    EmptyProjectError
        When there is no image in it.
    """
    path = Path(path).absolute()
    try:
        raw = path.read_bytes()
        content = parse_json(raw.decode("utf-8-sig"), finite=False)
        entries = tuple(
            _entry(number, item, content, path) for number, item in enumerate(content["images"], 1)
        )
        if entries and not any(entry.key for entry in entries):
            raise ValueError("none of its images has an entryID")
        created = str(content.get("createTimestamp") or "")
        left = _left(str(content.get("uri") or ""), path)
    except (OSError, *BUILDER_ERRORS) as error:
        raise ProjectError(
            expected=f"a project of QuPath in {path.name}",
            found=f"a file that cannot be read as such: {builder_words(error)}",
            hint="Choose the project.qpproj that QuPath 0.2 or later saved.",
            causes=(error,),
        ) from error
    if not entries:
        raise EmptyProjectError(
            expected=f"images in the project {path.name}",
            found="none",
            hint="Add them in QuPath: File > Project... > Add images.",
        )
    _require_own_keys(path, entries)
    return Project(path, entries, hashlib.sha256(raw).hexdigest(), created, left)


def _require_own_keys(path: Path, entries: Iterable[ProjectEntry]) -> None:
    counts = Counter(entry.key for entry in entries if entry.key)
    if shared := [key for key, count in counts.items() if count > 1]:
        raise ProjectError(
            expected=f"images with an ID of their own in {path}",
            found=f"the ID {', '.join(shared)} on more than one",
            hint="In QuPath, remove one of these images from the project and add it anew.",
        )


def _entry(number: int, item: Any, content: Mapping[str, Any], project: Path) -> ProjectEntry:
    if not is_image(item):
        name = f"image {number}"
        return ProjectEntry("", name, QuPathImage(Path(name), problem=_UNKNOWN))
    previous = str(content.get("uri") or "")
    key, name = entry_key(item), plain_text(item.get("imageName"))
    unknown = Path(name or f"image {key or number}")
    image = _image(item.get("serverBuilder"), lambda uri: _located(uri, previous, project), unknown)
    if not key and not image.problem:
        image = replace(image, problem="saved without an ID in the project")
    metadata = {key: plain_text(value) for key, value in (item.get("metadata") or {}).items()}
    return ProjectEntry(
        key=key,
        name=name or image.path.name,
        image=image,
        metadata=metadata,
        description=plain_text(item.get("description")),
    )


def is_image(item: Any) -> bool:
    """Return whether an item of a project is an image that can be noted on."""
    return isinstance(item, Mapping) and isinstance(item.get("metadata") or {}, Mapping)


def entry_key(item: Mapping[str, Any]) -> str:
    """Return the ID of an image, as text; empty where it has none."""
    stated = item.get("entryID")
    is_id = isinstance(stated, (int, str)) and not isinstance(stated, bool)
    return str(stated) if is_id else ""


def plain_text(value: Any) -> str:
    """Return what stands in a place for text; what is no text as JSON, as the file has it."""
    if value is None or isinstance(value, str):
        return value or ""
    return json_text(value, compact=True)


def _left(uri: str, now: Path) -> Path | None:
    """Return where a project lay when it was saved, if it lies there no more."""
    try:
        before = uri_path(uri) if uri else now
        return None if _place(before) == _place(now) or os.path.lexists(before) else before
    except ValueError:  # it is no place at all
        return None


def _image(builder: Any, resolve: Callable[[str], Path], unknown: Path) -> QuPathImage:
    """Read one picture; one that cannot be told must not hide the others."""
    try:
        return read_server(builder, resolve)
    except BUILDER_ERRORS:
        return QuPathImage(unknown, problem=_UNKNOWN)


def _located(uri: str, previous: str, project: Path) -> Path:
    """Return where the file of a URI lies now; where it lay when it is nowhere."""
    path = lying_path(uri_path(uri))
    if os.path.exists(path) or not previous:
        return path
    beside = _relative(uri_parts(uri), uri_parts(previous).parent)
    moved = lying_path(Path(os.path.normpath(project.parent / beside)))
    return moved if os.path.exists(moved) else path


def _relative(file: PurePosixPath, folder: PurePosixPath) -> Path:
    """Return the way from a folder to a file, of whatever system the two are."""
    shared = 0
    while file.parts[: shared + 1] == folder.parts[: shared + 1] and shared < len(folder.parts):
        shared += 1
    up = [os.pardir] * (len(folder.parts) - shared)
    return Path(*up, *file.parts[shared:])
