"""Bags: which tiles are read, and which places of the slide their cells are."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import ConfigError
from napari_xmag.slide.bag import plan_bag
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueMask, find_tissue


@pytest.fixture
def slide(bounds_slide: Path) -> Slide:
    return open_slide(bounds_slide)


def test_whole_tiles_stand_for_themselves(slide: Slide) -> None:
    bag = plan_bag(slide, find_tissue(slide), mpp=2.0, tile_px=64)
    assert bag.patches is bag.tiles
    np.testing.assert_array_equal(bag.members, np.arange(len(bag.tiles.boxes))[:, None])


def test_each_cell_lies_in_its_place_within_its_tile(slide: Slide) -> None:
    bag = plan_bag(slide, find_tissue(slide), mpp=2.0, tile_px=64, cells=4)
    assert bag.tiles.stride_x == pytest.approx(4 * bag.patches.stride_x)
    assert len(bag.tiles.boxes) > 1
    for tile, members in zip(bag.tiles.boxes, bag.members, strict=True):
        for within, place in enumerate(members):
            if place < 0:
                continue
            cell = bag.patches.boxes[place]
            assert cell.x - tile.x == pytest.approx(within % 4 * tile.width / 4, abs=1e-6)
            assert cell.y - tile.y == pytest.approx(within // 4 * tile.height / 4, abs=1e-6)


def test_every_place_belongs_to_one_tile_and_glass_to_none(slide: Slide) -> None:
    mask = find_tissue(slide)
    bag = plan_bag(slide, mask, mpp=2.0, tile_px=64, cells=4, min_tissue=0.5)
    kept = bag.members[bag.members >= 0]
    assert sorted(kept) == list(range(len(bag.patches.boxes)))
    assert (bag.members == -1).any()
    assert (mask.fractions(bag.patches.boxes) >= 0.5).all()


def test_a_sliver_of_tissue_is_read_for_its_cell(slide: Slide) -> None:
    # One cell in sixteen is tissue: too little for a tile, enough for a cell.
    pixels = np.zeros((64, 64), np.bool_)
    side = slide.levels[0].width / 64, slide.levels[0].height / 64
    x, y = slide.bounds.x / side[0], slide.bounds.y / side[1]
    pixels[int(y) + 1 : int(y) + 3, int(x) + 1 : int(x) + 3] = True
    mask = TissueMask(pixels, *side, "painted")
    tile_px = 256
    whole = plan_bag(slide, mask, mpp=2.0, tile_px=tile_px)
    fine = plan_bag(slide, mask, mpp=2.0, tile_px=tile_px, cells=4)
    assert len(whole.tiles.boxes) == 0
    assert len(fine.tiles.boxes) == 1
    assert 1 <= (fine.members >= 0).sum() < 16


def test_no_tissue_gives_an_empty_bag(slide: Slide) -> None:
    nothing = TissueMask(np.zeros((8, 8), np.bool_), 100.0, 100.0, "painted")
    bag = plan_bag(slide, nothing, mpp=2.0, tile_px=64, cells=4)
    assert bag.tiles.boxes == bag.patches.boxes == ()
    assert bag.members.shape == (0, 16)


def test_cells_must_divide_the_tile(slide: Slide) -> None:
    with pytest.raises(ConfigError, match="divides a tile of 250 px, but found 4"):
        plan_bag(slide, find_tissue(slide), mpp=2.0, tile_px=250, cells=4)
