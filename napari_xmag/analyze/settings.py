"""How an analysis is run, checked before it starts."""

from dataclasses import dataclass
from typing import Annotated, get_args

from pydantic import Field

from napari_xmag.errors import ConfigError
from napari_xmag.nets.engines.base import EngineChoice
from napari_xmag.nets.info import PRECISION_NAMES, Precision
from napari_xmag.slide.tissue.mask import TissueChoice


@dataclass(frozen=True, slots=True)
class AnalyzeSettings:
    """What the user may choose; the annotations say how a form asks for it.

    Parameters
    ----------
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    batch_size
        Tiles encoded at once; found by trying when None.
    workers
        Reading threads; chosen for the machine when None.
    min_tissue
        A tile is analyzed when at least this share of it is tissue, 0 to 1.
    tissue
        ``AUTO`` finds the tissue, ``WHOLE`` takes everything that was scanned (their values serve
        as well); a mask given to `analyze` comes before both.
    precision
        ``"auto"`` uses half precision where the device gains by it, ``"float32"`` never does.
    engine
        ``"torch"``, ``"graph"`` or ``"compiled"``; ``"auto"`` takes the graph on a CPU that
        computes in float32, else torch.
    quick
        Stop when the tiles that were seen, spread evenly over the tissue, settle the answer; see
        `napari_xmag.analyze.quick`.

    Raises
    ------
    ConfigError
        When a value is out of its range.
    """

    device: str = "auto"
    batch_size: Annotated[
        int | None,
        Field(
            ge=1,
            title="Batch size",
            description="Number of tiles encoded at once. Automatic: as many as suit the device; "
            "fewer if memory runs out.",
            json_schema_extra={"unit": "tiles", "suggested": 16},
        ),
    ] = None
    workers: Annotated[
        int | None,
        Field(
            ge=1,
            title="Reading threads",
            description="Number of threads that read tiles. More can help if the slide is on a "
            "network drive. Automatic: chosen for this computer.",
            json_schema_extra={"suggested": 4},
        ),
    ] = None
    min_tissue: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Minimum tissue",
            description="A tile is analyzed if at least this fraction of it is tissue (0 to 1). "
            "Lower values include more of the tissue edge.",
        ),
    ] = 0.2
    tissue: TissueChoice = TissueChoice.AUTO
    precision: Annotated[
        Precision,
        Field(
            title="Numerical precision",
            description="Automatic: half precision on devices that are faster with it. Full: "
            "float32, which gives nearly the same numbers on every device.",
            json_schema_extra={"choices": PRECISION_NAMES},
        ),
    ] = "auto"
    engine: Annotated[
        EngineChoice,
        Field(
            title="Engine",
            description="What runs the network. Automatic: the faster one for this device. Graph: "
            "an optimized graph for processors, created on first use. PyTorch: always available. "
            "Compiled: PyTorch compiled for this GPU, which takes about a minute; worthwhile for "
            "large networks and many slides.",
            json_schema_extra={
                "choices": {
                    "auto": "Automatic",
                    "torch": "PyTorch",
                    "graph": "Graph",
                    "compiled": "Compiled",
                }
            },
        ),
    ] = "auto"

    quick: Annotated[
        bool,
        Field(
            title="Quick",
            description="Analyze tiles spread evenly over the tissue, and stop when the prediction "
            "no longer changes. The map has gaps, and small areas can be missed.",
        ),
    ] = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} of 1 or more", value)
        _require(0 <= self.min_tissue <= 1, "min_tissue from 0 to 1", self.min_tissue)
        self._require_known("tissue", (TissueChoice.AUTO, TissueChoice.WHOLE))
        object.__setattr__(self, "tissue", TissueChoice(self.tissue))
        self._require_known("precision", get_args(Precision))
        self._require_known("engine", get_args(EngineChoice))

    def _require_known(self, name: str, known: tuple[str, ...]) -> None:
        value = getattr(self, name)
        _require(value in known, f"{name} to be {' or '.join(known)}", value)


def _require(valid: bool, expected: str, found: object) -> None:
    if not valid:
        raise ConfigError(expected=expected, found=str(found), hint="Correct this setting.")
