"""From the scanner's colours to sRGB, through the slide's ICC profile."""

import io
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from napari_xmag.slide.base import Slide

_log = logging.getLogger(__name__)

ColorTransform = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
# A profile that moves no colour by more than this is sRGB in all but name.
_SAME = 1


def srgb_transform(slide: Slide) -> ColorTransform | None:
    """Return what turns the slide's pixels into sRGB.

    Returns
    -------
    A function from uint8 (H, W, 3) to uint8 (H, W, 3), for any number of threads; None where the
    slide has no profile, an unusable one (a warning is logged), or one that changes nothing.
    """
    if slide.icc_profile is None:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(slide.icc_profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError) as error:
        _log.warning("The colour profile of %s cannot be used: %s", slide.path.name, error)
        return None

    def to_srgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        ImageCms.applyTransform(image, transform, inPlace=True)
        return np.asarray(image)

    colours = _all_colours()
    changed = np.abs(to_srgb(colours).astype(int) - colours)
    return to_srgb if changed.max() > _SAME else None


def _all_colours() -> NDArray[np.uint8]:
    """Return a lattice of colours, uint8 (17, 289, 3)."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    return lattice.reshape(17, 289, 3)
