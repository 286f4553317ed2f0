"""A slide and its heat map as two pictures of the same place and size."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_xmag.analyze.heatmap import HeatMapView, MapLook, heat_map, hide_below, on_tissue
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.tissue_used import tissue_again
from napari_xmag.errors import TileReadError
from napari_xmag.export.lettering import font, width
from napari_xmag.export.palette import diverging_colors, evidence_scale, heat_colors, map_limits
from napari_xmag.export.panel import INK
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import Slide
from napari_xmag.slide.damage import picture_of_box
from napari_xmag.slide.resample import finer_level
from napari_xmag.slide.tissue import TissueMask

LONGEST = 1400
"""Pixels of the longer side."""

_BLOCK_PX = 2048
"""Read in blocks of so many source pixels a side: slides of one level need little memory too."""


@dataclass(frozen=True, slots=True, eq=False)
class MapPicture:
    """The scanned part of a slide, and the same with its heat map over it.

    Attributes
    ----------
    tissue, map
        uint8 (H, W, 3) each.
    low, high
        What both ends of the legend mean; empty where there is no map.
    """

    tissue: NDArray[np.uint8]
    map: NDArray[np.uint8]
    low: str
    high: str


def map_picture(
    slide: Slide,
    result: SlideResult,
    look: MapLook,
    longest: int = LONGEST,
    mask: TissueMask | None = None,
) -> MapPicture:
    """Read a slide and lay its heat map over it, as the window shows it; damage is hatched.

    Parameters
    ----------
    look
        How the map is shown.
    longest
        Longer side in pixels.
    mask
        The tissue that was analyzed, which alone is coloured; found again when None. Where it
        cannot be, whole patches are coloured.

    Raises
    ------
    TileReadError
        When nothing of the slide can be decoded.
    """
    picture = slide_picture(slide, longest)
    if not len(result.patches):
        return MapPicture(picture, picture, "", "")
    view, heat = look.view, heat_map(result, look.view, look.class_name)
    _, top = map_limits(view, heat.pixels, is_shares=result.is_shares)
    heat = replace(heat, pixels=hide_below(heat.pixels, top, look.threshold))
    mask = tissue_again(slide, result) if mask is None else mask
    bounds, (height, width) = slide.bounds, picture.shape[:2]
    values = (heat if mask is None else on_tissue(heat, mask)).at(
        bounds.x + (np.arange(width) + 0.5) * bounds.width / width,
        bounds.y + (np.arange(height) + 0.5) * bounds.height / height,
    )
    low, high = _ends(view, top, is_shares=result.is_shares)
    return MapPicture(picture, _blended(picture, values / top, look), low, high)


def slide_picture(slide: Slide, longest: int = LONGEST) -> NDArray[np.uint8]:
    """Read the scanned part of a slide as a picture, uint8 (H, W, 3); what is damaged is hatched.

    Parameters
    ----------
    longest
        Longer side in pixels; fewer when the slide itself is smaller.

    Raises
    ------
    TileReadError
        When nothing of it can be decoded.
    """
    bounds = slide.bounds
    scale = max(1.0, max(bounds.width, bounds.height) / longest)
    width, height = (max(1, round(side / scale)) for side in (bounds.width, bounds.height))
    step_x, step_y = bounds.width / width, bounds.height / height
    level = finer_level(slide.levels, min(step_x, step_y))
    # Whole periods of the stripes over damage, so that those of neighbouring blocks meet.
    side = max(16, int(_BLOCK_PX * level.downsample / max(step_x, step_y)) // 16 * 16)
    picture, unreadable = np.empty((height, width, 3), np.uint8), np.empty((height, width), bool)
    for top in range(0, height, side):
        for left in range(0, width, side):
            block = picture[top : top + side, left : left + side]
            rows, columns = block.shape[:2]
            corner = bounds.x + left * step_x, bounds.y + top * step_y
            box = Box(*corner, columns * step_x, rows * step_y)
            lost = unreadable[top : top + side, left : left + side]
            block[:], lost[:] = picture_of_box(slide, box, columns, rows)
    if unreadable.all():
        raise TileReadError(
            expected="a slide of which something can be read",
            found=f"{slide.path.name}, of which nothing can be read any more",
            hint="Check that its disk is connected, or copy the file again from its source.",
        )
    return picture


def _ends(view: HeatMapView, top: float, *, is_shares: bool) -> tuple[str, str]:
    """Return what both ends of the legend mean."""
    if view is HeatMapView.RANK:
        return "lowest rank", "highest rank"
    if view is HeatMapView.RAW:
        return "0", f"{top:.2g}"
    scale = evidence_scale(is_shares=is_shares)
    return f"−{scale:g} and less", f"+{scale:g} and more"


def _blended(
    picture: NDArray[np.uint8], parts: NDArray[np.float32], look: MapLook
) -> NDArray[np.uint8]:
    """Lay colours over the picture where there are values; parts of the strongest, (H, W)."""
    paint = diverging_colors if look.view is HeatMapView.EVIDENCE else heat_colors
    colored, opacity = np.isfinite(parts), np.float32(look.opacity)
    blended = picture.copy()
    mixed = picture[colored] * (1 - opacity) + paint(parts[colored]) * opacity
    blended[colored] = mixed.round()
    return blended


def draw_scale_bar(image: Image.Image, bounds: Box, mpp: Mpp) -> None:
    """Draw a scale bar into the lower left corner of a picture of a slide's bounds."""
    um_per_px = bounds.width * mpp.x / image.width
    length = _nice_length(image.width * um_per_px / 5)
    words = f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"
    pixels, letters = round(length / um_per_px), font(17)
    draw = ImageDraw.Draw(image, "RGBA")
    wide = max(pixels, math.ceil(width(words, 17)))
    left, bottom = 16, image.height - 16
    draw.rounded_rectangle(
        (left, bottom - 48, left + wide + 24, bottom), radius=6, fill=(255, 255, 255, 215)
    )
    center = left + 12 + wide / 2
    draw.text((center, bottom - 41), words, INK, letters, anchor="ma")
    bar = (round(center - pixels / 2), bottom - 15, round(center + pixels / 2), bottom - 10)
    draw.rectangle(bar, fill=INK)


def _nice_length(most: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, … that is at most ``most``."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))
