"""The result of an analysis: prediction, map and provenance, saved and loaded without loss."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.analyze.flags import Flag
from napari_xmag.analyze.table import PatchTable, read_tiles_csv, write_patches
from napari_xmag.errors import ResultError
from napari_xmag.extras import import_extra
from napari_xmag.filenames import PATCHES, RESULT
from napari_xmag.files import whole_file
from napari_xmag.geometry import Box, Mpp
from napari_xmag.nets.decision import EVEN, describe_decision, predict_class

if TYPE_CHECKING:
    import pandas

FORMAT = "napari-xmag result"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class UnreadableTile:
    """A tile that the file could not give.

    Attributes
    ----------
    box
        Where, in level-0 pixels.
    reason
        What the reading library said.
    """

    box: Box
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class SlideResult:
    """The finished analysis of one slide.

    Attributes
    ----------
    patches
        What the head weighed: the tiles that were read, or their cells.
    grid_shape
        Rows and columns of the grid of these patches.
    stride_x, stride_y, origin_x, origin_y
        The grid's step and corner in level-0 pixels.
    classes
        Names, in the order of all class-wise values.
    logits, probabilities_raw, probabilities
        One for each class, before and after calibration; empty when no tile was read.
    flags
        Warnings.
    unreadable
        Tiles that took no part.
    slide
        Metadata of the slide.
    model, settings, versions
        Provenance.
    seconds
        Wall seconds by stage.
    created
        When the analysis ended, ISO 8601 with time zone.
    """

    patches: PatchTable
    grid_shape: tuple[int, int]
    stride_x: float
    stride_y: float
    origin_x: float
    origin_y: float
    classes: tuple[str, ...]
    logits: tuple[float, ...]
    probabilities_raw: tuple[float, ...]
    probabilities: tuple[float, ...]
    flags: tuple[Flag, ...]
    unreadable: tuple[UnreadableTile, ...]
    slide: Mapping[str, Any]
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    created: str

    @property
    def predicted(self) -> str | None:
        """The predicted class, by the model's threshold; None when no tile was read."""
        if not self.probabilities:
            return None
        return self.classes[int(predict_class(self.probabilities, self.threshold))]

    @property
    def threshold(self) -> float:
        """The second of two classes is predicted above this probability."""
        return float(self.model.get("threshold", EVEN))

    @property
    def rule(self) -> str:
        """How the class is chosen, in words; empty when it is the most probable one."""
        return describe_decision(self.classes, self.threshold)

    @property
    def tiles_read(self) -> int:
        """How many tiles the model saw; each gave one row of the table, or one for each cell."""
        side = self.model["tile_px"] * self.model["mpp"]
        cells = max(1, round(side / (self.stride_x * self.mpp.x)))
        owners = np.stack([self.patches.row // cells, self.patches.column // cells])
        return len(np.unique(owners, axis=1).T)

    @property
    def mpp(self) -> Mpp:
        """Pixel size of the slide."""
        return Mpp(self.slide["mpp_x"], self.slide["mpp_y"])

    @property
    def columns(self) -> NDArray[np.int64]:
        """Grid column of each patch, (T,)."""
        return self.patches.column

    @property
    def rows(self) -> NDArray[np.int64]:
        """Grid row of each patch, (T,)."""
        return self.patches.row

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.grid_shape

    def __repr__(self) -> str:
        chosen = "no prediction"
        if self.predicted is not None:
            share = self.probabilities[self.classes.index(self.predicted)]
            chosen = f"{self.predicted} {share:.0%}"
        counts = (_count(len(self.patches), "patch", "es"), _count(len(self.flags), "flag", "s"))
        return f"<{type(self).__name__} {self.slide['path']}: {chosen}, {', '.join(counts)}>"

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return the patches as a table of pandas, one row each, with the columns of ``tiles.csv``.

        ``x``, ``y``, ``width`` and ``height`` are level-0 pixels; ``evidence_<class>`` adds up to
        the logit of the class.

        Raises
        ------
        DependencyError
            When pandas is not installed.
        """
        frames = import_extra("pandas", "all", "a table of the patches")
        frame: pandas.DataFrame = frames.DataFrame(self.patches.columns_by_name(self.classes))
        frame.attrs["notice"] = NOTICE
        return frame

    def save(self, folder: Path | str) -> None:
        """Write ``result.json`` and ``tiles.csv``; `load` gives back the same result.

        Raises
        ------
        ExportError
            When the folder cannot be written.
        """
        folder = Path(folder)
        write_patches(self.patches, self.classes, folder / PATCHES)
        text = json.dumps(to_json(self), indent=2, ensure_ascii=False, allow_nan=False)
        with whole_file(folder / RESULT) as part:
            part.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> "SlideResult":
        """Read what `save` wrote.

        Raises
        ------
        ResultError
            When the folder holds no such result, or an altered or newer one.
        """
        folder = Path(folder)
        try:
            data = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            _check_format(data)
            patches = read_tiles_csv(folder / PATCHES, data["classes"])
            if len(patches) != data["tiles"]:
                raise ValueError(f"{len(patches)} of {data['tiles']} tiles in tiles.csv")
            return _from_json(data, patches)
        except (OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ResultError):
                raise
            raise ResultError(
                expected=f"a saved result in {folder}",
                found=f"{type(error).__name__}: {error}",
                hint="Choose a folder that holds result.json and tiles.csv, unaltered.",
                causes=(error,),
            ) from error


def to_json(result: SlideResult) -> dict[str, Any]:
    """Return everything but the table of patches, ready for JSON."""
    by_class = dict(zip(result.classes, result.probabilities, strict=False))
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "created": result.created,
        "slide": dict(result.slide),
        "model": dict(result.model),
        "classes": list(result.classes),
        "predicted": result.predicted,
        "probability_of": by_class,
        "logits": list(result.logits),
        "probabilities_raw": list(result.probabilities_raw),
        "probabilities": list(result.probabilities),
        "flags": [asdict(flag) for flag in result.flags],
        "tiles": len(result.patches),
        "unreadable": [{**asdict(tile.box), "reason": tile.reason} for tile in result.unreadable],
        "grid": {
            "rows": result.grid_shape[0],
            "columns": result.grid_shape[1],
            "stride_x": result.stride_x,
            "stride_y": result.stride_y,
            "origin_x": result.origin_x,
            "origin_y": result.origin_y,
        },
        "seconds": dict(result.seconds),
        "settings": dict(result.settings),
        "versions": dict(result.versions),
    }


def _count(number: int, word: str, plural: str) -> str:
    return f"{number} {word}{'' if number == 1 else plural}"


def _check_format(data: Any) -> None:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("result.json is not from this program")
    if data["format_version"] > FORMAT_VERSION:
        raise ValueError(f"format version {data['format_version']}, newer than this program")


def _from_json(data: Mapping[str, Any], patches: PatchTable) -> SlideResult:
    grid = data["grid"]
    return SlideResult(
        patches=patches,
        grid_shape=(grid["rows"], grid["columns"]),
        stride_x=grid["stride_x"],
        stride_y=grid["stride_y"],
        origin_x=grid["origin_x"],
        origin_y=grid["origin_y"],
        classes=tuple(data["classes"]),
        logits=tuple(data["logits"]),
        probabilities_raw=tuple(data["probabilities_raw"]),
        probabilities=tuple(data["probabilities"]),
        flags=tuple(Flag(**flag) for flag in data["flags"]),
        unreadable=tuple(_unreadable(tile) for tile in data["unreadable"]),
        slide=data["slide"],
        model=data["model"],
        settings=data["settings"],
        seconds=data["seconds"],
        versions=data["versions"],
        created=data["created"],
    )


def _unreadable(tile: Mapping[str, Any]) -> UnreadableTile:
    box = Box(tile["x"], tile["y"], tile["width"], tile["height"])
    return UnreadableTile(box, tile["reason"])
