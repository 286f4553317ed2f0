"""``--write-back``: answers go into the QuPath projects that their slides came from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import ConfigError, ProjectError, XmagError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.batch.targets import Target
    from napari_xmag.cli.analyze_report import AnalyzeReport
    from napari_xmag.qupath.project import Project
    from napari_xmag.qupath.write_back import EntryNote


@dataclass
class WriteBack:
    """Gathers answers, and writes them into their projects at the end.

    Parameters
    ----------
    wanted
        Whether ``--write-back`` was given.
    """

    wanted: bool
    notes: "dict[Path, tuple[Project, dict[str, EntryNote]]]" = field(default_factory=dict)

    def require_project(self, targets: "Iterable[Target]") -> None:
        """Raise ConfigError when there is nothing to write to."""
        if self.wanted and all(target.project is None for target in targets):
            raise ConfigError(
                expected="a project.qpproj with --write-back",
                found="slides alone",
                hint="Name the project, or leave out --write-back.",
            )

    def add(self, target: "Target", result: "SlideResult") -> None:
        """Take in an answer."""
        if self.wanted and target.project is not None and target.key:
            from napari_xmag.qupath.write_back import EntryNote

            _, notes = self.notes.setdefault(target.project.path, (target.project, {}))
            notes[target.key] = EntryNote.of(result)

    def add_failure(self, target: "Target", error: Exception) -> None:
        """Take in that there is no answer: that of an earlier run must not stay."""
        if self.wanted and target.project is not None and target.key:
            from napari_xmag.qupath.write_back import EntryNote

            _, notes = self.notes.setdefault(target.project.path, (target.project, {}))
            notes[target.key] = EntryNote.of_failure(error)

    def write(self, report: "AnalyzeReport") -> None:
        """Write to each project, and say so.

        Raises
        ------
        ProjectError
            When some were saved by another program meanwhile; they stay as they are, and the others
            are written.
        ExportError
            When one cannot be written.
        """
        from napari_xmag.qupath.write_back import write_back

        errors: list[XmagError] = []
        for project, notes in self.notes.values():
            try:
                backup = write_back(project, notes)
            except XmagError as error:
                errors.append(error)
            else:
                failed = sum(note.failed for note in notes.values())
                report.written_back(project.path, len(notes), backup, failed)
        if len(errors) > 1:
            raise _several(errors)
        if errors:
            raise errors[0]


def _several(errors: "Sequence[XmagError]") -> ProjectError:
    return ProjectError(
        expected="to write back into each project",
        found=f"{len(errors)} into which nothing was written. " + " ".join(map(str, errors)),
        hint="The results are kept.",
        causes=errors,
    )
