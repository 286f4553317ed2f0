"""The table of a result's patches, in memory and as ``tiles.csv``."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.errors import ResultError
from napari_xmag.files import whole_file
from napari_xmag.geometry import Box

_DTYPES = {
    "x": np.float64,
    "y": np.float64,
    "width": np.float64,
    "height": np.float64,
    "column": np.int64,
    "row": np.int64,
    "attention_logit": np.float32,
    "attention": np.float32,
}


@dataclass(frozen=True, slots=True, eq=False)
class PatchTable:
    """One row for each patch that the head weighed, in reading order.

    Attributes
    ----------
    x, y, width, height
        float64 (P,), box in level-0 pixels.
    column, row
        int64 (P,), place in the grid.
    attention_logit
        float32 (P,).
    attention
        float32 (P,), softmax of the logits; sums to 1.
    evidence
        float32 (P, C), attention times the patch's score for each class; sums to the class logits.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    attention_logit: NDArray[np.float32]
    attention: NDArray[np.float32]
    evidence: NDArray[np.float32]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1 or self.evidence.ndim != 2:
            raise ResultError(
                expected="a table of patches whose columns are equally long",
                found=str(lengths),
                hint="This is a fault of the program or of an altered file.",
            )
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.x)

    def box(self, index: int) -> Box:
        """Return the level-0 box of one patch."""
        return Box(
            float(self.x[index]),
            float(self.y[index]),
            float(self.width[index]),
            float(self.height[index]),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} patches>"

    def columns_by_name(self, classes: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Return one array (P,) for each column of ``tiles.csv``, in its order.

        Parameters
        ----------
        classes
            Names of the classes, in the order of the evidence.
        """
        plain = {name: getattr(self, name) for name in _DTYPES}
        return plain | dict(zip(_evidence_names(classes), self.evidence.T, strict=True))

    @classmethod
    def empty(cls, classes: int) -> "PatchTable":
        """Return a table without patches."""
        columns = {name: np.empty(0, dtype) for name, dtype in _DTYPES.items()}
        return cls(**columns, evidence=np.empty((0, classes), np.float32))


def write_patches(table: PatchTable, classes: Sequence[str], path: Path) -> None:
    """Write ``tiles.csv``: one row for each patch, numbers in full precision.

    The last column says `NOTICE` in each row, so that it stays with rows that are cut out.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    columns = table.columns_by_name(classes)
    # repr of a float64 is exact, also for a float32 value
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "notice"])
        writer.writerows([*row, NOTICE] for row in rows)


def read_tiles_csv(path: Path, classes: Sequence[str]) -> PatchTable:
    """Read what `write_patches` wrote.

    Raises
    ------
    ResultError
        When the file is missing or is not such a table.
    """
    wanted = [*_DTYPES, *_evidence_names(classes), "notice"]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        if header != wanted:
            raise ValueError(f"columns {', '.join(header)}")
        # strict: a cut row must not shift the others
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(wanted)
        return _finite(_table(columns, len(classes)))
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise ResultError(
            expected=f"a table of patches with {len(classes)} classes in {path.name}",
            found=str(error),
            hint="Load a folder that this program saved, unaltered, or analyze the slide again.",
            causes=(error,),
        ) from error


def _finite(table: PatchTable) -> PatchTable:
    numbers = (getattr(table, field.name) for field in fields(table))
    if not all(np.isfinite(column).all() for column in numbers):
        raise ValueError("values that are not finite numbers")
    if len(table) and min(table.width.min(), table.height.min()) <= 0:
        raise ValueError("patches without an area")
    return table


def _evidence_names(classes: Sequence[str]) -> list[str]:
    return [f"evidence_{name}" for name in classes]


def _table(columns: Sequence[Sequence[str]], classes: int) -> PatchTable:
    plain = {
        name: np.array([dtype(value) for value in column], dtype)
        for (name, dtype), column in zip(_DTYPES.items(), columns, strict=False)
    }
    evidence = np.array(
        [[float(value) for value in column] for column in columns[len(_DTYPES) : -1]], np.float32
    )
    return PatchTable(**plain, evidence=evidence.reshape(classes, -1).T.copy())
