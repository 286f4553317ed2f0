"""What a long run says of itself; frozen, small, at least twice a second."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Stage(StrEnum):
    """What a long run is doing. Values stand in tables and in names of files."""

    STARTING = "starting"
    CANCELLING = "cancelling"
    LOADING = "loading"
    CHECKING = "checking"
    PLANNING = "planning"
    ENCODING = "encoding"
    STORING = "storing"
    HEAD = "head"
    END_TO_END = "end-to-end"
    EVALUATING = "evaluating"
    WRITING = "writing"
    SAMPLING = "sampling"
    TEACHER = "teacher"
    CENTERING = "centering"
    TRAINING = "training"
    HASHING = "hashing"
    PROBING = "probing"
    RESAMPLING = "resampling"
    ANALYZING = "analyzing"
    TISSUE = "tissue"
    READING = "reading"
    POOLING = "pooling"
    REGIONS = "regions"

    @property
    def words(self) -> str:
        """What a person reads."""
        return _WORDS[self]


_WORDS = {
    Stage.STARTING: "Starting",
    Stage.CANCELLING: "Cancelling",
    Stage.LOADING: "Loading the encoder",
    Stage.CHECKING: "Checking the slides",
    Stage.PLANNING: "Measuring a few slides",
    Stage.ENCODING: "Encoding",
    Stage.STORING: "Storing the tiles",
    Stage.HEAD: "Training the head",
    Stage.END_TO_END: "Training end to end",
    Stage.EVALUATING: "Evaluating the model",
    Stage.WRITING: "Writing the results",
    Stage.SAMPLING: "Sampling fields",
    Stage.TEACHER: "Computing the teacher's features",
    Stage.CENTERING: "Averaging the teacher's features",
    Stage.TRAINING: "Training the student",
    Stage.HASHING: "Looking for copies",
    Stage.PROBING: "Training probes",
    Stage.RESAMPLING: "Computing confidence intervals",
    Stage.ANALYZING: "Analyzing",
    Stage.TISSUE: "Finding tissue",
    Stage.READING: "Reading tiles",
    Stage.POOLING: "Timing the head",
    Stage.REGIONS: "Reading the regions",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """Work goes on.

    Attributes
    ----------
    stage
        What is done.
    done, total
        How much of it, or of the item where one is named; a total of 0 is not known yet.
    unit
        What is counted, in the plural; empty where the numbers mean nothing to a person.
    per_second, seconds_left
        As measured so far: 0 and NaN while nothing is. The time left is that of the whole stage.
    item, number, items
        What of the stage is under way (a slide by its name, an encoder), which one it is, from 1,
        and of how many; empty and 0 where the stage has no such parts.
    epoch, epochs
        Of a training, from 1; 0 elsewhere.
    fold, folds
        Which of several trainings this is, from 1; 0 where there is one.
    """

    stage: Stage
    done: int = 0
    total: int = 0
    unit: str = ""
    per_second: float = 0.0
    seconds_left: float = math.nan
    item: str = ""
    number: int = 0
    items: int = 0
    epoch: int = 0
    epochs: int = 0
    fold: int = 0
    folds: int = 0

    @property
    def share(self) -> float | None:
        """How much of the stage is done, 0 to 1; None while that is not known."""
        if self.total == 0:
            return None
        part = self.done / self.total
        return (self.number - 1 + part) / self.items if self.items else part


@dataclass(frozen=True, slots=True)
class EpochDone:
    """One epoch is over (counted from 1), with its scalars by name; ``fold`` as in `Progress`."""

    epoch: int
    epochs: int
    scalars: Mapping[str, float]
    stage: Stage = Stage.TRAINING
    fold: int = 0


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a training will take, measured on a few of its slides before it starts.

    Attributes
    ----------
    slides, training_slides, validation_slides
        How many there are.
    measured_slides
        On how many of them the rest was measured.
    tiles, tiles_per_slide
        How many will be encoded, as estimated.
    memory_gb, disk_gb, disk_free_gb
        What it needs, and what is free, in GB (10⁹ bytes).
    minutes, minutes_features, minutes_head
        All of it, and its parts.
    device, precision
        Where and in which numbers it computes.
    tiles_at_once, minutes_per_epoch
        End to end only.
    regions
        Of how many slides there are regions, and of which classes, in words; empty for none.
    """

    slides: int
    training_slides: int
    validation_slides: int
    measured_slides: int
    tiles: int
    tiles_per_slide: int
    memory_gb: float
    disk_gb: float
    disk_free_gb: float
    minutes: float
    minutes_features: float
    minutes_head: float
    device: str
    precision: str
    tiles_at_once: int | None = None
    minutes_per_epoch: float | None = None
    regions: str = ""


@dataclass(frozen=True, slots=True)
class RunPlanned:
    """What is known before the work starts."""

    plan: RunPlan


@dataclass(frozen=True, slots=True)
class SlideLeftOut:
    """A slide takes no part: there is nothing in it to learn from; ``fold`` as in `Progress`.

    ``name`` is that of the image, of a slide in a QuPath project.
    """

    slide: Path
    reason: str
    fold: int = 0
    name: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.name or self.slide.name} is left out: {self.reason}"


@dataclass(frozen=True, slots=True)
class RegionsNoted:
    """What of the regions of a slide cannot be learned from, and why; ``fold`` as in `Progress`."""

    slide: Path
    words: str
    fold: int = 0

    def __str__(self) -> str:
        """One line for a person."""
        return f"Regions of {self.slide.name}: {self.words}"


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The model folder is written; ``metrics`` are those of its card."""

    folder: Path
    metrics: Mapping[str, object] = field(default_factory=dict)


RunEvent = Progress | EpochDone | RunPlanned | SlideLeftOut | RegionsNoted | RunFinished
