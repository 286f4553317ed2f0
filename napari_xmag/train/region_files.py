"""The files of regions of a cohort: what they name, and that they stay as they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.cohort.problems import Problem, TableError
from napari_xmag.cohort.rows import TRAIN, CohortRow
from napari_xmag.nets.folders.folder import file_sha256


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file; nothing where it cannot be read, which its reader tells."""
    try:
        return file_sha256(path)
    except OSError:
        return ""


@dataclass(frozen=True, eq=False)
class RegionFiles:
    """The files of regions of a cohort, as they were read before anything else.

    Attributes
    ----------
    classes
        By file, those of the cohort that it names.
    hashes
        By file, the SHA-256 of its bytes.
    """

    classes: Mapping[Path, frozenset[str]]
    hashes: Mapping[Path, str]

    def plan_words(self, rows: Sequence[CohortRow]) -> str:
        """Say of which training slides there are regions, and of which classes; nothing for none.

        Parameters
        ----------
        rows
            All slides, each with its split.
        """
        if not self.classes:
            return ""
        training = [row for row in rows if row.split == TRAIN]
        given = [row.regions for row in training if row.regions is not None]
        named = sorted({name for path in given for name in self.classes[path]})
        words = f"on {len(given)} of {len(training)} training slides"
        if len(named) > 1:
            return f"{words}: {', '.join(named)}"
        only = f"all are {named[0]}" if named else "none has a label of the table"
        return f"{words}; {only}, so that nothing can be learned from them" if given else words

    def teach(self, rows: Sequence[CohortRow]) -> bool:
        """Return whether regions of the training slides name two classes."""
        given = [row.regions for row in rows if row.split == TRAIN and row.regions is not None]
        return len({name for path in given for name in self.classes[path]}) > 1

    def require_unchanged(self, row: CohortRow) -> None:
        """See that the regions of a slide are those that were read at first.

        Raises
        ------
        TableError
            When they are not: the labels of a run would be of two kinds.
        """
        if row.regions is None:
            return
        if content_hash(row.regions) != self.hashes[row.regions]:
            words = f"the regions file {row.regions.name} has changed since the training began"
            hint = "Restore it and resume, or train again into another folder"
            problem = Problem.of(row, words, hint)
            raise TableError.of([problem], "regions that stay as they were", hint="")

    def twin_words(self, row: CohortRow, rows: Sequence[CohortRow]) -> str:
        """Say which other slide has a file of the same bytes as its regions; nothing for none."""
        if row.regions is None:
            return ""
        own = self.hashes[row.regions]
        others = [
            other.place
            for other in rows
            if other.regions not in (None, row.regions) and self.hashes[other.regions] == own
        ]
        return f"the file is a copy of that of {others[0]}" if others else ""
