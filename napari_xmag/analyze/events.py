"""What a running analysis tells its listener: small frozen events, at least twice a second."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_xmag.analyze.result import SlideResult
    from napari_xmag.slide.tiles import TileGrid
    from napari_xmag.slide.tissue import TissueMask


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing new yet: a heartbeat, so that the listener can answer Cancel.

    Attributes
    ----------
    stage
        What is being waited for, in words.
    done, total
        Tiles finished and planned (0 and 0 before the plan).
    """

    stage: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SlidePlanned:
    """The tissue was found and the tiles are planned; reading begins.

    Attributes
    ----------
    grid
        All patches that the head will attend over: the tiles, or their cells.
    mask
        The tissue they were planned on.
    tiles
        How many tiles will be read.
    """

    grid: "TileGrid"
    mask: "TissueMask"
    tiles: int


@dataclass(frozen=True, slots=True, eq=False)
class TilesDone:
    """Some tiles went through the encoder and the head, or turned out to be unreadable.

    Attributes
    ----------
    indices
        int64 (k,), positions in ``SlidePlanned.grid``; only of tiles that were read.
    attention_logit
        float32 (k,), comparable between patches; its softmax over the slide is the attention.
    patch_evidence
        float32 (k, C), un-weighted score of each patch for each class.
    done, total
        Tiles finished (the unreadable ones too) and planned.
    tiles_per_second
        Mean since reading began.
    seconds_left
        Estimate for the rest.
    unreadable
        Unreadable tiles so far.
    """

    indices: NDArray[np.int64]
    attention_logit: NDArray[np.float32]
    patch_evidence: NDArray[np.float32]
    done: int
    total: int
    tiles_per_second: float
    seconds_left: float
    unreadable: int


@dataclass(frozen=True, slots=True, eq=False)
class SlideFinished:
    """The last event.

    Attributes
    ----------
    result
        The whole answer.
    """

    result: "SlideResult"


AnalyzeEvent = Waiting | SlidePlanned | TilesDone | SlideFinished
"""Everything that an analysis yields."""
