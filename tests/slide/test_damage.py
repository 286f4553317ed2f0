"""Damaged slides: the bad place is named, the handle renewed, all other places stay readable."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from napari_xmag.errors import SlideOpenError, TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode, Slide
from napari_xmag.slide.damage import picture_of_box
from napari_xmag.slide.guard.tiff_walk import walk_tiff
from napari_xmag.slide.handles import HandlePool
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.resample import read_resampled
from napari_xmag.slide.tiles import plan_tiles, read_tiles
from napari_xmag.slide.tissue import TissueMask, find_tissue, whole_slide
from tests.slides import draw_section, write_pyramid

BAD = Box(512, 256, 256, 256)
GOOD = Box(1024, 512, 256, 256)


@pytest.fixture(scope="module", params=["jpeg", "adobe_deflate"])
def damaged(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A slide whose tile at (512, 256) of level 0 holds rubbish; by OpenSlide and directly."""
    path = tmp_path_factory.mktemp("damaged") / "damaged.tiff"
    write_pyramid(path, draw_section(2560, 2048), compression=request.param)
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 2560×2048 px in two levels, in tiles of 256 px."""
    path = tmp_path_factory.mktemp("whole") / "whole.tiff"
    return write_pyramid(path, draw_section(2560, 2048), compression="adobe_deflate")


def cut(path: Path, length: int) -> Path:
    """Return a copy of the first bytes of a file."""
    short = path.with_name("cut.tiff")
    short.write_bytes(path.read_bytes()[:length])
    return short


def end_of_row(path: Path, row: int, level: int = 0) -> int:
    """Return the length at which a level's tiles up to a row are complete."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[level].aspage()
        last = row * -(-page.imagewidth // 256) - 1
        return int(page.dataoffsets[last] + page.databytecounts[last])


@pytest.fixture
def half(whole: Path) -> Path:
    """The slide cut after 4 of its 8 rows of tiles; the coarse level is gone too."""
    return cut(whole, end_of_row(whole, 4))


def test_a_cut_slide_opens_with_a_note(whole: Path, half: Path) -> None:
    slide = open_slide(half)
    (note,) = slide.notes
    assert note.code is NoteCode.DAMAGED
    assert "50 % of the slide" in note.words
    assert len(slide.levels) == 1
    assert (slide.mpp, slide.bounds) == (open_slide(whole).mpp, open_slide(whole).bounds)
    upper = Box(0, 0, 2560, 1024)
    np.testing.assert_array_equal(slide.read(upper, 0), open_slide(whole).read(upper, 0))
    with pytest.raises(TileReadError, match="y=1024"):
        slide.read(Box(0, 1024, 256, 256), 0)


def test_the_missing_part_is_hatched_on_every_level_of_the_viewer(half: Path) -> None:
    expected = draw_section(2560, 2048)
    for level in dask_pyramid(open_slide(half)):
        seen = np.asarray(level)
        scale = 2048 / seen.shape[0]
        middle = seen.shape[0] // 2
        stripes = seen[middle + 1 :]
        assert np.unique(stripes).tolist() == [120, 200]
        assert (stripes == stripes[..., :1]).all()
        above = expected[:1024].mean()
        assert abs(seen[:middle].mean() - above) < 1, f"at 1:{scale:g}"


def test_tissue_is_found_past_the_damage(whole: Path, half: Path) -> None:
    overview = read_overview(open_slide(half))
    middle = overview.pixels.shape[0] // 2
    assert overview.unreadable[middle + 1 :].all()
    assert not overview.unreadable[: middle - 1].any()
    assert not overview.usable[middle + 1 :].any()
    mask, complete = (find_tissue(open_slide(path)) for path in (half, whole))
    agree = mask.pixels[: middle - 1] == complete.pixels[: middle - 1]
    assert agree.mean() > 0.99
    assert not mask.pixels[middle + 1 :].any()


@pytest.mark.parametrize("find", [find_tissue, whole_slide])
def test_what_is_missing_is_planned_and_counted(
    half: Path, find: Callable[[Slide], TissueMask]
) -> None:
    slide = open_slide(half)
    grid = plan_tiles(slide, find(slide), mpp=2.0, tile_px=64)
    tiles = [tile for tile in read_tiles(slide, grid.boxes, 64, workers=2) if tile]
    lost = [grid.boxes[tile.index] for tile in tiles if tile.pixels is None]
    read = [grid.boxes[tile.index] for tile in tiles if tile.pixels is not None]
    assert len(lost) == 10 * 4
    assert all(box.bottom > 1024 for box in lost)
    assert read
    assert all(box.bottom <= 1024 for box in read)


def test_a_small_picture_of_a_cut_slide_shows_what_is_left(whole: Path, half: Path) -> None:
    """What lists and reports show: the readable half as it is, the other one hatched."""
    with open_slide(half) as cut, open_slide(whole) as slide:
        box = Box(0, 0, 2560, 2048)
        seen, unreadable = picture_of_box(cut, box, 80, 64)
        complete, nothing = picture_of_box(slide, box, 80, 64)
        _, all_lost = picture_of_box(cut, Box(0, 1536, 512, 256), 64, 32)
    assert not nothing.any()
    assert unreadable[48:].all()
    assert not unreadable[:16].any()
    assert all_lost.all()
    np.testing.assert_allclose(seen[:16].astype(int), complete[:16].astype(int), atol=4)
    lost = {tuple(color) for color in seen[unreadable].tolist()}
    assert lost == {(120, 120, 120), (200, 200, 200)}


def test_a_coarse_level_that_was_cut_is_left_out(whole: Path) -> None:
    path = cut(whole, end_of_row(whole, 1, level=1))
    slide = open_slide(path)
    (note,) = slide.notes
    assert "1 coarse level" in note.words
    assert len(slide.levels) == 1
    box = Box(0, 0, 2560, 2048)
    np.testing.assert_array_equal(slide.read(box, 0), open_slide(whole).read(box, 0))
    assert not read_overview(slide).unreadable.any()


def test_a_finer_level_stands_in_for_a_damaged_tile(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "coarse.tiff"
    path.write_bytes(whole.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages[1].aspage()
        offset, count = page.dataoffsets[0], page.databytecounts[0]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes([7]) * count)
    slide, complete = open_slide(path), open_slide(whole)
    box = Box(0, 0, 1024, 1024)
    with pytest.raises(TileReadError):
        slide.read(box, 1)
    seen, expected = (read_resampled(one, box, 256, 256).astype(int) for one in (slide, complete))
    assert np.abs(seen - expected).mean() < 3
    shown = [np.asarray(dask_pyramid(one)[1]).astype(int) for one in (slide, complete)]
    assert np.abs(shown[0] - shown[1]).mean() < 3


def test_a_slide_of_which_nothing_is_left_is_refused(whole: Path) -> None:
    with tifffile.TiffFile(whole) as file:
        start = min(file.pages[0].aspage().dataoffsets)
    with pytest.raises(SlideOpenError, match="cut off before its first pixels"):
        open_slide(cut(whole, start))


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}], ids=str)
def test_directories_are_counted(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "three.tif"
    with tifffile.TiffWriter(path, **options) as writer:
        for _ in range(3):
            writer.write(np.zeros((32, 32, 3), np.uint8), photometric="rgb", metadata=None)
    walk = walk_tiff(path)
    assert (len(walk.directories), walk.complete) == (3, True)
    with tifffile.TiffFile(path) as file:
        last = file.pages[2].aspage().offset
    walk = walk_tiff(cut(path, last))
    assert (len(walk.directories), walk.complete) == (2, False)


def test_directories_that_go_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            writer.write(np.zeros((32, 32, 3), np.uint8), photometric="rgb", metadata=None)
    data = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        first, second = (page.aspage().offset for page in file.pages)
    entries = int.from_bytes(data[second : second + 2], "little")
    end = second + 2 + 12 * entries
    path.write_bytes(data[:end] + first.to_bytes(4, "little") + data[end + 4 :])
    with pytest.raises(SlideOpenError, match="circular"):
        open_slide(path)


def test_a_description_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "slide.ome.tif"
    size = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    pixels = draw_section(512, 384)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), ome=True, metadata=size)
    assert open_slide(path).notes == ()
    with tifffile.TiffFile(path) as file:
        end = file.pages[0].tags["ImageDescription"].valueoffset
        assert end > file.pages[0].dataoffsets[-1]
    slide = open_slide(cut(path, end + 9))
    np.testing.assert_array_equal(slide.read(Box(0, 0, 512, 384), 0), pixels)
    assert slide.mpp is None
    assert [note.code for note in slide.notes] == [NoteCode.DAMAGED]
    assert "pixel size" in slide.notes[0].words
