"""Composed slides with the class of every patch, ready to be taught on."""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.errors import CohortError
from napari_xmag.evaluate.encoders import TileSource
from napari_xmag.evaluate.teach_config import ComposedSource
from napari_xmag.features.key import FeatureKey
from napari_xmag.features.patch_features import PatchFeatures
from napari_xmag.files import parse_json
from napari_xmag.mil.features import SlideFeatures, slide_features
from napari_xmag.mil.tile_encoder import TileEncoder
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student, StudentSpec
from napari_xmag.progress.events import Progress
from napari_xmag.slide.base import require_mpp
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.prepared import PreparedSlide

TRUTH = "truth.json"
_COLOR_BLOCK = 16


@dataclass(frozen=True, eq=False)
class ComposedSlide:
    """A slide, and what each of its patches shows.

    Attributes
    ----------
    prepared
        Its features.
    classes
        Names of the source's classes.
    labels
        int64 (P,), index into ``classes``; -1 where no island lies.
    islands
        int64 (P,), which island a patch lies on; -1 for none. Islands of one field count as one:
        who has seen the one has seen the other.
    side
        0 or 1: slides of different sides have no field in common.
    """

    prepared: PreparedSlide
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    islands: NDArray[np.int64]
    side: int = 0


class MeanColor(nn.Module):
    """A network whose features are the mean colour of each block: what needs no learning."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(nn.init.ones_(Tensor(1)), requires_grad=False)
        self.feature_info = [{"reduction": _COLOR_BLOCK}]

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the means of blocks, (B, 3, H / 16, W / 16)."""
        return nn.functional.avg_pool2d(images * self.gain, _COLOR_BLOCK)


def mean_color_student(like: StudentSpec) -> Student:
    """Return a student of mean colours with the tiles and cells of another."""
    spec = StudentSpec(like.mpp, like.tile_px, (0.0,) * 3, (1.0,) * 3, cells=like.cells)
    return Student(MeanColor(), spec).eval()


def composed_slides(
    source: ComposedSource, encoder: TileSource, granularity: Granularity
) -> Generator[Progress, None, list[ComposedSlide]]:
    """Encode the slides of a source that show at least two classes.

    Raises
    ------
    CohortError
        When the folder holds no such slides.
    TissueError
        When one of them has no tissue.
    """
    truth = _truth(source.folder)
    mixed = [name for name in sorted(truth) if len({i["label"] for i in truth[name]}) > 1]
    there = [name for name in mixed if (source.folder / name).is_file()]
    # slides of both sides of the division, turn by turn
    half = len(there) // 2
    turns = [name for pair in zip(there[:half], there[half:], strict=False) for name in pair]
    classes = tuple(sorted({island["label"] for name in turns for island in truth[name]}))
    chosen = turns[: source.slides]
    found = []
    tile_encoder = TileEncoder(encoder.student, granularity, encoder.batch, slides=len(chosen))
    with closing(tile_encoder):
        for number, name in enumerate(chosen):
            features = yield from slide_features(
                source.folder / name,
                None,
                tile_encoder,
                cache=encoder.cache,
                encoder_id=encoder.identity,
            )
            path, side = source.folder / name, number % 2
            found.append(_composed(path, features, encoder, truth[name], classes, side))
    if len(found) < 3:
        raise CohortError(
            expected=f"at least three slides of two classes or more in {source.folder}",
            found=str(len(found)),
            hint="Compose more: docs/recipes/compose_slides.py --malignant 6 8.",
        )
    return found


def _truth(folder: Path) -> Mapping[str, list[dict[str, Any]]]:
    try:
        truth: dict[str, list[dict[str, Any]]] = parse_json((folder / TRUTH).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CohortError(
            expected=f"{TRUTH} in {folder}",
            found=str(error),
            hint="Compose slides with docs/recipes/compose_slides.py.",
            causes=[error],
        ) from error
    return truth


def _composed(
    path: Path,
    found: SlideFeatures,
    encoder: TileSource,
    islands: list[dict[str, Any]],
    classes: tuple[str, ...],
    side: int,
) -> ComposedSlide:
    boxes = found.boxes
    stride_x, stride_y = float(boxes[0, 2]), float(boxes[0, 3])
    with open_slide(path) as slide:
        bounds, mpp = slide.bounds, require_mpp(slide)
    columns = np.round((boxes[:, 0] - bounds.x) / stride_x).astype(np.int64)
    rows = np.round((boxes[:, 1] - bounds.y) / stride_y).astype(np.int64)
    spec = encoder.student.spec
    grid = stride_x, stride_y, float(bounds.x), float(bounds.y)
    # slides of two sources have the same names
    key = FeatureKey(
        str(path.absolute()), 1, encoder.identity, "cells", spec.mpp, spec.tile_px, *grid
    )
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    names = path.name, encoder.identity[:8]
    kept = PatchFeatures(
        np.asarray(found.features, np.float16),
        *(columns, rows, shape, key, "float32", names, (mpp.x, mpp.y)),
    )
    prepared = PreparedSlide(kept, np.ones(len(kept)))
    labels, on = np.full(len(kept), -1), np.full(len(kept), -1)
    x, y = prepared.centers.T
    first: dict[object, int] = {}
    for number, island in enumerate(islands):
        field = first.setdefault((island["label"], island.get("field", number)), number)
        across = (x >= island["x"]) & (x < island["x"] + island["width"])
        inside = across & (y >= island["y"]) & (y < island["y"] + island["height"])
        labels[inside], on[inside] = classes.index(island["label"]), field
    return ComposedSlide(prepared, classes, labels, on, side)
