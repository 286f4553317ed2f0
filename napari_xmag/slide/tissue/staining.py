"""How strongly each place of a slide is coloured, against the slide's own glass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from napari_xmag.cores import in_threads
from napari_xmag.slide.overview import Overview
from napari_xmag.slide.tissue.areas import COARSE, within_reach
from napari_xmag.slide.tissue.glass import Glass, planes_of, roughness

Plane = NDArray[np.uint8]

# Rows worked on at a time: they stay in the processor's cache, and memory stays small.
_ROWS = 128
# Rows around them that smoothing and the comparison of neighbours need.
_MARGIN = 3
# What has less than one part in so many of the colour of a neighbour, up to so many pixels away, is
# glass: the picture is blurred a little, and tissue would spread over its edge.
_RIM = 3
_RIM_RADIUS = 2
# Below this brightness, 0 to 255, colourfulness is noise.
_DARK = 38


@dataclass(frozen=True, eq=False)
class Staining:
    """Colour and texture of the overview, as seen through its glass.

    Attributes
    ----------
    saturation
        Colourfulness, uint8 (H, W), 255 being pure; glass is 0 whatever its tint.
    darkness
        What even the brightest colour lacks, uint8 (H, W); stains of one colour have none, grey and
        black have.
    rough
        Largest difference of neighbours, uint8 (H, W).
    coarse
        uint8 (H / 2, W / 2, 3): the picture on the coarse grid, noise smoothed.
    """

    saturation: Plane
    darkness: Plane
    rough: Plane
    coarse: NDArray[np.uint8]


def measure_staining(overview: Overview, glass: Glass) -> Staining:
    """Measure colour and texture of an overview, noise smoothed."""
    shape = height, width = overview.usable.shape
    saturation, darkness, rough = (np.empty(shape, np.uint8) for _ in range(3))
    coarse = np.empty((-(-height // COARSE), -(-width // COARSE), 3), np.uint8)

    def measure(start: int) -> None:
        rows = slice(start, min(start + _ROWS, height))
        seen = _smoothed(overview.pixels, rows)
        inner = slice(rows.start - seen.start, rows.stop - seen.start)
        planes = planes_of(seen.pixels)
        rough[rows] = roughness(planes)[inner]
        coarse[rows.start // COARSE : -(-rows.stop // COARSE)] = seen.pixels[inner][
            ::COARSE, ::COARSE
        ]
        bare = _without_glass(planes, glass, seen.start, height)
        brightest = np.maximum(np.maximum(bare[0], bare[1]), bare[2])
        chroma = brightest - np.minimum(np.minimum(bare[0], bare[1]), bare[2])
        # In whole numbers, which is several times faster.
        colorful = chroma.astype(np.uint16) * 255 // np.maximum(brightest, _DARK)
        colorful[colorful * _RIM < within_reach(colorful, _RIM_RADIUS, np.maximum)] = 0
        saturation[rows] = colorful[inner]
        np.subtract(255, brightest[inner], out=darkness[rows])

    in_threads(measure, range(0, height, _ROWS))
    return Staining(saturation, darkness, rough, coarse)


@dataclass(frozen=True, eq=False)
class _Band:
    start: int
    pixels: NDArray[np.uint8]


def _smoothed(pixels: NDArray[np.uint8], rows: slice) -> _Band:
    """Return rows of a picture and those around them, smoothed."""
    first, last = max(0, rows.start - _MARGIN), min(len(pixels), rows.stop + _MARGIN)
    band = Image.fromarray(pixels[first:last]).filter(ImageFilter.BoxBlur(1))
    return _Band(first, np.asarray(band))


def _without_glass(planes: list[Plane], glass: Glass, start: int, height: int) -> list[Plane]:
    """Return rows of each colour as if the glass were white."""
    if glass.even:
        # A table per colour is much faster than dividing millions of pixels.
        steps = np.arange(256, dtype=np.float32)
        tables = [np.minimum(np.rint(255 * steps / color), 255) for color in glass.color]
        return [t.astype(np.uint8)[p] for t, p in zip(tables, planes, strict=True)]
    rows, width = planes[0].shape
    colors = glass.rows(start, start + rows, height, width)
    return [
        np.minimum(np.rint(plane * (255 / colors[..., i])), 255).astype(np.uint8)
        for i, plane in enumerate(planes)
    ]
