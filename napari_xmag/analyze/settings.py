"""How an analysis is run, checked before it starts."""

from dataclasses import dataclass
from typing import Literal, get_args

from napari_xmag.errors import ConfigError
from napari_xmag.nets.engines.base import EngineChoice
from napari_xmag.nets.info import Precision

TissueChoice = Literal["auto", "whole"]


@dataclass(frozen=True, slots=True)
class AnalyzeSettings:
    """What the user may choose.

    Parameters
    ----------
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    batch_size
        Tiles encoded at once; found by trying when None.
    workers
        Reading threads; chosen for the machine when None.
    min_tissue
        A tile is analysed when at least this share of it is tissue, 0 to 1.
    tissue
        ``"auto"`` finds the tissue, ``"whole"`` takes everything that was scanned; a mask given to
        `analyze` comes before both.
    precision
        ``"auto"`` uses half precision where the device gains by it, ``"float32"`` never does.
    engine
        ``"torch"`` or ``"graph"``; ``"auto"`` takes the graph on a CPU that computes in float32.

    Raises
    ------
    ConfigError
        When a value is out of its range.
    """

    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    min_tissue: float = 0.2
    tissue: TissueChoice = "auto"
    precision: Precision = "auto"
    engine: EngineChoice = "auto"

    def __post_init__(self) -> None:
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} of 1 or more", value)
        _require(0 <= self.min_tissue <= 1, "min_tissue from 0 to 1", self.min_tissue)
        chosen = (("tissue", TissueChoice), ("precision", Precision), ("engine", EngineChoice))
        for name, choices in chosen:
            value, known = getattr(self, name), get_args(choices)
            _require(value in known, f"{name} to be {' or '.join(known)}", value)


def _require(valid: bool, expected: str, found: object) -> None:
    if not valid:
        raise ConfigError(expected=expected, found=str(found), hint="Correct this setting.")
