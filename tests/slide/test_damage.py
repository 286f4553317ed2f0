"""Damaged slides: the bad place is named, the handle renewed, all other places stay readable."""

import logging
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from napari_xmag.errors import TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.handles import HandlePool
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.tiles import read_tiles
from tests.slides import draw_section, write_pyramid

BAD = Box(512, 256, 256, 256)
GOOD = Box(1024, 512, 256, 256)


@pytest.fixture(params=["jpeg", "adobe_deflate"])
def damaged(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A slide whose tile at (512, 256) of level 0 holds rubbish; by OpenSlide and directly."""
    path = write_pyramid(
        tmp_path / "damaged.tiff", draw_section(2560, 2048), compression=request.param
    )
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        index = 1 * 10 + 2
        offset, count = page.dataoffsets[index], page.databytecounts[index]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes([7]) * count)
    return path


def test_bad_place_is_named_and_others_stay_readable(damaged: Path) -> None:
    slide = open_slide(damaged)
    expected = slide.read(GOOD, 0)
    for _ in range(3):
        with pytest.raises(TileReadError, match="x=512, y=256"):
            slide.read(BAD, 0)
        np.testing.assert_array_equal(slide.read(GOOD, 0), expected)
    assert expected.std() > 3


def test_run_goes_on_over_a_bad_tile(damaged: Path) -> None:
    slide = open_slide(damaged)
    boxes = [Box(256 * x, 256 * y, 256, 256) for y in range(4) for x in range(8)]
    tiles = [tile for tile in read_tiles(slide, boxes, 256, workers=2) if tile]
    assert len(tiles) == len(boxes)
    bad = [tile.index for tile in tiles if tile.pixels is None]
    # Margins for resampling are read only where the tile does not lie on whole pixels.
    assert bad == [10]
    assert "damaged.tiff" in tiles[10].error


def test_viewing_hatches_what_is_damaged_and_warns_once(
    damaged: Path, caplog: pytest.LogCaptureFixture
) -> None:
    level = dask_pyramid(open_slide(damaged))[0]
    with caplog.at_level(logging.WARNING):
        seen = np.asarray(level[:1024, :1024])
        np.asarray(level[:1024, :1024])
    striped = seen[256:512, 512:768]
    assert {tuple(color) for color in striped.reshape(-1, 3).tolist()} == {(120,) * 3, (200,) * 3}
    assert seen[512:, 512:].std() > 3
    assert sum("damaged.tiff" in record.getMessage() for record in caplog.records) == 1


def test_reading_a_closed_slide_is_an_error(damaged: Path) -> None:
    slide = open_slide(damaged)
    slide.close()
    slide.close()
    with pytest.raises(TileReadError, match="closed"):
        slide.read(GOOD, 0)


def test_handle_is_dropped_after_an_error_and_kept_otherwise() -> None:
    opened: list[int] = []
    closed: list[int] = []
    pool = HandlePool(lambda: opened.append(len(opened)) or len(opened), closed.append)
    with pool.borrow() as first, pool.borrow() as second:
        assert first != second
    with pytest.raises(OSError, match="bad"), pool.borrow() as third:
        raise OSError("bad")
    assert closed == [third]
    with pool.borrow() as fourth:
        assert fourth in {first, second} - {third}
        pool.close()
    assert sorted(closed) == [1, 2]
    with pytest.raises(ValueError, match="closed"), pool.borrow():
        pass


def test_files_are_closed_with_a_forgotten_slide(damaged: Path) -> None:
    closed: list[int] = []
    pool = HandlePool(lambda: 1, closed.append)
    with pool.borrow():
        pass
    del pool
    assert closed == [1]


def test_direct_reading_gives_the_pixels_of_openslide(aperio_slide: Path) -> None:
    slide = open_slide(aperio_slide)
    with openslide.OpenSlide(aperio_slide) as reference:
        for level in slide.levels:
            x, y = level.width // 3, level.height // 4
            place = round(x * level.downsample), round(y * level.downsample)
            region = reference.read_region(place, level.index, (150, 130)).convert("RGB")
            seen = slide.read(level.box(x, y, 150, 130), level.index)
            np.testing.assert_array_equal(seen, np.asarray(region))
