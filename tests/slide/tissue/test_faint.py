"""Tissue that is hardly stained is found by its texture; what only has a tint is not."""

from pathlib import Path

import numpy as np
import pytest

from tests.slide.tissue.sections import HEIGHT, WIDTH, ellipse, faded, find, share
from tests.slides import GLASS, draw_section


@pytest.mark.parametrize("strength", [0.2, 0.1])
def test_a_faded_section_is_found(tmp_path: Path, strength: float) -> None:
    mask = find(tmp_path, faded(draw_section(WIDTH, HEIGHT, seed=8), GLASS, strength))
    assert share(mask, ellipse()) > 0.95
    assert share(mask, ~ellipse()) < 0.01


def test_a_faded_half_beside_a_vivid_one_is_found(tmp_path: Path) -> None:
    strength = np.where(np.arange(WIDTH) < WIDTH / 2, 1.0, 0.1)[None, :, None]
    mask = find(tmp_path, faded(draw_section(WIDTH, HEIGHT, seed=9), GLASS, strength))
    pale = ellipse() & (np.arange(WIDTH) > WIDTH / 2 + 10)
    assert share(mask, pale) > 0.9
    assert share(mask, ~ellipse()) < 0.01


def test_glass_without_mounting_medium_has_no_texture(tmp_path: Path) -> None:
    section = draw_section(WIDTH, HEIGHT, seed=10).astype(np.float32)
    dry = np.broadcast_to(np.arange(HEIGHT)[:, None] > 530, (HEIGHT, WIDTH))
    section[dry] *= (0.96, 0.96, 0.94)
    mask = find(tmp_path, section.astype(np.uint8))
    assert share(mask, dry) < 0.01
    assert share(mask, ellipse()) > 0.97


def test_a_blank_slide_with_haze_stays_blank(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    haze = 6 * np.exp(-(((x - 300) / 150) ** 2) - ((y - 300) / 120) ** 2)
    blank = 243 - haze[..., None] * (0, 1, 0.3) + rng.normal(0, 2, (HEIGHT, WIDTH, 3))
    assert not find(tmp_path, blank.astype(np.uint8)).pixels.any()
