"""The heat map over the slide as one picture that explains itself."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_xmag.analyze.heatmap import HeatMap, HeatMapView, heat_map
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.lettering import font, width
from napari_xmag.export.palette import diverging_colors, heat_colors
from napari_xmag.export.panel import INK, panel
from napari_xmag.files import whole_file
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import Slide
from napari_xmag.slide.resample import finer_level, read_resampled

_LONGEST = 1400
_LEAST_HEIGHT = 640
_MARGIN = 28
_OPACITY = 0.5
_BLOCK_PX = 2048
"""Read in blocks of so many source pixels a side: slides of one level need little memory too."""


def write_overlay(
    slide: Slide,
    result: SlideResult,
    path: Path | str,
    view: HeatMapView = HeatMapView.RANK,
    class_name: str = "",
) -> None:
    """Write ``overlay.png``: slide, heat map, legend, scale bar, prediction, flags and notice.

    Parameters
    ----------
    slide
        The slide that was analysed, still open.
    result
        Its result.
    view, class_name
        What the colours show; see `view_values`.

    Raises
    ------
    TileReadError
        When the slide cannot be read any more.
    ExportError
        When the file cannot be written.
    """
    picture = slide_picture(slide)
    class_name = class_name or result.predicted or ""
    pixels, low, high = picture, "", ""
    if len(result.patches):
        heat = heat_map(result, view, class_name)
        colors, low, high = _colors(heat.pixels, view)
        pixels = _blended(picture, colors, heat, slide.bounds)
    image = Image.fromarray(pixels)
    _draw_scale_bar(image, slide.bounds, result.mpp)
    words = panel(result, view, class_name, (low, high), max(image.height, _LEAST_HEIGHT))
    page = _page(image, words)
    with whole_file(Path(path)) as part:
        page.save(part, format="PNG")


def slide_picture(slide: Slide, longest: int = _LONGEST) -> NDArray[np.uint8]:
    """Read the scanned part of a slide as a picture, uint8 (H, W, 3).

    Parameters
    ----------
    longest
        Longer side in pixels; fewer when the slide itself is smaller.

    Raises
    ------
    TileReadError
        When a part cannot be decoded.
    """
    bounds = slide.bounds
    scale = max(1.0, max(bounds.width, bounds.height) / longest)
    width, height = (max(1, round(side / scale)) for side in (bounds.width, bounds.height))
    step_x, step_y = bounds.width / width, bounds.height / height
    level = finer_level(slide.levels, min(step_x, step_y))
    side = max(16, int(_BLOCK_PX * level.downsample / max(step_x, step_y)))
    picture = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, side):
        for left in range(0, width, side):
            block = picture[top : top + side, left : left + side]
            rows, columns = block.shape[:2]
            corner = bounds.x + left * step_x, bounds.y + top * step_y
            box = Box(*corner, columns * step_x, rows * step_y)
            block[:] = read_resampled(slide, box, columns, rows)
    return picture


def _colors(values: NDArray[np.float32], view: HeatMapView) -> tuple[NDArray[np.uint8], str, str]:
    """Return RGB (H, W, 3) and what both ends of the legend mean."""
    if view is HeatMapView.RANK:
        return heat_colors(np.nan_to_num(values)), "lowest", "highest"
    if view is HeatMapView.RAW:
        top = float(np.nanmax(values))
        return heat_colors(np.nan_to_num(values) / max(top, 1e-12)), "0", f"{top:.2g}"
    top = max(float(np.nanmax(np.abs(values))), 1e-12)
    return diverging_colors(np.nan_to_num(values) / top), f"−{top:.2g}", f"+{top:.2g}"


def _blended(
    picture: NDArray[np.uint8], colors: NDArray[np.uint8], heat: HeatMap, bounds: Box
) -> NDArray[np.uint8]:
    """Lay colours over the picture: each pixel takes the colour of the tile it lies in."""
    height, width = picture.shape[:2]
    x = bounds.x + (np.arange(width) + 0.5) * bounds.width / width
    y = bounds.y + (np.arange(height) + 0.5) * bounds.height / height
    columns = np.floor((x - heat.origin_x) / heat.stride_x).astype(int)
    rows = np.floor((y - heat.origin_y) / heat.stride_y).astype(int)
    columns = np.clip(columns, 0, heat.pixels.shape[1] - 1)
    rows = np.clip(rows, 0, heat.pixels.shape[0] - 1)
    shown = np.isfinite(heat.pixels)[np.ix_(rows, columns)]
    opacity = _OPACITY * shown[..., None].astype(np.float32)
    mixed = picture * (1 - opacity) + colors[np.ix_(rows, columns)] * opacity
    return np.asarray(mixed.round().astype(np.uint8))


def _draw_scale_bar(image: Image.Image, bounds: Box, mpp: Mpp) -> None:
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


def _page(image: Image.Image, words: Image.Image) -> Image.Image:
    size = image.width + words.width + 3 * _MARGIN, words.height + 2 * _MARGIN
    page = Image.new("RGB", size, "white")
    page.paste(image, (_MARGIN, (page.height - image.height) // 2))
    page.paste(words, (image.width + 2 * _MARGIN, _MARGIN))
    return page
