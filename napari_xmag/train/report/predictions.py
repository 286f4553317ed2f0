"""What a model predicts for each slide of a cohort, as a table that can be read again."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import ResultError
from napari_xmag.files import joined_path, relative_path, whole_file
from napari_xmag.nets.decision import EVEN, predict_class
from napari_xmag.nets.info import softmax
from napari_xmag.spreadsheets import as_text, meant

_PROBABILITY, _LOGIT = "probability_", "logit_"
_FACTS = ["slide", "patient", "split", "fold", "label", "predicted", "correct", "mpp"]


@dataclass(frozen=True, slots=True)
class SlidePrediction:
    """What a model predicts for a slide, beside what is known.

    Attributes
    ----------
    slide
        Its path.
    patient
        The patient; the slide itself where none is named.
    split
        ``train``, ``validation`` or ``test``.
    label, predicted
        The true class, and the predicted one.
    logits, probabilities
        One for each class; the probabilities are calibrated.
    mpp
        Pixel size given in the cohort in µm, or None.
    fold
        Which of several models it was, from 1; 0 where there is one.
    """

    slide: Path
    patient: str
    split: str
    label: str
    predicted: str
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    mpp: float | None = None
    fold: int = 0

    @property
    def correct(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.predicted == self.label


def predict(
    rows: Sequence[CohortRow],
    classes: Sequence[str],
    logits: ArrayLike,
    temperature: float,
    threshold: float = EVEN,
) -> list[SlidePrediction]:
    """Return the predictions that a model makes of its logits (N, C), row by row."""
    values = np.asarray(logits, np.float64)
    probabilities = softmax(values / temperature)
    return [
        SlidePrediction(
            slide=row.slide.absolute(),
            patient=row.named_patient or str(row.slide.absolute()),
            split=row.split,
            label=row.label,
            predicted=classes[call],
            logits=tuple(map(float, value)),
            probabilities=tuple(map(float, chance)),
            mpp=row.mpp,
        )
        for row, value, chance, call in zip(
            rows, values, probabilities, predict_class(probabilities, threshold), strict=True
        )
    ]


def probabilities_of(predictions: Sequence[SlidePrediction]) -> NDArray[np.float64]:
    """Return the calibrated probabilities, float (N, C)."""
    return np.array([item.probabilities for item in predictions], np.float64)


def logits_of(predictions: Sequence[SlidePrediction]) -> NDArray[np.float64]:
    """Return the logits, float (N, C)."""
    return np.array([item.logits for item in predictions], np.float64)


def write_predictions(
    path: Path, classes: Sequence[str], predictions: Sequence[SlidePrediction]
) -> None:
    """Write the table; slides by their path from it.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    chances = [f"{_PROBABILITY}{name}" for name in classes]
    logits = [f"{_LOGIT}{name}" for name in classes]
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*_FACTS, *chances, *logits])
        for item in predictions:
            patient = "" if item.patient == str(item.slide) else item.patient
            mpp = "" if item.mpp is None else item.mpp
            correct = "yes" if item.correct else "no"
            names = (relative_path(item.slide, path.parent), patient, item.split)
            calls = (item.label, item.predicted)
            facts = [*map(as_text, names), item.fold, *map(as_text, calls)]
            writer.writerow([*facts, correct, mpp, *item.probabilities, *item.logits])


def read_predictions(path: Path) -> tuple[tuple[str, ...], tuple[SlidePrediction, ...]]:
    """Return the classes and the predictions that `write_predictions` wrote.

    Raises
    ------
    ResultError
        When the table is missing or not of this kind.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            names = reader.fieldnames or ()
            classes = tuple(
                name.removeprefix(_PROBABILITY) for name in names if name.startswith(_PROBABILITY)
            )
            rows = (_prediction(cells, classes, path.parent) for cells in reader)
            return classes, tuple(rows)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise ResultError(
            expected=f"the predictions of a training in {path.parent}",
            found=f"{type(error).__name__}: {error}",
            hint=f"Choose a training folder whose {path.name} was not edited.",
            causes=[error],
        ) from error


def _prediction(cells: dict[str, str], classes: Sequence[str], folder: Path) -> SlidePrediction:
    slide = joined_path(folder, meant(cells["slide"]))
    return SlidePrediction(
        slide=slide,
        patient=meant(cells["patient"]) or str(slide),
        split=cells["split"],
        label=meant(cells["label"]),
        predicted=meant(cells["predicted"]),
        logits=tuple(float(cells[f"{_LOGIT}{name}"]) for name in classes),
        probabilities=tuple(float(cells[f"{_PROBABILITY}{name}"]) for name in classes),
        mpp=float(cells["mpp"]) if cells["mpp"] else None,
        fold=int(cells["fold"]),
    )
