"""Which fields are worth learning from; each reason has a name that reports count."""

import numpy as np
from numpy.typing import NDArray

GLASS, PEN, FLAT, BLUR = "glass", "pen", "flat", "blur"

_BLOCK = 16
_GLASS_VALUE = 200.0
_GLASS_DEVIATION = 6.0
_MOST_GLASS = 0.6
_MOST_PEN = 0.05
_LEAST_DEVIATION = 6.0
_LEAST_SHARPNESS = 4.0


def problem(pixels: NDArray[np.uint8]) -> str:
    """Say why a field is not worth learning from.

    Parameters
    ----------
    pixels
        uint8 (H, W, 3) at about 0.5 µm/px.

    Returns
    -------
    ``glass`` (more than 60 % bright and smooth; in pale stains colour would say little), ``pen``
    (more than 5 % of the blue, green or black of felt pens), ``flat`` (grey values nearly
    constant), ``blur`` (hardly any detail from one pixel to the next), or an empty text when the
    field is good.
    """
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    if _glass(grey) > _MOST_GLASS:
        return GLASS
    # A quarter of the pixels tells colours as well.
    if _pen(pixels[::2, ::2].astype(np.float32)).mean() > _MOST_PEN:
        return PEN
    if grey.std() < _LEAST_DEVIATION:
        return FLAT
    return BLUR if _sharpness(grey) < _LEAST_SHARPNESS else ""


def _glass(grey: NDArray[np.float32]) -> float:
    """Share of blocks of 16 px that are bright and smooth."""
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    blocks = grey[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    bright = blocks.mean(axis=(1, 3)) > _GLASS_VALUE
    return float((bright & (blocks.std(axis=(1, 3)) < _GLASS_DEVIATION)).mean())


def _pen(color: NDArray[np.float32]) -> NDArray[np.bool_]:
    bright = color.max(-1)
    saturation = (bright - color.min(-1)) / np.maximum(bright, 1)
    red, green, blue = color[..., 0], color[..., 1], color[..., 2]
    # Eosin and haematoxylin leave more red than green; pens of green and blue leave less.
    colored = (saturation > 0.4) & (red < 0.8 * np.maximum(green, blue)) & (green > 0.6 * blue)
    deep_blue = (saturation > 0.6) & (blue > 1.6 * red)
    black = (bright < 60) & (saturation < 0.3)
    pen: NDArray[np.bool_] = colored | deep_blue | black
    return pen


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Return the standard deviation of the Laplacian: how pixels differ from their neighbours."""
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).std())
