"""The pyramid for the viewer: lazy, aligned, complete, and never all in memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.pyramid import dask_pyramid
from tests.slides import Pixels, draw_section, write_pyramid


class _Counting:
    """A slide that counts the level-0 pixels it was asked for."""

    def __init__(self, path: Path) -> None:
        self._slide = open_slide(path)
        self.pixels = 0
        self.largest = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._slide, name)

    def read(self, box: Box, level: int) -> Pixels:
        pixels = self._slide.read(box, level)
        size = pixels.shape[0] * pixels.shape[1]
        self.pixels += size
        self.largest = max(self.largest, size)
        return pixels


def test_missing_levels_are_added(single_level_slide: Path) -> None:
    levels = dask_pyramid(open_slide(single_level_slide))
    assert [level.shape for level in levels] == [(2600, 3000, 3), (1300, 1500, 3), (650, 750, 3)]
    assert all(level.dtype == np.uint8 for level in levels)
    full = np.asarray(levels[0])
    expected = full.reshape(650, 4, 750, 4, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(levels[2]) - expected).max() < 1.5


def test_making_it_reads_nothing_and_each_place_is_read_once(single_level_slide: Path) -> None:
    slide = _Counting(single_level_slide)
    levels = dask_pyramid(slide)  # type: ignore[arg-type]
    assert slide.pixels == 0
    np.asarray(levels[-1])
    assert slide.pixels == 2600 * 3000
    assert slide.largest <= 1024**2
    np.asarray(levels[-1])
    assert slide.pixels == 2600 * 3000


def test_a_view_reads_only_what_is_seen(pyramid_slide: Path) -> None:
    slide = _Counting(pyramid_slide)
    levels = dask_pyramid(slide)  # type: ignore[arg-type]
    np.asarray(levels[0][100:200, 300:450])
    assert slide.pixels <= 1024**2


def test_chunks_are_whole_native_tiles(tmp_path: Path, pyramid_slide: Path) -> None:
    assert dask_pyramid(open_slide(pyramid_slide))[0].chunksize == (1024, 1024, 3)
    path = write_pyramid(tmp_path / "240.tiff", draw_section(2000, 1000), tile=240, factors=(1,))
    slide = open_slide(path)
    assert slide.tile_size == (240, 240)
    assert dask_pyramid(slide)[0].chunksize == (960, 960, 3)


@pytest.mark.parametrize("size", [(2049, 1031), (4097, 2999), (3333, 3333)])
def test_levels_stay_aligned_to_less_than_a_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    x, y = size[0] - 64, size[1] - 80
    pixels[y : y + 48, x : x + 32] = 0
    path = write_pyramid(tmp_path / "odd.tiff", pixels, compression=None, factors=(1,))
    for level in dask_pyramid(open_slide(path)):
        picture = 255 - np.asarray(level)[..., 0].astype(float)
        rows, columns = np.indices(picture.shape) + 0.5
        scale_y, scale_x = size[1] / picture.shape[0], size[0] / picture.shape[1]
        center = (
            (columns * picture).sum() / picture.sum() * scale_x,
            (rows * picture).sum() / picture.sum() * scale_y,
        )
        assert abs(center[0] - (x + 16)) < scale_x
        assert abs(center[1] - (y + 24)) < scale_y


def test_slices_of_all_kinds_agree(single_level_slide: Path) -> None:
    level = dask_pyramid(open_slide(single_level_slide))[1]
    full = np.asarray(level)
    for key in (
        np.s_[5:900:7, 100:1200:3],
        np.s_[::-1, 10:400],
        np.s_[700, :, 1],
        np.s_[3:3, :],
        np.s_[..., 2],
        np.s_[[3, 800, 40], 5:9],
    ):
        np.testing.assert_array_equal(np.asarray(level[key]), full[key])


def test_colour_is_applied_on_all_levels(single_level_slide: Path) -> None:
    plain = dask_pyramid(open_slide(single_level_slide))
    inverted = dask_pyramid(open_slide(single_level_slide), color=lambda pixels: 255 - pixels)
    for one, other in zip(plain, inverted, strict=True):
        difference = np.asarray(one).astype(int) + np.asarray(other) - 255
        assert np.abs(difference).max() <= 2  # rounding in each of two added levels


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        "CMU-1-Small-Region.svs",
        "OS-2-ndpi.ome.tif",
        "dicom-cmu-1-small-region",
        "lung-squamous-cell-carcinoma__HE3.tiff",
        "tcga-cr-7395-01a-01-ts1.svs",
    ],
)
def test_real_slides(real_slides: Path, name: str) -> None:
    levels = dask_pyramid(open_slide(real_slides / name))
    assert max(levels[-1].shape) <= 1024
    assert all(max(level.shape) > 1024 for level in levels[:-1])
    assert np.asarray(levels[-1]).std() > 10


def test_reading_loads_neither_torch_nor_a_window() -> None:
    code = (
        "import sys; import napari_xmag.slide.open, napari_xmag.slide.pyramid, "
        "napari_xmag.slide.tiles, napari_xmag.slide.colors.profile, napari_xmag.slide.metadata; "
        "print(sorted({'torch', 'napari', 'qtpy', 'timm', 'skimage'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
