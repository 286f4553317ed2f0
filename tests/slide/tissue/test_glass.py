"""Glass is the slide's own smooth bright colour, whatever tint that has."""

from pathlib import Path

import numpy as np
import pytest

from tests.slide.tissue.sections import HEIGHT, WIDTH, ellipse, faded, find, share
from tests.slides import Color, draw_section

TINTS: tuple[Color, ...] = (
    (255, 255, 255), (238, 230, 200), (230, 215, 170), (240, 236, 218),
    (225, 230, 245), (215, 225, 245), (200, 200, 200), (225, 240, 225),
)  # fmt: skip


@pytest.mark.parametrize("glass", TINTS)
@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_tinted_glass_is_glass(tmp_path: Path, glass: Color, strength: float) -> None:
    section = faded(draw_section(WIDTH, HEIGHT, seed=5), (243, 243, 243), strength)
    tinted = np.minimum(section / 243 * np.array(glass), 255).astype(np.uint8)
    mask = find(tmp_path, tinted)
    assert share(mask, ellipse()) > 0.97
    assert share(mask, ~ellipse()) < 0.01
    assert mask.findings is not None
    assert mask.findings.glass == pytest.approx(glass, abs=3)


def test_glass_that_yellows_across_the_slide_is_glass(tmp_path: Path) -> None:
    section = draw_section(WIDTH, HEIGHT, seed=6) / 243
    white, yellow = np.array((245, 245, 245)), np.array((238, 230, 200))
    across = white + (yellow - white) * (np.arange(WIDTH) / WIDTH)[None, :, None]
    mask = find(tmp_path, np.clip(section * across, 0, 255).astype(np.uint8))
    assert share(mask, ellipse()) > 0.97
    assert share(mask, ~ellipse()) < 0.01
