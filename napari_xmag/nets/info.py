"""What is known of a model without loading its networks; needs no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.errors import ModelError
from napari_xmag.nets.decision import EVEN
from napari_xmag.printable import printable

Granularity = Literal["tiles", "cells"]
"""What the head weighs: whole tiles, or the cells of each tile's token grid."""

Embedding = Literal["cls", "avg", "avg+std"]
"""How the one vector of a tile is read out of the network; see `StudentSpec`."""

EMBEDDINGS: tuple[Embedding, ...] = get_args(Embedding)

LEAST_LAYERS: dict[Embedding, int] = {"cls": 1, "avg": 1, "avg+std": 2}
"""How many layers must be read: deviations are those of layers before the last."""

HeadKind = Literal["attention", "patch_classifier"]
"""What answers for a slide: attention over its patches, or a class for each patch."""

Precision = Literal["auto", "float32"]
"""How a network answers: in half precision where the device gains by it, or never."""

LearningPrecision = Literal[Precision, "bfloat16", "float16"]
"""How a network learns."""

DEVICE_NAMES = {
    "auto": "Automatic",
    "cuda": "Graphics card (CUDA)",
    "mps": "Apple graphics (MPS)",
    "cpu": "Processor (CPU)",
}
"""Devices as people call them."""

PRECISION_NAMES = {"auto": "Automatic", "float32": "Full (float32)"}
"""Precisions as people call them."""

LEAST_MPP, MOST_MPP = 0.01, 100.0
MOST_TILE_PX = 4096
MOST_CLASSES = 1000
LONGEST_NAME = 100
"""Letters of a class or a model's name for people."""

_PRIOR_SLIDES = 10.0
_FALSE_ALARMS = 0.02
_MIN_SLIDES = 3


@dataclass(frozen=True, eq=False)
class TrainingRange:
    """How far a slide's mean feature may lie from those of the training slides.

    The distance of a slide with P patches is the root mean square, over the dimensions, of
    ``(slide mean - mean) / sqrt(between² + within² / P)``: about 1 for a slide like the training
    slides, whether it has twenty patches or twenty thousand.

    Parameters
    ----------
    mean, between, within
        Float32 (D,): mean over slides of the slides' mean features, standard deviation between
        slides, and between the patches of one slide.
    limit
        Largest distance that counts as in range.
    slides
        Number of training slides it was fitted on.
    """

    mean: NDArray[np.float32]
    between: NDArray[np.float32]
    within: NDArray[np.float32]
    limit: float
    slides: int

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.slides} slides, limit {self.limit:.3g}>"

    @classmethod
    def fit(cls, features: Sequence[ArrayLike]) -> "TrainingRange":
        """Fit the range on the patch features (P, D) of each training slide.

        Every slide is measured against a range fitted without it, and the limit is set so that at
        most 2 % of slides like these would be flagged by chance (a conformal quantile of the
        leave-one-out distances; Barber et al. 2021, arXiv 1905.02928). With fewer than 49 slides
        that quantile does not exist: the limit is the largest distance, and chance flags about one
        slide in (number of slides + 1).

        Raises
        ------
        ModelError
            When there are fewer than three slides.
        """
        if len(features) < _MIN_SLIDES:
            raise ModelError(
                expected=f"at least {_MIN_SLIDES} training slides to learn the range of the model",
                found=str(len(features)),
                hint="Train with more slides, or save the model without a training range.",
            )
        # One slide at a time: the features of all of them may not fit into memory.
        means, spreads, counts = map(np.stack, zip(*map(_moments, features), strict=True))
        everyone = np.arange(len(means))
        left_out = [
            cls._of(means[everyone != i], spreads[everyone != i]).distance_from_mean(
                means[i], int(counts[i])
            )
            for i in everyone
        ]
        return cls._of(means, spreads, _conformal_limit(left_out))

    @classmethod
    def _of(
        cls, means: NDArray[np.float64], spreads: NDArray[np.float64], limit: float = math.inf
    ) -> "TrainingRange":
        count = len(means)
        between = means.var(0, ddof=1)
        # Few slides know little of each dimension's spread: lean on the average over dimensions.
        trust = (count - 1) / (count - 1 + _PRIOR_SLIDES)
        between = trust * between + (1 - trust) * between.mean()
        return cls(
            mean=means.mean(0).astype(np.float32),
            between=np.sqrt(between).astype(np.float32),
            within=np.sqrt(spreads.mean(0)).astype(np.float32),
            limit=limit,
            slides=count,
        )

    def distance(self, features: ArrayLike) -> float:
        """Return the distance of a slide with these patch features (P, D)."""
        values = np.asarray(features)
        return self.distance_from_mean(values.mean(0, dtype=np.float64), len(values))

    def distance_from_mean(self, mean: ArrayLike, patches: int) -> float:
        """Return the distance of a slide with this mean feature (D,) over so many patches."""
        variance = (
            self.between.astype(np.float64) ** 2 + self.within.astype(np.float64) ** 2 / patches
        )
        # A dimension that never moved in training still counts, on the scale of float32 noise.
        variance = np.maximum(variance, np.finfo(np.float32).eps)
        deviation = np.asarray(mean, dtype=np.float64) - self.mean
        return float(np.sqrt(np.mean(deviation**2 / variance)))


