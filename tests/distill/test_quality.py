"""Fields that are left out, and why."""

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.data import immunohistochemistry

from napari_xmag.distill.quality import problem
from tests.slides import GLASS, Pixels, draw_section


def tissue(side: int = 256) -> Pixels:
    return draw_section(3 * side, 3 * side)[side : 2 * side, side : 2 * side]


def test_tissue_is_kept() -> None:
    assert problem(tissue()) == ""


def test_pale_tissue_is_kept() -> None:
    # A real picture: what tells pale tissue from glass is its texture.
    real = immunohistochemistry()[:256, :256].astype(np.float32)
    pale = 255 - (255 - real) * 0.35
    assert problem(pale.astype(np.uint8)) == ""


def test_glass_with_a_little_tissue() -> None:
    pixels = np.full((256, 256, 3), GLASS, np.uint8)
    pixels[:64] = tissue()[:64]
    assert problem(pixels) == "glass"


def test_pen_of_each_color() -> None:
    for color in ((20, 40, 160), (20, 130, 60), (15, 15, 18)):
        pixels = tissue().copy()
        pixels[40:120, 40:200] = color
        assert problem(pixels) == "pen", color


def test_blurred() -> None:
    blurred = gaussian_filter(tissue().astype(np.float32), (6, 6, 0))
    assert problem(np.clip(blurred, 0, 255).astype(np.uint8)) == "blur"


def test_nearly_constant() -> None:
    noise = np.random.default_rng(0).normal(0, 2, (256, 256, 3))
    flat = np.clip(np.array([190, 120, 160]) + noise, 0, 255).astype(np.uint8)
    assert problem(flat) == "flat"
