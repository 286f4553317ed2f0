"""The bag of a slide: the patches that the head attends over, and the tiles that show them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tiles import TileGrid, plan_tiles
from napari_xmag.slide.tissue import TissueMask


@dataclass(frozen=True, eq=False)
class Bag:
    """Which tiles are read, and which patches of the slide they stand for.

    A tile stands for itself, or for the cells of its token grid that hold tissue: a student that
    was distilled with local tokens describes each of its cells, so that one pass at 5x gives a map
    as fine as 20x tiles would.

    Attributes
    ----------
    tiles
        The T tiles to read.
    patches
        The P places that the head attends over; the tiles themselves where ``members`` has one
        column.
    members
        int64 (T, N): for each tile its places, cells row by row; -1 where a cell is glass.
    """

    tiles: TileGrid
    patches: TileGrid
    members: NDArray[np.int64]


def plan_bag(
    slide: Slide,
    mask: TissueMask,
    *,
    mpp: float,
    tile_px: int,
    cells: int = 1,
    min_tissue: float = 0.2,
    aside: bool = False,
) -> Bag:
    """Lay the grid of patches over the slide's bounds, and gather them into tiles.

    Parameters
    ----------
    mpp, tile_px
        As the model wants its tiles.
    cells
        Places a side of each tile; 1 when the head attends over whole tiles.
    min_tissue
        Least part of a patch, 0 to 1, that must be tissue.
    aside
        Lay the grid half a patch aside, up and to the left.

    Raises
    ------
    MppMissingError
        When the slide has no mpp.
    ConfigError
        When a setting is out of its range, or a tile does not divide into the cells.
    """
    if cells < 1 or tile_px % cells:
        raise ConfigError(
            expected=f"a number of cells that divides a tile of {tile_px} px",
            found=str(cells),
            hint="Correct the model's description.",
        )
    side = tile_px // cells
    patches = plan_tiles(slide, mask, mpp=mpp, tile_px=side, min_tissue=min_tissue, aside=aside)
    if cells == 1:
        return Bag(patches, patches, np.arange(len(patches.boxes))[:, None])
    return _gathered(patches, cells)


def _gathered(patches: TileGrid, cells: int) -> Bag:
    rows, columns = -(-patches.shape[0] // cells), -(-patches.shape[1] // cells)
    owner = patches.rows // cells * columns + patches.columns // cells
    kept, tile = np.unique(owner, return_inverse=True)
    members = np.full((len(kept), cells * cells), -1, np.int64)
    within = patches.rows % cells * cells + patches.columns % cells
    members[tile, within] = np.arange(len(owner))
    tiles = replace(
        patches,
        columns=kept % columns,
        rows=kept // columns,
        tile_px=patches.tile_px * cells,
        stride_x=patches.stride_x * cells,
        stride_y=patches.stride_y * cells,
        shape=(rows, columns),
    )
    boxes = tuple(
        tiles.box(row, column) for row, column in zip(tiles.rows, tiles.columns, strict=True)
    )
    return Bag(replace(tiles, boxes=boxes), patches, members)
