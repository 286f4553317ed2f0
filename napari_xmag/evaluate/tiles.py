"""Labelled tiles, from folders of classes or a table, and at the scale a network wants."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xmag.cohort.cells import is_missing, label_of, patient_of
from napari_xmag.cohort.table import read_table
from napari_xmag.errors import CohortError, GeometryError, TileReadError
from napari_xmag.slide.mpp import typed_mpp
from napari_xmag.slide.picture import PICTURE_SUFFIXES, picture_size

if TYPE_CHECKING:
    from napari_xmag.evaluate.tasks import PatchTask

_SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class LabelledTile:
    """A labelled picture.

    Attributes
    ----------
    group
        Whose it is.
    mpp
        Its µm per pixel.
    split
        Its side of the split, or empty.
    field_um
        Side of the field at its centre that is looked at; None for all of it.
    """

    path: Path
    label: str
    group: str
    mpp: float
    split: str = ""
    field_um: float | None = None


def labelled_tiles(task: "PatchTask", seed: int) -> list[LabelledTile]:
    """Return the tiles of a task; with ``test``, each has a split.

    Raises
    ------
    CohortError
        When tiles, labels, groups or pixel sizes are missing, or a group lies in two splits.
    """
    tiles = _limited(_listed(task.tiles, task, "train" if task.test else ""), task.limit, seed)
    if task.test is not None:
        of_test = task.model_copy(update={"mpp": task.test_mpp or task.mpp})
        tiles += _limited(_listed(task.test, of_test, "test"), task.limit, seed)
    _require_usable(task, tiles)
    return [replace(tile, field_um=task.field_um) for tile in tiles]


def _listed(place: Path, task: "PatchTask", split: str) -> list[LabelledTile]:
    found = _in_folder(place, task) if place.is_dir() else _in_table(place, task)
    if task.classes:
        found = _named(found, task.classes, place)
    return [replace(tile, split=split or tile.split) for tile in found]


def _named(
    tiles: Sequence[LabelledTile], classes: Mapping[str, str], place: Path
) -> list[LabelledTile]:
    """Keep the tiles of these labels, under the names of their classes."""
    named = [replace(t, label=classes[t.label]) for t in tiles if t.label in classes]
    if missing := {*classes.values()} - {tile.label for tile in named}:
        raise CohortError(
            expected=f"tiles of {', '.join(sorted(missing))} in {place}",
            found=", ".join(sorted({tile.label for tile in tiles})),
            hint="Name the labels, or folders, of each class in classes.",
        )
    return named


def _in_folder(folder: Path, task: "PatchTask") -> list[LabelledTile]:
    tiles = [
        LabelledTile(path, parent.name, _group(path, task), _mpp("", path, task))
        for parent in sorted(folder.iterdir())
        if parent.is_dir() and not parent.name.startswith(".")
        for path in sorted(parent.iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    ]
    if not tiles:
        raise CohortError(
            expected=f"a folder of images for each class in {folder}",
            found="no images",
            hint="Lay them out as FOLDER/CLASS/image.png, or name a table (CSV or .xlsx).",
        )
    return tiles


def _in_table(path: Path, task: "PatchTask") -> list[LabelledTile]:
    lines = read_table(path, ("tile", "label"))
    if not lines:
        raise CohortError(
            expected=f"rows with a tile and its label in {path.name}",
            found="no rows",
            hint="Write tile,label[,group][,split][,mpp] in the first row, then a row per tile.",
        )
    return [_row(number, cells, path, task) for number, cells in lines]


def _row(number: int, cells: Mapping[str, str], table: Path, task: "PatchTask") -> LabelledTile:
    tile, label = table.parent / cells["tile"], label_of(cells.get("label", ""))
    split = cells.get("split", "").lower()
    split = "" if is_missing(split) else split
    if is_missing(cells["tile"]) or not (label and tile.is_file()) or split not in ("", *_SPLITS):
        raise CohortError(
            expected=f"a tile that exists, its label, and the split train, test or nothing in row "
            f"{number} of {table.name}",
            found=", ".join(f"{key}={value!r}" for key, value in cells.items()),
            hint="Correct this row.",
        )
    group = patient_of(cells.get("group", "")) or _group(tile, task)
    return LabelledTile(tile, label, group, _mpp(cells.get("mpp", ""), tile, task), split)


def _group(path: Path, task: "PatchTask") -> str:
    if task.group is None:
        return str(path)
    match = re.search(task.group, path.name)
    if match is None:
        raise CohortError(
            expected=f"a group for {path.name}",
            found=f"a name that {task.group!r} does not match",
            hint=f"Correct the group of the task {task.name}.",
        )
    return match.group(1 if match.re.groups else 0)


def _mpp(text: str, path: Path, task: "PatchTask") -> float:
    if not is_missing(text):
        try:
            return typed_mpp(text)
        except GeometryError as error:
            raise CohortError(
                expected=f"the pixel size of {path.name} in µm per pixel",
                found=repr(text),
                hint=f"{error.hint} It is never guessed.",
                causes=[error],
            ) from error
    if task.mpp is None:
        raise CohortError(
            expected=f"the pixel size of {path.name} in µm per pixel",
            found="none",
            hint=f"Set mpp in the task {task.name}, or a column mpp. It is never guessed.",
        )
    return task.mpp


def _limited(tiles: list[LabelledTile], limit: int | None, seed: int) -> list[LabelledTile]:
    if limit is None:
        return tiles
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, tile in enumerate(tiles):
        by_label[f"{tile.split} {tile.label}"].append(index)
    draw = np.random.default_rng(seed)
    kept = [draw.permutation(found)[:limit] for _, found in sorted(by_label.items())]
    return [tiles[index] for index in sorted(np.concatenate(kept))]


def _require_usable(task: "PatchTask", tiles: Sequence[LabelledTile]) -> None:
    splits = {tile.split for tile in tiles}
    training = {tile.label for tile in tiles if tile.split != "test"}
    untrained = {tile.label for tile in tiles} - training
    fault = ""
    if splits not in ({""}, set(_SPLITS)):
        fault = f"the splits {', '.join(repr(split) for split in sorted(splits))}"
    elif len(training) < 2 or untrained:
        fault = f"the classes {', '.join(sorted(training))} to train on" + (
            f", and {', '.join(sorted(untrained))} only to test" if untrained else ""
        )
    elif leaking := _leaking(tiles):
        fault = f"{', '.join(leaking[:5])} on both sides"
    if fault:
        raise CohortError(
            expected=f"train and test tiles (or no split at all) of two classes or more, and each "
            f"group on one side, in the task {task.name}",
            found=fault,
            hint="Correct the folders or the table.",
        )


def _leaking(tiles: Sequence[LabelledTile]) -> list[str]:
    sides: dict[str, set[str]] = defaultdict(set)
    for tile in tiles:
        sides[tile.group].add(tile.split)
    return sorted(group for group, found in sides.items() if len(found) > 1)


def at_scale(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Resize a picture (H, W, 3) by a factor, antialiased as slides are, to whole pixels."""
    from PIL import Image

    from napari_xmag.slide.resample import FILTER, REDUCING_GAP

    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    image = Image.fromarray(pixels).resize((width, height), FILTER, reducing_gap=REDUCING_GAP)
    return np.asarray(image)


