"""What the process of a training does; it imports no window."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.cohort.cohort import Cohort
from napari_xmag.cohort.rows import CohortRow

if TYPE_CHECKING:
    from napari_xmag.progress.events import RunEvent
    from napari_xmag.train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """All that a training needs, read from the widgets once."""

    rows: tuple[CohortRow, ...]
    encoder: str
    out: Path
    config: "TrainConfig"
    resume: bool


def trained(request: TrainRequest) -> Iterator["RunEvent"]:
    """Load the encoder and train: what the process of a training does."""
    from napari_xmag.nets.encoder import load_encoder
    from napari_xmag.train.run import train
    from napari_xmag.zoo import find_model

    encoder = load_encoder(find_model(request.encoder))
    return train(Cohort(request.rows), encoder, request.out, request.config, resume=request.resume)
