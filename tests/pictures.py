"""What colours a picture has, and pictures of two colours that any network tells apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

COLORS = {"pink": (225, 160, 190), "purple": (120, 80, 160)}


def write_colored(
    folder: Path,
    size: tuple[int, int],
    count: int,
    name: Callable[[str, int], str],
    draw: np.random.Generator,
) -> None:
    """Write so many noisy pictures (rows, columns) into a folder for each colour."""
    for label, color in COLORS.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            pixels = draw.normal(color, 12, (*size, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / name(label, number))


def color_places(path: Path, color: str) -> set[str]:
    """Return in which quarters of a picture a colour is: "top left", and so on."""
    with Image.open(path) as picture:
        is_it = (np.asarray(picture.convert("RGB")) == ImageColor.getrgb(color)).all(2)
    rows, columns = np.nonzero(is_it)
    places = zip(rows > is_it.shape[0] // 2, columns > is_it.shape[1] // 2, strict=True)
    return {
        f"{'bottom' if low else 'top'} {'right' if right else 'left'}" for low, right in set(places)
    }
