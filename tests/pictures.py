"""What colours a picture has."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageColor


def color_places(path: Path, color: str) -> set[str]:
    """Return in which quarters of a picture a colour is: "top left", and so on."""
    with Image.open(path) as picture:
        is_it = (np.asarray(picture.convert("RGB")) == ImageColor.getrgb(color)).all(2)
    rows, columns = np.nonzero(is_it)
    places = zip(rows > is_it.shape[0] // 2, columns > is_it.shape[1] // 2, strict=True)
    return {
        f"{'bottom' if low else 'top'} {'right' if right else 'left'}" for low, right in set(places)
    }
