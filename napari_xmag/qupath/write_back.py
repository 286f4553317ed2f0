"""Answers written back into a project, and nothing else of it changed."""

import copy
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ProjectError
from napari_xmag.files import json_text, parse_json, whole_file
from napari_xmag.qupath.metadata import (
    failure_description,
    failure_metadata,
    image_description,
    image_metadata,
    with_description,
    with_metadata,
)
from napari_xmag.qupath.project import Project, entry_key, is_image, plain_text

BACKUP_SUFFIX = ".backup"
"""QuPath keeps the version before the last one under the same name."""


@dataclass(frozen=True, slots=True)
class EntryNote:
    """What is written to one image; ``failed`` where that is that there is no answer."""

    metadata: Mapping[str, str]
    description: str
    failed: bool = False

    @classmethod
    def of(cls, result: SlideResult) -> "EntryNote":
        """Take the answer of a result."""
        return cls(image_metadata(result), image_description(result))

    @classmethod
    def of_failure(cls, error: Exception) -> "EntryNote":
        """Say that there is no answer, and why."""
        return cls(failure_metadata(str(error)), failure_description(), failed=True)


def write_back(project: Project, notes: Mapping[str, EntryNote]) -> Path | None:
    """Write notes to images of a project: their ``metadata`` and ``description``.

    QuPath has a project in memory while it is open and overwrites the file when it saves: close the
    project there first.

    Parameters
    ----------
    project
        As it was read before the analysis.
    notes
        By key of the entry.

    Returns
    -------
    Path of the backup: the project as it was before any note of ours. None where the project says
    all of it already, and nothing was written.

    Raises
    ------
    ProjectError
        When the file is another than the one that was read; it stays as it is.
    ExportError
        When it cannot be written.
    """
    raw = _unchanged(project)
    before, content = _content(raw), _content(raw)
    for item in _images(content):
        key = entry_key(item)
        if key and (note := notes.get(key)) is not None:
            _note(item, note)
    if content == before:
        return None
    # of a linked project, beside the file itself
    real = project.path.resolve()
    backup = real.with_name(real.name + BACKUP_SUFFIX)
    if not _keeps(backup, before):
        with whole_file(backup) as part:
            part.write_bytes(raw)
            # what others must not read, they must not read there either
            shutil.copymode(project.path, part)
    _replace(project, content)
    return backup


def _content(raw: bytes) -> Any:
    return parse_json(raw.decode("utf-8-sig"), finite=False)


def _images(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return filter(is_image, content["images"])


def _keeps(backup: Path, content: Mapping[str, Any]) -> bool:
    """Return whether a backup is the project but for our notes: then it is the better one."""
    try:
        kept = _content(backup.read_bytes())
        return bool(_without_notes(kept) == _without_notes(content))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _without_notes(content: Mapping[str, Any]) -> Mapping[str, Any]:
    bare = copy.deepcopy(content)
    for item in _images(bare):
        _note(item, EntryNote({}, ""))
    return bare


def _note(item: dict[str, Any], note: EntryNote) -> None:
    before = plain_text(item.get("description"))
    item["metadata"] = with_metadata(item.get("metadata") or {}, note.metadata, before)
    item["description"] = with_description(before, note.description)


def _replace(project: Project, content: Mapping[str, Any]) -> None:
    text = json_text(content)
    with whole_file(project.path) as part:
        part.write_text(text, encoding="utf-8")
        # once more, at the last moment: QuPath may have saved while the backup was written
        _unchanged(project)


def _unchanged(project: Project) -> bytes:
    try:
        raw = project.path.read_bytes()
    except OSError as error:
        raise _refusal(project, error.strerror or str(error), error) from error
    if hashlib.sha256(raw).hexdigest() != project.digest:
        raise _refusal(project, "a project that another program has saved since then")
    return raw


def _refusal(project: Project, found: str, *causes: BaseException) -> ProjectError:
    return ProjectError(
        expected=f"{project.path} as it was when the analysis began",
        found=found,
        hint="Nothing was written back; the results are kept. Close the project in QuPath and "
        "analyze again with --write-back.",
        causes=causes,
    )
