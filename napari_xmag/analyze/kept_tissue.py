"""The tissue of a result as a small picture: what was painted or drawn cannot be found again."""

import logging
from pathlib import Path

import numpy as np
from PIL import Image

from napari_xmag.files import parse_json, whole_file
from napari_xmag.slide.tissue import TissueChoice, TissueMask

_log = logging.getLogger(__name__)

_CHOSEN = (TissueChoice.PAINTED, TissueChoice.REGIONS)
_TISSUE, _UNREADABLE = 170, 85
_MOST_PIXELS = 2**27


def is_worth_keeping(mask: TissueMask) -> bool:
    """Return whether a person chose the tissue; all else is found again in the slide."""
    return mask.method in _CHOSEN


def has_chosen_tissue(result: Path) -> bool:
    """Return whether a saved result says that its tissue was chosen, so that it is kept beside."""
    try:
        content = parse_json(result.read_text(encoding="utf-8"))
        return content["tissue"]["choice"] in _CHOSEN
    except (OSError, ValueError, TypeError, KeyError):
        return False


def save_tissue(mask: TissueMask, path: Path) -> None:
    """Write a mask as a grey PNG: tissue and what is unreadable, each with a grey of its own.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    pixels = np.where(mask.pixels, np.uint8(_TISSUE), np.uint8(0))
    if mask.unreadable is not None:
        pixels[mask.unreadable] += np.uint8(_UNREADABLE)
    with whole_file(path) as part:
        Image.fromarray(pixels).save(part, "PNG", optimize=True)


def load_tissue(path: Path, choice: str | None, size: tuple[float, float]) -> TissueMask | None:
    """Read what `save_tissue` wrote; None where it is not there, or is something else.

    Parameters
    ----------
    choice
        How the mask came about, as the result says.
    size
        Width and height of the slide, in level-0 pixels.
    """
    if choice not in _CHOSEN or not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            if image.mode != "L" or image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"an image of {image.width}×{image.height} pixels, {image.mode}")
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        _log.warning("%s cannot be read; whole patches have colour: %s", path, error)
        return None
    height, width = pixels.shape
    lost = (pixels == _UNREADABLE) | (pixels == _TISSUE + _UNREADABLE)
    scales = size[0] / width, size[1] / height
    unreadable = lost if lost.any() else None
    return TissueMask(pixels >= _TISSUE, *scales, TissueChoice(choice), unreadable=unreadable)
