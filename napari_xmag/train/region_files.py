"""The files of regions of a cohort: what they name, and that they stay as they were."""

from collections import defaultdict
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
        given, named = _of_training(rows), self._named(rows)
        words = f"on {len(given)} of {len(training)} training slides"
        if len(named) > 1:
            return f"{words}: {', '.join(named)}"
        only = f"all are {named[0]}" if named else "none has a label of the table"
        return f"{words}; {only}, so that nothing can be learned from them" if given else words

    def teach(self, rows: Sequence[CohortRow]) -> bool:
        """Return whether regions of the training slides name two classes."""
        return len(self._named(rows)) > 1

    def _named(self, rows: Sequence[CohortRow]) -> list[str]:
        return sorted({name for path in _of_training(rows) for name in self.classes[path]})

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

    def twins(self, rows: Sequence[CohortRow]) -> dict[Path | None, str]:
        """Say of each file that stands there twice, byte by byte, where its twin stands."""
        alike: dict[str, list[CohortRow]] = defaultdict(list)
        for row in rows:
            if row.regions is not None:
                alike[self.hashes[row.regions]].append(row)
        return {
            row.regions: f"the file is a copy of that of {_other(row, group).place}"
            for group in alike.values()
            if len(group) > 1
            for row in group
        }


def _other(row: CohortRow, rows: Sequence[CohortRow]) -> CohortRow:
    return next(other for other in rows if other is not row)


def _of_training(rows: Sequence[CohortRow]) -> list[Path]:
    return [row.regions for row in rows if row.split == TRAIN and row.regions is not None]
