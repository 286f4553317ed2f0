"""The built-in sample slide."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.sample import (
    SAMPLE_MPP,
    block_means,
    laid_on_glass,
    sample_slide,
    samples_folder,
)


def test_it_is_a_pyramid_with_its_pixel_size(sample: Path) -> None:
    slide = open_slide(sample)
    assert [(level.width, level.height) for level in slide.levels] == [
        (12288, 8192),
        (3072, 2048),
        (768, 512),
    ]
    assert slide.mpp is not None
    assert slide.mpp.x == pytest.approx(SAMPLE_MPP)
    assert not slide.mpp_conflict


def test_it_looks_like_tissue_in_the_colours_of_he_on_glass(sample: Path) -> None:
    slide = open_slide(sample)
    picture = slide.read(Box(0, 0, 12288, 8192), 2).astype(float)
    assert picture[:40].min() > 235
    assert picture[-20:].min() > 235
    tissue = picture[picture.min(-1) < 220]
    assert 0.3 < len(tissue) / (768 * 512) < 0.6
    red, green, blue = tissue.mean(0)
    assert green < blue < red


def test_its_levels_show_the_same(sample: Path) -> None:
    slide = open_slide(sample)
    box = Box(4096, 3072, 2048, 2048)
    fine = slide.read(box, 0).reshape(128, 16, 128, 16, 3).mean((1, 3))
    # JPEG blurs single pixels; a level out of place would differ by 20 and more.
    assert np.abs(slide.read(box, 2) - fine).mean() < 5
    assert np.abs(slide.read(box.shifted(32, 0), 2) - fine).mean() > 15


def test_its_tiles_differ(sample: Path) -> None:
    # A plain mirror would show every tile of 1024 px the same picture.
    slide = open_slide(sample)
    tiles = [slide.read(Box(x, 4096, 1024, 1024), 1) for x in (3072, 4096, 5120, 6144)]
    means = np.array([tile.mean((0, 1)) for tile in tiles])
    assert np.ptp(means, axis=0).min() > 1.5


def test_it_is_made_once(sample: Path) -> None:
    before = sample.stat().st_mtime_ns
    assert sample_slide(sample.parent) == sample
    assert sample.stat().st_mtime_ns == before
    assert list(sample.parent.iterdir()) == [sample]


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path))
    assert samples_folder().is_relative_to(tmp_path)
    monkeypatch.delenv("NAPARI_XMAG_HOME")
    assert not samples_folder().is_relative_to(tmp_path)


def test_coarse_levels_are_means_rounded_to_even() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    pixels[0, :4, :4] = 255
    for side in (2, 4, 16):
        blocks = pixels.reshape(2, 64 // side, side, 96 // side, side, 3)
        expected = np.round(blocks.mean((2, 4), dtype=np.float64)).astype(np.uint8)
        np.testing.assert_array_equal(block_means(pixels, side), expected)


def test_pictures_repeat_without_end_and_glass_lies_around() -> None:
    pictures = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    row, column = np.array([[-1], [0], [5]]), np.array([[-3, 2, 9]])
    shade = np.array([[0, 1, 1]])
    tissue = np.array([[True, True, False], [True, False, True], [False, True, True]])
    laid = laid_on_glass(pictures, (shade, row, column), tissue)
    for y, x in np.ndindex(3, 3):
        inside = pictures[shade[0, x], row[y, 0] % 3, column[0, x] % 4]
        assert laid[y, x].tolist() == (inside.tolist() if tissue[y, x] else [243] * 3)