def _moments(features: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], np.intp]:
    """Return mean and variance of each dimension of (P, D), and P."""
    values = np.asarray(features)
    mean, variance = values.mean(0, dtype=np.float64), values.var(0, dtype=np.float64)
    return mean, variance, np.intp(len(values))


def _conformal_limit(distances: Sequence[float]) -> float:
    rank = math.ceil((len(distances) + 1) * (1 - _FALSE_ALARMS))
    return float(sorted(distances)[min(rank, len(distances)) - 1])


@dataclass(frozen=True)
class ModelInfo:
    """What a slide model is, as its config.json states.

    Parameters
    ----------
    name
        Folder name: letters, digits, dot, dash and underscore.
    display_name
        Name for people.
    classes
        Names of the classes, in the order of the logits.
    mpp
        µm per pixel of its tiles.
    tile_px
        Side of its tiles in pixels.
    temperature
        Divides the logits before the softmax of the calibrated probabilities (Guo et al. 2017,
        arXiv 1706.04599).
    demonstration
        Whether it shows the program and nothing more.
    sha256
        SHA-256 of config.json, which states that of every other file; empty until it is saved.
    licence
        Licence of the weights.
    training_range
        Range of the training slides, or None.
    description
        One sentence for the model chooser.
    granularity
        What the head weighs: "tiles", or "cells" for a map as fine as the cells of the student.
    threshold
        Of two classes, the second is predicted above this calibrated probability; see
        `nets.decision.predict_class`.
    head
        What answers for a slide; for a patch classifier the answer is the share of each class.
    colors
        Red, green and blue of each class, where the model states them.
    """

    name: str
    display_name: str
    classes: tuple[str, ...]
    mpp: float
    tile_px: int
    temperature: float = 1.0
    demonstration: bool = False
    sha256: str = ""
    licence: str = "unknown"
    # Left out of comparisons: arrays have no single truth, and sha256 covers them.
    training_range: TrainingRange | None = field(default=None, compare=False)
    description: str = ""
    granularity: Granularity = "tiles"
    threshold: float = EVEN
    head: HeadKind = "attention"
    colors: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        problems = [
            words
            for wrong, words in (
                (len(self.classes) < 2, "fewer than two classes"),
                (len(set(self.classes)) != len(self.classes), "two classes of the same name"),
                (not LEAST_MPP <= self.mpp <= MOST_MPP, f"mpp {self.mpp}"),
                (not 1 <= self.tile_px <= MOST_TILE_PX, f"tile_px {self.tile_px}"),
                (len(self.classes) > MOST_CLASSES, f"{len(self.classes)} classes"),
                (any(map(name_problem, self.classes)), _first_problem(self.classes)),
                (bool(name_problem(self.display_name)), name_problem(self.display_name)),
                (
                    self.granularity not in get_args(Granularity),
                    f"granularity {self.granularity!r}",
                ),
                (
                    not (math.isfinite(self.temperature) and self.temperature > 0),
                    f"temperature {self.temperature}",
                ),
                (self.head not in get_args(HeadKind), f"head {self.head!r}"),
                (not 0 < self.threshold < 1, f"threshold {self.threshold}"),
                (
                    len(self.classes) > 2 and self.threshold != EVEN,
                    f"threshold {self.threshold} for {len(self.classes)} classes",
                ),
            )
            if wrong
        ]
        if problems:
            raise ModelError(
                expected=f"a model with distinct classes, mpp from {LEAST_MPP:g} to {MOST_MPP:g}, "
                f"tile_px from 1 to {MOST_TILE_PX}, a positive temperature, and a threshold "
                "between 0 and 1 if there are two classes",
                found=", ".join(problems),
                hint="Correct the model's description.",
            )

    @property
    def summary(self) -> str:
        """Name, classes, and what the head weighs, in one line."""
        if self.head == "patch_classifier":
            return f"{self.name}: taught {', '.join(self.classes[:-1])}; {self._tiles}"
        return f"{self.name}: {', '.join(self.classes)}; {self._tiles}"

    @property
    def _tiles(self) -> str:
        weighed = "cells of " if self.granularity == "cells" else ""
        return f"{weighed}tiles of {self.tile_px} px at {self.mpp:g} µm/px"

    def probabilities(self, logits: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return raw and calibrated class probabilities (..., C) of class logits (..., C)."""
        values = np.asarray(logits, dtype=np.float64)
        return softmax(values), softmax(values / self.temperature)


def name_problem(name: str) -> str:
    """Return why a name for people cannot be shown in one line; empty when it can."""
    if not name.strip():
        return "an empty name"
    if len(name) > LONGEST_NAME:
        return f"a name of {len(name):,} letters ({printable(name[:20])}…)"
    if not name.isprintable():
        return f"a name with characters that cannot be seen ({printable(name)})"
    return ""


def _first_problem(names: Sequence[str]) -> str:
    return next(filter(None, map(name_problem, names)), "")


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities of logits (..., C) over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return result
