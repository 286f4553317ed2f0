"""What a student in training knows of slides that it does not learn from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_xmag.distill.loader import FieldLoader
from napari_xmag.distill.task import DistillTask
from napari_xmag.learn.distributed import gather
from napari_xmag.stats.agreement import agreement, cells_as_rows

MONITOR = "validation_agreement"
"""The figure by which the best epoch is told."""

_LOSSES = ("loss", "global", "local")


@dataclass(frozen=True)
class Seen:
    """What student and teachers say of N unchanged fields.

    Attributes
    ----------
    losses
        Float (N, 3): loss, global and local part, those of its batch for each field.
    embeddings, cells
        The student's, float32 (N, D) and (N, cells², D').
    grid
        The teachers', float32 (N, cells², D), before anything was taken off.
    """

    losses: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    cells: NDArray[np.float32]
    grid: NDArray[np.float32]


class Validation:
    """Looks at held-out fields after each epoch; all processes share the work.

    Parameters
    ----------
    testing
        Loader of the held-out fields.
    reference
        Loader of training fields on which the agreement's linear map is fitted.
    precision
        Context manager factory of mixed precision.
    """

    def __init__(
        self, testing: FieldLoader, reference: FieldLoader, precision: Callable[[], Any]
    ) -> None:
        self._testing, self._reference, self._precision = testing, reference, precision

    def __call__(self, task: nn.Module) -> dict[str, float]:
        """Return the mean losses on the held-out fields, and the agreement with the teachers.

        Agreement (see `napari_xmag.stats.agreement`) is that of embeddings with the mean tile,
        that of cells with their own tiles, and the mean of both. Only the first process returns
        them.
        """
        student_task = cast(DistillTask, task)
        tested = self._seen(student_task, self._testing)
        fitted = self._seen(student_task, self._reference) if len(self._reference.rows) else None
        if not self._testing.processes.first:
            return {}
        means = tested.losses.mean(0, dtype=np.float64)
        figures = {f"validation_{n}": float(v) for n, v in zip(_LOSSES, means, strict=True)}
        return figures | (_agreements(fitted, tested) if fitted else {})

    def _seen(self, task: DistillTask, loader: FieldLoader) -> Seen:
        with torch.inference_mode(), self._precision():
            parts = list(self._parts(task, loader))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else []
        everyone = [part for part in gather(columns, loader.processes) if part]
        return Seen(*(np.concatenate(column) for column in zip(*everyone, strict=True)))

    def _parts(
        self, task: DistillTask, loader: FieldLoader
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        for rows, batch in loader.plain():
            output = task(batch)
            losses = [float(output[name]) for name in _LOSSES]
            grid = batch.grid.float().flatten(1, 2).cpu().numpy()
            yield (
                np.tile(np.array(losses, np.float32), (len(rows), 1)),
                output["output"].float().cpu().numpy(),
                output["cells"].float().flatten(2).transpose(1, 2).cpu().numpy(),
                grid + loader.centers(rows.tolist())[:, None],
            )


def _agreements(fitted: Seen, tested: Seen) -> dict[str, float]:
    whole = agreement(
        (fitted.embeddings, fitted.grid.mean(1)), (tested.embeddings, tested.grid.mean(1))
    )
    local = agreement(
        (cells_as_rows(fitted.cells), cells_as_rows(fitted.grid)),
        (cells_as_rows(tested.cells), cells_as_rows(tested.grid)),
    )
    return {
        MONITOR: (whole + local) / 2,
        f"{MONITOR}_global": whole,
        f"{MONITOR}_local": local,
    }
