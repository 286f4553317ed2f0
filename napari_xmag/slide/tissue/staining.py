"""How strongly each place of a slide is coloured, against the slide's own glass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from napari_xmag.slide.overview import Overview, extremes
from napari_xmag.slide.tissue.glass import Glass, roughness

Mask = NDArray[np.bool_]

# Rows worked on at a time, so that memory stays small beside the pictures.
_ROWS = 256
# Below this brightness, 0 to 1, colourfulness is noise.
_DARK = 0.15


@dataclass(frozen=True, eq=False)
class Staining:
    """Colour and texture of the overview, as seen through its glass.

    Attributes
    ----------
    pixels
        uint8 (H, W, 3), noise smoothed.
    saturation
        Colourfulness, float32 (H, W), 0 to 1; glass is 0 whatever its tint.
    darkness
        What even the brightest colour lacks, float32 (H, W), 0 to 1; stains of one colour have
        none, grey and black have.
    rough
        Largest difference of neighbours, uint8 (H, W).
    """

    pixels: NDArray[np.uint8]
    saturation: NDArray[np.float32]
    darkness: NDArray[np.float32]
    rough: NDArray[np.uint8]


def measure_staining(overview: Overview, glass: Glass) -> Staining:
    """Measure colour and texture of an overview."""
    smoothed = np.asarray(Image.fromarray(overview.pixels).filter(ImageFilter.BoxBlur(1)))
    height, width = overview.usable.shape
    saturation = np.empty((height, width), np.float32)
    darkness = np.empty((height, width), np.float32)
    for start in range(0, height, _ROWS):
        stop = min(start + _ROWS, height)
        seen = _through_glass(smoothed[start:stop], glass, start, height)
        darkest, brightest = extremes(seen)
        chroma = (brightest - darkest).astype(np.float32)
        saturation[start:stop] = chroma / np.maximum(brightest, np.float32(255 * _DARK))
        darkness[start:stop] = 1 - brightest / np.float32(255)
    return Staining(smoothed, saturation, darkness, roughness(smoothed))


def _through_glass(
    pixels: NDArray[np.uint8], glass: Glass, start: int, height: int
) -> NDArray[np.uint8]:
    """Return rows of a picture as if its glass were white, uint8."""
    rows, width = pixels.shape[:2]
    if glass.even:
        # A table per colour is much faster than dividing millions of pixels.
        steps = np.arange(256, dtype=np.float32)[:, None]
        tables = np.clip(np.rint(255 * steps / glass.color), 0, 255).astype(np.uint8)
        return np.stack([tables[:, i][pixels[..., i]] for i in range(3)], axis=2)
    colors = glass.rows(start, start + rows, height, width)
    return np.clip(np.rint(pixels * (255 / colors)), 0, 255).astype(np.uint8)
