"""The words beside the picture: prediction, legend, warnings, notice."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_xmag import NOTICE
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.palette import diverging_colors, heat_colors

PANEL_WIDTH = 400
INK = (31, 35, 40)
_FAINT = (101, 109, 118)
_BAR = (45, 105, 180)
_TROUGH = (232, 235, 239)
_AMBER = (191, 120, 0)
_RED = (176, 24, 36)

_MEANINGS = {
    HeatMapView.RANK: (
        "How much attention each tile got, compared with the other tiles of this slide. "
        "Every slide has a highest tile: the colours do not compare slides."
    ),
    HeatMapView.RAW: "The share of the model's attention that each tile got.",
    HeatMapView.EVIDENCE: (
        "What each tile adds to the score of this class; all tiles together make the prediction."
    ),
}


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own scalable font."""
    return ImageFont.load_default(size)


class _Column:
    """Draws from top to bottom and knows where it is."""

    def __init__(self, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        self.draw, self.left, self.y = draw, left, top

    def gap(self, pixels: int) -> None:
        self.y += pixels

    def text(
        self, words: str, size: int = 16, color: tuple[int, int, int] = INK, indent: int = 0
    ) -> None:
        for line in wrapped(words, size, PANEL_WIDTH - indent):
            self.draw.text((self.left + indent, self.y), line, color, font(size))
            self.y += round(size * 1.35)

    def bar(self, name: str, share: float) -> None:
        number = f"{100 * share:.1f} %"
        room = PANEL_WIDTH - int(font(17).getlength(number)) - 12
        right = self.left + PANEL_WIDTH
        self.draw.text((self.left, self.y), shortened(name, 17, room), INK, font(17))
        self.draw.text((right, self.y), number, INK, font(17), anchor="ra")
        self.y += 25
        box = (self.left, self.y, right, self.y + 10)
        self.draw.rounded_rectangle(box, radius=5, fill=_TROUGH)
        if (wide := round(PANEL_WIDTH * share)) >= 1:
            self.draw.rounded_rectangle((*box[:2], self.left + max(wide, 10), box[3]), 5, _BAR)
        self.y += 24

    def legend(self, view: HeatMapView, ends: tuple[str, str]) -> None:
        steps = np.linspace(0, 1, PANEL_WIDTH)
        evidence = view is HeatMapView.EVIDENCE
        colors = diverging_colors(2 * steps - 1) if evidence else heat_colors(steps)
        strip = np.broadcast_to(colors, (16, PANEL_WIDTH, 3))
        self.draw._image.paste(Image.fromarray(strip.copy()), (self.left, self.y))
        self.y += 21
        right = self.left + PANEL_WIDTH
        self.draw.text((self.left, self.y), ends[0], _FAINT, font(14))
        self.draw.text((right, self.y), ends[1], _FAINT, font(14), anchor="ra")
        self.y += 24

    def warning(self, words: str) -> None:
        x, y = self.left, self.y + 2
        self.draw.polygon([(x + 8, y), (x + 16, y + 15), (x, y + 15)], fill=_AMBER)
        self.draw.text((x + 8, y + 3), "!", "white", font(12), anchor="ma")
        self.text(words, 15, indent=26)
        self.y += 8


def draw_panel(
    draw: ImageDraw.ImageDraw,
    result: SlideResult,
    place: tuple[int, int, int],
    view: HeatMapView,
    class_name: str,
    ends: tuple[str, str],
) -> None:
    """Draw all words of the overlay.

    Parameters
    ----------
    place
        Left, top and bottom of the panel in pixels.
    ends
        What the two ends of the legend mean; empty when there is no map.
    """
    column = _Column(draw, place[0], place[1])
    column.text(shortened(str(result.slide["path"]), 24, PANEL_WIDTH), 24)
    column.text(f"Model: {result.model['display_name']}", 15, _FAINT)
    column.gap(22)
    _prediction(column, result)
    if len(result.tiles):
        column.gap(16)
        evidence = view is HeatMapView.EVIDENCE
        column.text(f"Evidence for {class_name}" if evidence else str(view).capitalize(), 19)
        column.gap(6)
        column.legend(view, ends)
        column.text(_MEANINGS[view], 14, _FAINT)
    column.gap(20)
    for flag in result.flags:
        column.warning(flag.words)
    _notice(draw, place[0], place[2])


def _prediction(column: _Column, result: SlideResult) -> None:
    if result.predicted is None:
        column.text("No prediction", 19)
        return
    column.text(f"Prediction: {result.predicted}", 19)
    column.gap(8)
    order = sorted(zip(result.probabilities, result.classes, strict=True), reverse=True)
    for share, name in order:
        column.bar(name, share)
    side = f"{result.model['tile_px'] * result.model['mpp']:g}"
    column.text(f"From {len(result.tiles):,} tiles of {side} µm", 14, _FAINT)


def _notice(draw: ImageDraw.ImageDraw, left: int, bottom: int) -> None:
    box = (left, bottom - 40, left + PANEL_WIDTH, bottom)
    draw.rounded_rectangle(box, radius=6, outline=_RED, width=2)
    draw.text((left + PANEL_WIDTH / 2, bottom - 20), NOTICE, _RED, font(16), anchor="mm")


def wrapped(words: str, size: int, width: int) -> list[str]:
    """Break words into lines that fit ``width`` pixels; a longer word is shortened."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shortened(word, size, width))
    return [line for line in lines if line]


def shortened(words: str, size: int, width: int) -> str:
    """Cut words in the middle so that they fit ``width`` pixels."""
    keep = len(words)
    short = words
    while font(size).getlength(short) > width and keep > 2:
        keep -= 1
        short = f"{words[: keep - keep // 2]}…{words[len(words) - keep // 2 :]}"
    return short
