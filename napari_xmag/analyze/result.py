"""The result of an analysis: prediction, map and provenance, saved and loaded without loss."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.analyze.abstain import MOST_UNREADABLE, NO_ANSWER, deciding_flags, reasons
from napari_xmag.analyze.flags import Flag
from napari_xmag.analyze.kept_tissue import load_tissue, save_tissue
from napari_xmag.analyze.saved_document import require_document, require_on_grid
from napari_xmag.analyze.table import PatchTable, read_tiles_csv, write_patches
from napari_xmag.analyze.tissue_used import describe_tissue, is_tissue_of
from napari_xmag.errors import ResultError, shortened
from napari_xmag.extras import import_extra
from napari_xmag.filenames import PATCHES, RESULT, TISSUE
from napari_xmag.files import parse_json, whole_file
from napari_xmag.formatting import percent
from napari_xmag.geometry import Box, Mpp
from napari_xmag.nets.decision import (
    EVEN,
    close_classes,
    describe_decision,
    predict_class,
    share_words,
)
from napari_xmag.slide.tissue import TissueMask

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
    tissue
        Which part of the slide was analyzed: ``choice`` (a `TissueChoice`) and ``area_mm2``.
    mask
        The tissue itself where a person painted it or drew regions; None where it can be found
        again.
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
    tissue: Mapping[str, Any] = field(default_factory=dict)
    mask: TissueMask | None = None

    @property
    def answer(self) -> str | None:
        """The class that the result stands for; None where it abstains."""
        return None if self.abstained else self.predicted

    @property
    def abstained(self) -> tuple[str, ...]:
        """Why no answer is given, in sentences; empty where one is."""
        return reasons(self._deciding, predicted=self.predicted is not None)

    @property
    def uncertain(self) -> tuple[str, ...]:
        """The two classes that are too close to call; empty where none are, or there is none."""
        if self.answer is None or self.is_shares:
            return ()
        return tuple(self.classes[i] for i in close_classes(self.probabilities, self.threshold))

    @property
    def headline(self) -> str:
        """The answer in a few words, as every export and the window say it."""
        if self.answer is None:
            return NO_ANSWER
        if self.is_shares:
            return share_words(self.classes, self.probabilities)
        return f"Uncertain: {' or '.join(self.uncertain)}" if self.uncertain else self.answer

    @property
    def is_shares(self) -> bool:
        """Whether the probabilities are parts of the tissue: of a model that examples taught."""
        return self.model.get("head") == "patch_classifier"

    @property
    def warnings(self) -> tuple[Flag, ...]:
        """The flags that are no reason to abstain, but to be careful."""
        deciding = self._deciding
        return tuple(flag for flag in self.flags if flag not in deciding)

    @property
    def _deciding(self) -> tuple[Flag, ...]:
        lost = len(self.unreadable)
        mostly_lost = bool(lost) and lost > MOST_UNREADABLE * (lost + self.tiles_read)
        sample = bool(self.slide.get("sample"))
        return deciding_flags(self.flags, sample=sample, mostly_lost=mostly_lost)

    @property
    def tissue_words(self) -> str:
        """Which part of the slide was analyzed, in words."""
        return describe_tissue(self.tissue, self.settings)

    @property
    def model_words(self) -> str:
        """The model with its version: its name and the first digits of its SHA-256."""
        name = self.model.get("display_name") or self.model["name"]
        return f"{name} ({self.model['name']}, {str(self.model['sha256'])[:12]})"

    @property
    def predicted(self) -> str | None:
        """The class by the model's threshold alone, whatever the flags say; see `answer`."""
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
        """Grid column of each patch, (P,)."""
        return self.patches.column

    @property
    def rows(self) -> NDArray[np.int64]:
        """Grid row of each patch, (P,)."""
        return self.patches.row

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.grid_shape

    def __repr__(self) -> str:
        chosen = self.headline[:1].lower() + self.headline[1:]
        if self.answer is not None and not self.uncertain:
            share = self.probabilities[self.classes.index(self.answer)]
            chosen = f"{self.answer} {percent(share)}"
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
        frames = import_extra("pandas", "window", "a table of the patches", alone=True)
        frame: pandas.DataFrame = frames.DataFrame(self.patches.columns_by_name(self.classes))
        frame.attrs["notice"] = NOTICE
        return frame

    def save(self, folder: Path | str) -> None:
        """Write ``result.json`` and ``tiles.csv``; `load` gives back the same result.

        Where a person chose the tissue, it is written as ``tissue.png``.

        Raises
        ------
        ExportError
            When the folder cannot be written.
        """
        folder = Path(folder)
        write_patches(self.patches, self.classes, folder / PATCHES)
        if self.mask is not None:
            save_tissue(self.mask, folder / TISSUE)
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
            data = parse_json((folder / RESULT).read_text(encoding="utf-8"))
            _check_format(data)
            require_document(data)
            patches = read_tiles_csv(folder / PATCHES, data["classes"])
            if len(patches) != data["tiles"]:
                raise ValueError(f"{len(patches)} of {data['tiles']} patches in tiles.csv")
            require_on_grid(patches, (data["grid"]["rows"], data["grid"]["columns"]))
            return _with_tissue(_from_json(data, patches), folder)
        except (OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ResultError):
                raise
            raise ResultError(
                expected=f"a saved result in {folder}",
                found=shortened(f"{type(error).__name__}: {error}"),
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
        "headline": result.headline,
        "answer": result.answer,
        "abstained": list(result.abstained),
        "uncertain": list(result.uncertain),
        "predicted": result.predicted,
        "probability_of": by_class,
        "logits": list(result.logits),
        "probabilities_raw": list(result.probabilities_raw),
        "probabilities": list(result.probabilities),
        "flags": [asdict(flag) for flag in result.flags],
        "tissue": {**result.tissue, "words": result.tissue_words},
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
        tissue={k: v for k, v in data.get("tissue", {}).items() if k != "words"},
    )


def _with_tissue(result: SlideResult, folder: Path) -> SlideResult:
    size = result.slide["width"], result.slide["height"]
    mask = load_tissue(folder / TISSUE, result.tissue.get("choice"), size)
    if mask is None or not is_tissue_of(mask, result.mpp, result.tissue):
        return result
    return replace(result, mask=mask)


def _unreadable(tile: Mapping[str, Any]) -> UnreadableTile:
    box = Box(tile["x"], tile["y"], tile["width"], tile["height"])
    return UnreadableTile(box, tile["reason"])
