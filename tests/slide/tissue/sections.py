"""A drawn section as a slide, and how much of it the finder finds."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import TissueMask, find_tissue
from tests.slides import Pixels, write_pyramid

WIDTH, HEIGHT = 800, 600
MPP = 2.0
Mask = NDArray[np.bool_]


def ellipse() -> Mask:
    """Where draw_section puts tissue, bool (HEIGHT, WIDTH)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((x / WIDTH - 0.5) / 0.32) ** 2 + ((y / HEIGHT - 0.5) / 0.36) ** 2 < 1


def faded(pixels: Pixels, glass: tuple[int, int, int], strength: float | NDArray) -> Pixels:
    """Return a picture stained with part of the dye: transmission falls with its amount."""
    light = np.clip(pixels, 1, 255) / np.array(glass, np.float32)
    return np.clip(glass * light**strength, 0, 255).astype(np.uint8)


def find(folder: Path, pixels: Pixels) -> TissueMask:
    """Write a picture as a slide of 2.0 µm/px, and find its tissue."""
    with open_slide(write_pyramid(folder / "a.tiff", pixels, mpp=MPP, factors=(1,))) as slide:
        return find_tissue(slide)


def share(mask: TissueMask, area: Mask) -> float:
    """Return how much of an area of the picture is tissue, leaving its edge out."""
    height, width = mask.pixels.shape
    inside = Image.fromarray(area).convert("L").resize((width, height), Image.Resampling.BOX)
    return float(mask.pixels[np.asarray(inside) == 255].mean())
