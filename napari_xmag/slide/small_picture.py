"""A slide in some hundred pixels: for lists, and to find one's way."""

import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.base import Slide
from napari_xmag.slide.damage import picture_of_box

_MOST_SOURCE_PX = 2**24


def small_picture(slide: Slide, longest: int) -> NDArray[np.uint8] | None:
    """Return the scanned part of a slide, uint8 (H, W, 3); what is damaged is hatched.

    Parameters
    ----------
    longest
        Longer side in pixels.

    Returns
    -------
    None where nothing can be read, or a slide without coarse levels would have to be read whole.
    """
    coarsest, bounds = slide.levels[-1], slide.bounds
    if coarsest.width * coarsest.height > _MOST_SOURCE_PX:
        return None
    part = min(1.0, longest / max(bounds.width, bounds.height))
    width, height = (max(1, round(part * side)) for side in (bounds.width, bounds.height))
    pixels, unreadable = picture_of_box(slide, bounds, width, height)
    return None if unreadable.all() else pixels