def centered(pixels: NDArray[np.uint8], tile: LabelledTile) -> NDArray[np.uint8]:
    """Return the part of a picture (H, W, 3) that is looked at.

    Raises
    ------
    TileReadError
        When the picture is smaller.
    """
    if tile.field_um is None:
        return pixels
    side, shorter = round(tile.field_um / tile.mpp), min(pixels.shape[:2])
    if side > shorter:
        raise TileReadError(
            expected=f"images of at least {tile.field_um:g} µm",
            found=f"{shorter * tile.mpp:.1f} µm in {tile.path.name}",
            hint="Make field_um smaller.",
        )
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def shorter_um(tile: LabelledTile) -> float:
    """Return the shorter side in µm of what is looked at; only the picture's header is read.

    Raises
    ------
    TileReadError
        When it cannot be read.
    """
    if tile.field_um is not None:
        return tile.field_um
    return min(picture_size(tile.path)) * tile.mpp


def cut(
    pixels: NDArray[np.uint8], tile_px: int, crops: Literal["grid", "center"]
) -> NDArray[np.uint8]:
    """Cut a picture (H, W, 3) into tiles, uint8 (K, tile_px, tile_px, 3).

    A side that is smaller than a tile is continued by reflection: the tissue keeps its scale and
    its colours, where stretching would change the one and a border the other. A larger one gives
    as few evenly spaced tiles as cover all of it (``grid``), or the middle (``center``).
    """
    short = [max(0, tile_px - side) for side in pixels.shape[:2]]
    before = [missing // 2 for missing in short]
    margins = [(a, missing - a) for a, missing in zip(before, short, strict=True)]
    filled = np.pad(pixels, [*margins, (0, 0)], mode="symmetric")
    tops, lefts = (_starts(side, tile_px, crops) for side in filled.shape[:2])
    return np.stack([filled[y : y + tile_px, x : x + tile_px] for y in tops for x in lefts])


def _starts(side: int, tile_px: int, crops: Literal["grid", "center"]) -> list[int]:
    free = side - tile_px
    number = -(-side // tile_px)
    if crops == "center" or number == 1:
        return [free // 2]
    return [round(free * index / (number - 1)) for index in range(number)]
