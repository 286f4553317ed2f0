"""Tiles: exact mpp, exact place, the same from every level; bad ones marked; threads that stop."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError, MppMissingError, TileReadError
from napari_xmag.geometry import Box, Level, Mpp
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.resample import finer_level
from napari_xmag.slide.tiles import plan_tiles, read_tile, read_tiles
from napari_xmag.slide.tissue import TissueChoice, TissueMask, find_tissue, whole_slide
from tests.listener import Gate, threads_end
from tests.slides import draw_section, write_pyramid


@dataclass
class _SlowSlide:
    """A slide whose readers may be held up, and are counted; it has bad places."""

    gate: Gate = field(default_factory=lambda: Gate(10_000))
    bad: frozenset[int] = frozenset()
    reads: list[float] = field(default_factory=list)
    levels: tuple[Level, ...] = (Level(0, 64000, 64, 1.0, 1.0),)
    bounds: Box = field(default_factory=lambda: Box(0, 0, 64000, 64))
    path: Path = Path("slow.tiff")
    mpp: Mpp | None = field(default_factory=lambda: Mpp(1, 1))

    def read(self, box: Box, level: int) -> NDArray[np.uint8]:
        self.reads.append(box.x)
        self.gate.hold()
        if int(box.x) // 64 in self.bad:
            raise TileReadError(expected="pixels", found="a broken tile", hint="None.")
        return np.full((round(box.height), round(box.width), 3), int(box.x) // 64, np.uint8)


def _boxes(number: int) -> list[Box]:
    return [Box(64 * index, 0, 64, 64) for index in range(number)]


def test_tile_is_as_large_as_the_model_wants(tmp_path: Path) -> None:
    path = write_pyramid(
        tmp_path / "a.tiff", draw_section(1200, 900), mpp=(0.5, 0.263), factors=(1,)
    )
    slide = open_slide(path)
    grid = plan_tiles(slide, whole_slide(slide), mpp=2.0, tile_px=128, min_tissue=0)
    assert grid.stride_x == pytest.approx(512)
    assert grid.stride_y == pytest.approx(128 * 2 / 0.263)
    assert grid.shape == (1, 3)
    assert all(box.width == grid.stride_x and box.height == grid.stride_y for box in grid.boxes)


def test_grid_starts_at_the_bounds_and_keeps_tissue_only(bounds_slide: Path) -> None:
    slide = open_slide(bounds_slide)
    mask = find_tissue(slide)
    grid = plan_tiles(slide, mask, mpp=2.0, tile_px=64)
    assert (grid.origin_x, grid.origin_y) == (1501, 2003)
    assert grid.shape == (6, 8)
    assert 0 < len(grid.boxes) < 48
    assert (mask.fractions(grid.boxes) >= 0.2).all()
    for box, column, row in zip(grid.boxes, grid.columns, grid.rows, strict=True):
        assert box == Box(1501 + column * 256, 2003 + row * 256, 256, 256)


def test_a_grid_aside_begins_half_a_tile_earlier_and_covers_all(bounds_slide: Path) -> None:
    slide = open_slide(bounds_slide)
    mask = whole_slide(slide)
    grid = plan_tiles(slide, mask, mpp=2.0, tile_px=64, min_tissue=0, aside=True)
    assert (grid.origin_x, grid.origin_y) == (1501 - 128, 2003 - 128)
    assert grid.boxes[0] == Box(1501 - 128, 2003 - 128, 256, 256)
    bounds, last = slide.bounds, grid.boxes[-1]
    assert last.right - 256 < bounds.right <= last.right
    assert last.bottom - 256 < bounds.bottom <= last.bottom
    tile = read_tile(slide, grid.boxes[0], 64)
    inner = read_tile(slide, Box(1501, 2003, 128, 128), 32)
    assert np.abs(tile[36:, 36:].astype(int) - inner[4:, 4:]).mean() < 4


def test_no_tissue_no_tiles(pyramid_slide: Path) -> None:
    slide = open_slide(pyramid_slide)
    empty = TissueMask(np.zeros((20, 30), bool), 100, 100, "painted")
    grid = plan_tiles(slide, empty, mpp=2.0, tile_px=64, min_tissue=0)
    assert grid.boxes == ()
    assert grid.columns.shape == (0,)


def test_plan_needs_mpp_and_sane_settings(no_mpp_slide: Path, pyramid_slide: Path) -> None:
    slide = open_slide(no_mpp_slide)
    with pytest.raises(MppMissingError):
        plan_tiles(slide, whole_slide(slide), mpp=2.0, tile_px=64)
    slide = open_slide(pyramid_slide)
    with pytest.raises(ConfigError, match="mpp=0"):
        plan_tiles(slide, whole_slide(slide), mpp=0, tile_px=64)


def test_nearest_finer_level() -> None:
    levels = tuple(
        Level(index, 100, 100, scale, scale) for index, scale in enumerate((1.0, 4.0007, 16.0))
    )
    assert [finer_level(levels, scale).index for scale in (0.5, 1, 3.9, 4, 8, 16, 40)] == [
        0, 0, 0, 1, 1, 2, 2,
    ]  # fmt: skip


def test_tile_lies_where_it_should_from_every_level(tmp_path: Path) -> None:
    """A ramp shows a shift as a change of value: 2 grey values are 1 level-0 pixel."""
    pixels = np.tile(2 * np.arange(128, dtype=np.uint8)[None, :, None], (128, 1, 3))
    one = open_slide(write_pyramid(tmp_path / "1.tiff", pixels, factors=(1,), compression=None))
    many = open_slide(
        write_pyramid(tmp_path / "n.tiff", pixels, factors=(1, 2, 4), compression=None)
    )
    for x in (16.0, 21.3, 30.7):
        for side in (32.0, 50.25, 65.1, 83.3):
            box = Box(x, 20.4, side, side)
            columns = x + (np.arange(16) + 0.5) * side / 16 - 0.5
            for slide in (one, many):
                seen = read_tile(slide, box, 16)[8, :, 0] / 2
                # A quarter is what rounding to whole grey values may do.
                assert np.abs(seen - columns).max() < 0.4


def test_level_0_and_coarse_level_give_the_same_picture(aperio_slide: Path) -> None:
    slide = open_slide(aperio_slide)
    single = open_slide(aperio_slide)
    single.levels = single.levels[:1]
    box = Box(1500.3, 1200.7, 1024, 1024)
    fine = read_tile(single, box, 128).astype(float)
    coarse = read_tile(slide, box, 128).astype(float)
    assert np.abs(fine - coarse).mean() < 2
    assert np.corrcoef(fine.ravel(), coarse.ravel())[0, 1] > 0.99


def test_fine_stripes_do_not_alias(tmp_path: Path) -> None:
    pixels = np.zeros((1024, 1024, 3), np.uint8)
    pixels[:, ::2] = 200
    slide = open_slide(write_pyramid(tmp_path / "s.tiff", pixels, factors=(1,), compression=None))
    tile = read_tile(slide, Box(128.5, 128, 64 * 4.3, 64 * 4.3), 64)
    assert np.abs(tile.astype(float) - 100).max() < 6


def test_tiles_come_in_order_and_whole() -> None:
    tiles = [tile for tile in read_tiles(_SlowSlide(), _boxes(200), 64, workers=3) if tile]
    assert [tile.index for tile in tiles] == list(range(200))
    assert all(tile.pixels is not None and tile.pixels[0, 0, 0] == tile.index for tile in tiles)


def test_bad_tile_is_marked_and_the_run_goes_on() -> None:
    slide = _SlowSlide(bad=frozenset({3}))
    tiles = [tile for tile in read_tiles(slide, _boxes(8), 64) if tile]
    assert [tile.index for tile in tiles if tile.pixels is None] == [3]
    assert tiles[3].error == "a broken tile"
    assert tiles[4].error == ""


def test_prefetch_is_bounded() -> None:
    slide = _SlowSlide()
    tiles = read_tiles(slide, _boxes(500), 64, workers=2, ahead=10)
    assert next(tiles) is not None
    tiles.close()
    assert threads_end("xmag-tiles")
    assert len(slide.reads) <= 11


def test_heartbeat_while_nothing_comes() -> None:
    gate = Gate()
    tiles = read_tiles(_SlowSlide(gate), _boxes(2), 64, workers=1, poll_seconds=0.01)
    assert next(tiles) is None
    assert next(tiles) is None
    gate.open()
    assert [tile.index for tile in tiles if tile] == [0, 1]


def test_closing_stops_the_threads_and_does_not_wait_for_them() -> None:
    gate = Gate(let_through=1)
    slide = _SlowSlide(gate)
    tiles = read_tiles(slide, _boxes(500), 64, workers=3, ahead=100)
    next(tiles)
    tiles.close()
    gate.open()
    assert threads_end("xmag-tiles")
    assert not gate.overdue
    assert len(slide.reads) <= 1 + 3


def test_no_boxes_no_tiles() -> None:
    assert list(read_tiles(_SlowSlide(), [], 64)) == []


@pytest.mark.parametrize("mpp", [1e-6, 0.01])
def test_tiles_without_number_are_refused_at_once(mpp: float) -> None:
    slide = _SlowSlide(bounds=Box(0, 0, 300_000, 200_000))
    mask = TissueMask(np.ones((2, 3), bool), 1e5, 1e5, TissueChoice.WHOLE)
    with pytest.raises(ConfigError, match="a grid of 4,194,304 tiles or fewer"):
        plan_tiles(slide, mask, mpp=mpp, tile_px=256)
