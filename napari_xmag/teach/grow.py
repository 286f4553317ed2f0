"""Takes in places of a slide where no tissue was found: a person showed them all the same."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from napari_xmag.analyze.engine import encode_slide
from napari_xmag.analyze.events import AnalyzeEvent
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import TissueError
from napari_xmag.features.patch_features import EXACT, PatchFeatures
from napari_xmag.features.store import FeatureStore
from napari_xmag.features.tissue import KeptTissue, keep_tissue
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tiles import TileGrid
from napari_xmag.slide.tissue import TissueChoice, TissueMask
from napari_xmag.teach.encode import ReadySlide

_PARTS = 4
"""Steps of a mask along the side of a patch: those wholly within it are most of it."""

_LEAST = 0.1


def grown_slide(
    slide: Slide,
    model: StoredModel,
    store: FeatureStore,
    settings: AnalyzeSettings | None,
    ready: ReadySlide,
    places: NDArray[np.float64],
) -> Generator[AnalyzeEvent, None, ReadySlide]:
    """Encode the patches of some places as well and keep them with the others.

    What cannot be read is noted, so that nobody tries again.

    Parameters
    ----------
    ready
        The slide as `encoded_slide` or `kept_slide` returned it.
    places
        float (N, 2), x and y in level-0 pixels; those that lie in a patch already, or beside the
        slide, change nothing.

    Yields
    ------
    What `encode_slide` yields.

    Raises
    ------
    ExportError
        When the store cannot be written.
    """
    settings = settings or AnalyzeSettings()
    patches, finer = ready.prepared.features, ready.prepared.finer
    cells = ready.prepared.free_cells(places)
    if not len(cells):
        return ready
    held = store.find(patches.key, exact=settings.precision == EXACT)
    if held is None or not patches.places <= held.places:
        held = patches
    held = yield from _with_cells(slide, model, store, settings, held, cells)
    found = held.places.intersection(map(tuple, cells.tolist()))
    tissue = KeptTissue(ready.found, ready.prepared.grown | found)
    tissue = replace(tissue, other=held.places - patches.places - found)
    keep_tissue(store, held, tissue, settings.min_tissue)
    store.make_room(keep=held.key)
    return ReadySlide.of(held, tissue, finer.aside if finer is not None else None)


def _with_cells(
    slide: Slide,
    model: StoredModel,
    store: FeatureStore,
    settings: AnalyzeSettings,
    held: PatchFeatures,
    cells: NDArray[np.int64],
) -> Generator[AnalyzeEvent, None, PatchFeatures]:
    """Encode what the store lacks of some patches, and keep it with the others."""
    known = held.places.union(held.unreadable)
    cells = np.array([cell for cell in cells.tolist() if tuple(cell) not in known], np.int64)
    if not len(cells):
        return held
    with TemporaryDirectory(prefix="xmag-") as folder:
        alone = FeatureStore(Path(folder))
        mask = _within(slide, held, cells)
        few = replace(settings, min_tissue=_LEAST)
        try:
            found = yield from encode_slide(slide, model, alone, few, mask)
        except TissueError as error:
            found = _lost(held, cells, error)
        joined = _join(store, held, found)
        del found  # its file goes with the folder
    return joined


def _lost(grid: PatchFeatures, cells: NDArray[np.int64], error: TissueError) -> PatchFeatures:
    """Return features of no patch at all: none of these can be read."""
    reasons = dict.fromkeys(map(tuple, cells.tolist()), error.found)
    return replace(grid.part(np.array([], np.int64)), unreadable=reasons)


def _within(slide: Slide, grid: PatchFeatures, cells: NDArray[np.int64]) -> TissueMask:
    """Return a mask of which each of these patches, and no other, holds a large part."""
    base = slide.levels[0]
    height = max(1, round(_PARTS * base.height / grid.stride_y))
    width = max(1, round(_PARTS * base.width / grid.stride_x))
    scale_x, scale_y = base.width / width, base.height / height
    pixels = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in grid.corners_at(*cells.T).tolist():
        rows = slice(_up(top / scale_y), int(bottom / scale_y + 1e-6))
        columns = slice(_up(left / scale_x), int(right / scale_x + 1e-6))
        pixels[rows, columns] = True
    return TissueMask(pixels, scale_x, scale_y, TissueChoice.AUTO)


def _up(value: float) -> int:
    return max(0, int(np.ceil(value - 1e-6)))


def _join(store: FeatureStore, old: PatchFeatures, new: PatchFeatures) -> PatchFeatures:
    """Keep the patches of both in the place of the first."""
    lost = {**old.unreadable, **new.unreadable}
    beside = np.array([*lost], np.int64).reshape(-1, 2)
    columns = np.concatenate([old.columns, new.columns, beside[:, 0]])
    rows = np.concatenate([old.rows, new.rows, beside[:, 1]])
    key = old.key
    steps = key.stride_x, key.stride_y, key.origin_x, key.origin_y
    grid = TileGrid((), columns, rows, key.mpp, key.tile_px, *steps, old.shape)
    precision = old.precision if old.precision != EXACT else new.precision
    writer = store.writer(key, grid, precision=precision, names=old.names, mpp=old.mpp)
    try:
        writer.add(np.arange(len(old)), old.features)
        writer.add(len(old) + np.arange(len(new)), new.features)
        for number, reason in enumerate(lost.values(), len(old) + len(new)):
            writer.add_unreadable(np.array([number]), reason)
        return writer.finish()
    finally:
        writer.discard()
