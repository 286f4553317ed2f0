"""Pictures of a report, ready to be laid into a page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from napari_xmag.analyze.heatmap import HeatMapView, MapLook
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.lettering import font
from napari_xmag.export.map_picture import draw_scale_bar, map_picture
from napari_xmag.export.palette import diverging_colors, heat_colors
from napari_xmag.export.panel import INK, MEANINGS
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import Slide
from napari_xmag.slide.damage import picture_of_box
from napari_xmag.slide.tissue import TissueMask

_MAP_PX = 1100
_PLACE_UM, _PLACE_MPP = 400.0, 1.0
"""A place is shown with what is around it, at 10x."""

_LEGEND_PX = 400
_RADIUS = 15
_OUTLINE = (20, 20, 20)


@dataclass(frozen=True, slots=True, eq=False)
class MapPictures:
    """The slide beside its map.

    Attributes
    ----------
    tissue, map
        JPEG of the same size and place, with a scale bar; the map with the places' numbers.
    width, height
        Of both, in pixels.
    title, meaning
        What the colours show.
    legend
        PNG, from low to high; empty where there is no map.
    low, high
        What its ends mean.
    """

    tissue: bytes
    map: bytes
    width: int
    height: int
    title: str
    meaning: str
    legend: bytes
    low: str
    high: str


def map_pictures(
    slide: Slide,
    result: SlideResult,
    look: MapLook,
    patches: Sequence[int],
    mask: TissueMask | None = None,
) -> MapPictures:
    """Draw the slide and its map, with the numbers of places on it.

    Parameters
    ----------
    look, mask
        See `map_picture`.
    patches
        The places, in the order of their numbers.

    Raises
    ------
    TileReadError
        When nothing of the slide can be decoded.
    """
    shown = map_picture(slide, result, look, _MAP_PX, mask)
    tissue, over = Image.fromarray(shown.tissue), Image.fromarray(shown.map)
    for picture in (tissue, over):
        draw_scale_bar(picture, slide.bounds, result.mpp)
    _draw_numbers(over, result, patches, slide.bounds)
    evidence = look.view is HeatMapView.EVIDENCE
    title = f"Evidence for {look.class_name}" if evidence else str(look.view).capitalize()
    there = bool(len(result.patches))
    return MapPictures(
        _jpeg(tissue),
        _jpeg(over),
        tissue.width,
        tissue.height,
        title if there else "No map",
        f"{MEANINGS[look.view]} {look.words}".strip() if there else "",
        _legend(evidence) if there else b"",
        shown.low,
        shown.high,
    )


def place_picture(slide: Slide, patch: Box, mpp: Mpp) -> bytes:
    """Return a patch and what is around it at 10x, as JPEG; empty where nothing can be read."""
    side = max(_PLACE_UM, 1.5 * max(patch.width * mpp.x, patch.height * mpp.y))
    x, y = patch.center
    box = Box(x - side / mpp.x / 2, y - side / mpp.y / 2, side / mpp.x, side / mpp.y)
    pixels = round(side / _PLACE_MPP)
    read, unreadable = picture_of_box(slide, box, pixels, pixels)
    if unreadable.all():
        return b""
    picture = Image.fromarray(read)
    edges = (
        (patch.x - box.x) * mpp.x / _PLACE_MPP,
        (patch.y - box.y) * mpp.y / _PLACE_MPP,
        (patch.right - box.x) * mpp.x / _PLACE_MPP,
        (patch.bottom - box.y) * mpp.y / _PLACE_MPP,
    )
    ImageDraw.Draw(picture).rectangle(edges, outline=_OUTLINE, width=2)
    return _jpeg(picture)


def _draw_numbers(
    picture: Image.Image, result: SlideResult, patches: Sequence[int], bounds: Box
) -> None:
    draw = ImageDraw.Draw(picture)
    for number, patch in reversed(list(enumerate(patches, 1))):
        x, y = result.patches.box(patch).center
        x = (x - bounds.x) * picture.width / bounds.width
        y = (y - bounds.y) * picture.height / bounds.height
        disc = (x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
        draw.ellipse(disc, fill="white", outline=INK, width=2)
        draw.text((x, y), str(number), INK, font(16), anchor="mm")


def _legend(evidence: bool) -> bytes:
    steps = np.linspace(0, 1, _LEGEND_PX)
    colors = diverging_colors(2 * steps - 1) if evidence else heat_colors(steps)
    return _encoded(Image.fromarray(np.repeat(colors[np.newaxis], 12, axis=0)), "PNG")


def _jpeg(picture: Image.Image) -> bytes:
    return _encoded(picture, "JPEG", quality=88)


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
