"""Figures of each epoch, in a table and for TensorBoard."""

import csv
import math
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from napari_xmag.errors import ResultError
from napari_xmag.filenames import SCALARS, TENSORBOARD
from napari_xmag.files import whole_file

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

_EVENTS = "events.out.tfevents."
_Row = dict[str, str | int | float]


class ScalarLog:
    """Writes ``scalars.csv`` and TensorBoard's files in ``tensorboard/`` of a folder.

    Parameters
    ----------
    folder
        The run's folder.
    resume
        Whether what is there is kept.
    """

    def __init__(self, folder: Path, *, resume: bool = True) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None
        if not resume:
            (folder / SCALARS).unlink(missing_ok=True)
            shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
        self._rows = read_scalars(folder)

    def __enter__(self) -> "ScalarLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, epoch: int, scalars: Mapping[str, float], stage: str = "") -> None:
        """Add the figures of one epoch (from 1); what a broken run left of it or after goes.

        Raises
        ------
        ExportError
            When they cannot be written.
        """
        self._rows = [
            row for row in self._rows if row["stage"] != stage or int(row["epoch"]) < epoch
        ]
        self._rows.append({"stage": stage, "epoch": epoch, **scalars})
        names = dict.fromkeys(name for row in self._rows for name in row)
        with (
            whole_file(self._folder / SCALARS) as part,
            part.open("w", newline="", encoding="utf-8") as stream,
        ):
            table = csv.DictWriter(stream, list(names))
            table.writeheader()
            table.writerows(self._rows)
        self._tell_tensorboard(epoch, scalars, stage)

    def close(self) -> None:
        """Finish TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            _hide_host(self._folder / TENSORBOARD)

    def _tell_tensorboard(self, epoch: int, scalars: Mapping[str, float], stage: str) -> None:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(self._folder / TENSORBOARD))
            _hide_host(self._folder / TENSORBOARD)
        for name, value in scalars.items():
            if math.isfinite(value):
                self._writer.add_scalar(f"{stage}/{name}" if stage else name, value, epoch)
        self._writer.flush()


def _hide_host(folder: Path) -> None:
    """Take the name of this machine out of TensorBoard's files; where open files may be renamed.

    They are called ``events.out.tfevents.<seconds>.<host>``.
    """
    for number, file in enumerate(sorted(folder.glob(f"{_EVENTS}*.*"))):
        seconds = file.name.removeprefix(_EVENTS).partition(".")[0]
        target = file.with_name(f"{_EVENTS}{seconds}{f'-{number}' if number else ''}")
        with suppress(OSError):
            file.rename(target)


def read_scalars(folder: Path) -> list[_Row]:
    """Return the rows of ``scalars.csv``: stage, epoch (from 1) and that stage's figures.

    There is none where nothing was written yet.

    Raises
    ------
    ResultError
        When it is no such table.
    """
    path = folder / SCALARS
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [_scalars(row) for row in csv.DictReader(stream)]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ResultError(
            expected=f"figures of each epoch in {path}",
            found=f"{type(error).__name__}: {error}",
            hint="Choose a training folder whose files were not edited, or remove this one.",
            causes=(error,),
        ) from error


def _scalars(row: dict[str, str]) -> _Row:
    found: _Row = {"stage": row.pop("stage"), "epoch": int(row.pop("epoch"))}
    return found | {name: float(value) for name, value in row.items() if value}
