"""What a long training run says of itself; frozen, small, at least twice a second."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """Work goes on: ``done`` of ``total`` in the named stage; rate and rest as measured so far.

    ``unit`` names what is counted, in the plural, where that is not plain from the stage.
    """

    stage: str
    done: int
    total: int
    per_second: float = 0.0
    seconds_left: float = float("nan")
    unit: str = ""


@dataclass(frozen=True, slots=True)
class EpochDone:
    """One epoch is over (counted from 1), with its scalars by name."""

    epoch: int
    epochs: int
    scalars: Mapping[str, float]
    stage: str = ""


@dataclass(frozen=True, slots=True)
class RunPlanned:
    """Facts that are known before the work starts, by name."""

    plan: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The model folder is written; ``metrics`` are those of its card."""

    folder: Path
    metrics: Mapping[str, object] = field(default_factory=dict)


RunEvent = Progress | EpochDone | RunPlanned | RunFinished
