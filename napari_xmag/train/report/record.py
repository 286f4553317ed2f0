"""What a training wrote to its folder, read for the window; also while it is unfinished."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.cohort.rows import SPLITS
from napari_xmag.errors import ResultError
from napari_xmag.filenames import METRICS, MODEL, PREDICTIONS
from napari_xmag.files import parse_json
from napari_xmag.learn.scalars import read_scalars
from napari_xmag.stats.metrics import confusion_matrix
from napari_xmag.train.report.predictions import SlidePrediction, read_predictions

Curve = tuple[tuple[int, float], ...]
"""A figure by epoch, from 1."""


@dataclass(frozen=True)
class RunRecord:
    """A training, as read from its folder.

    Attributes
    ----------
    folder
        Where it lies.
    classes
        Names; empty while it is unfinished, as are the predictions and metrics.
    predictions
        Of every slide, with its whole path.
    metrics
        As in metrics.json.
    curves
        Of each stage, every figure by epoch.
    """

    folder: Path
    classes: tuple[str, ...]
    predictions: tuple[SlidePrediction, ...]
    metrics: Mapping[str, Any]
    curves: Mapping[str, Mapping[str, Curve]]

    @property
    def model(self) -> Path | None:
        """Folder of the trained model, once it is there."""
        folder = self.folder / MODEL
        return folder if folder.is_dir() else None

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have slides: training, validation, test."""
        return tuple(
            name for name in SPLITS if any(item.split == name for item in self.predictions)
        )

    def confusion(self, split: str) -> NDArray[np.int64]:
        """Return counts (C, C): row is the true class, column the predicted one."""
        items = [item for item in self.predictions if item.split == split]
        truth = [self.classes.index(item.label) for item in items]
        calls = [self.classes.index(item.predicted) for item in items]
        return confusion_matrix(truth, calls, len(self.classes))

    def slides(self, split: str, label: str, predicted: str) -> tuple[SlidePrediction, ...]:
        """Return the slides of a cell of the confusion matrix."""
        return tuple(
            item
            for item in self.predictions
            if (item.split, item.label, item.predicted) == (split, label, predicted)
        )


def read_run(folder: Path) -> RunRecord:
    """Read a training's folder.

    Raises
    ------
    ResultError
        When something in it is not what a training writes.
    """
    classes: tuple[str, ...] = ()
    predictions: tuple[SlidePrediction, ...] = ()
    if (folder / PREDICTIONS).is_file():
        classes, predictions = read_predictions(folder / PREDICTIONS)
    return RunRecord(folder, classes, predictions, read_metrics(folder), read_curves(folder))


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return metrics.json of a training; nothing while there is none.

    Raises
    ------
    ResultError
        When it is no such file.
    """
    path = folder / METRICS
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError) as error:
        raise _altered(path, error) from error
    return content


def read_curves(folder: Path) -> dict[str, dict[str, Curve]]:
    """Return every figure of scalars.csv by epoch, stage by stage.

    Raises
    ------
    ResultError
        When it is no such file.
    """
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in read_scalars(folder):
        stage = found.setdefault(str(row["stage"]), {})
        for name, value in row.items():
            if name not in ("stage", "epoch"):
                stage.setdefault(name, []).append((int(row["epoch"]), float(value)))
    return {
        stage: {name: tuple(points) for name, points in curves.items()}
        for stage, curves in found.items()
    }


def _altered(path: Path, error: Exception) -> ResultError:
    return ResultError(
        expected=f"a training folder at {path.parent}",
        found=f"{path.name}: {error}",
        hint="Choose a training folder whose files were not edited.",
        causes=[error],
    )
