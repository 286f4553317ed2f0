"""The words beside the picture: prediction, legend, warnings, notice."""

import numpy as np
from PIL import Image, ImageDraw

from napari_xmag._about import NOTICE
from napari_xmag.analyze.bars import Band, band_words, class_bars
from napari_xmag.analyze.heatmap import HeatMapView, MapLook
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.lettering import cut_to_width, font, width, wrap_to_width
from napari_xmag.export.palette import diverging_colors, heat_colors
from napari_xmag.formatting import local_minute, percent

PANEL_WIDTH = 400
INK = (31, 35, 40)
_FAINT = (101, 109, 118)
_BAR = (45, 105, 180)
_OTHER = (150, 158, 168)
_UNSURE = (250, 222, 160)
_TROUGH = (232, 235, 239)
_AMBER = (191, 120, 0)
_RED = (176, 24, 36)
_NOTICE_HEIGHT = 42
_TALLEST = 4000

MEANINGS = {
    HeatMapView.RANK: (
        "Attention to each patch relative to the other patches of this slide. Every slide has a "
        "highest-ranked patch, so colours cannot be compared between slides."
    ),
    HeatMapView.RAW: "The share of the model's attention that each patch got.",
    HeatMapView.EVIDENCE: (
        "What each patch adds to the score of this class (red) or takes from it (blue), on one "
        "scale for all slides: the score that the slide would have if all patches added as much."
    ),
}


def panel(
    result: SlideResult,
    look: MapLook,
    ends: tuple[str, str],
    least_height: int,
) -> Image.Image:
    """Draw the words of the overlay.

    Parameters
    ----------
    look
        How the map is shown.
    ends
        What the two ends of the legend mean.
    least_height
        Of the panel, in pixels; more words make it taller.

    Returns
    -------
    RGB image, `PANEL_WIDTH` wide.
    """
    column = _Column()
    _heading(column, result)
    _prediction(column, result)
    if len(result.patches):
        _legend(column, look, ends)
    column.gap(20)
    for words in (*result.abstained, *(flag.words for flag in result.warnings)):
        column.warning(words)
    small = _Column()
    _origin(small, result)
    height = max(column.y + small.y + _NOTICE_HEIGHT + 30, least_height)
    image = Image.new("RGB", (PANEL_WIDTH, height), "white")
    image.paste(column.drawn())
    image.paste(small.drawn(), (0, height - _NOTICE_HEIGHT - 12 - small.y))
    _notice(image)
    return image


class _Column:
    """Draws from top to bottom and knows where it is."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (PANEL_WIDTH, _TALLEST), "white")
        self._draw = ImageDraw.Draw(self._image)
        self.y = 0

    def drawn(self) -> Image.Image:
        return self._image.crop((0, 0, PANEL_WIDTH, max(self.y, 1)))

    def gap(self, pixels: int) -> None:
        self.y += pixels

    def text(
        self, words: str, size: int = 15, color: tuple[int, int, int] = INK, indent: int = 0
    ) -> None:
        for line in wrap_to_width(words, size, PANEL_WIDTH - indent):
            self._draw.text((indent, self.y), line, color, font(size))
            self.y += round(size * 1.35)

    def ends(self, left: str, right: str, size: int, color: tuple[int, int, int]) -> None:
        left = cut_to_width(left, size, PANEL_WIDTH - width(right, size) - 12)
        self._draw.text((0, self.y), left, color, font(size))
        self._draw.text((PANEL_WIDTH, self.y), right, color, font(size), anchor="ra")
        self.y += round(size * 1.5)

    def bar(self, share: float, color: tuple[int, int, int], band: Band | None = None) -> None:
        """Draw a share; of a class with a threshold, with the mark and the uncertain band."""
        box = (0, self.y, PANEL_WIDTH - 1, self.y + 10)
        self._draw.rounded_rectangle(box, radius=5, fill=_TROUGH)
        if band is not None:
            left, right = (round((PANEL_WIDTH - 1) * edge) for edge in (band.low, band.high))
            self._draw.rectangle((left, self.y, right, self.y + 10), fill=_UNSURE)
        filled = round((PANEL_WIDTH - 1) * share)
        if filled >= 1:
            self._draw.rounded_rectangle((0, self.y, max(filled, 10), self.y + 10), 5, color)
        if band is not None:
            at = round((PANEL_WIDTH - 1) * band.threshold)
            self._draw.rectangle((at - 1, self.y - 4, at + 1, self.y + 14), fill=INK)
        self.y += 22

    def strip(self, colors: np.ndarray) -> None:
        picture = np.repeat(colors[np.newaxis], 16, axis=0)
        self._image.paste(Image.fromarray(picture), (0, self.y))
        self.y += 21

    def warning(self, words: str) -> None:
        y = self.y + 2
        self._draw.polygon([(9, y), (18, y + 15), (0, y + 15)], fill=_AMBER)
        self._draw.text((9, y + 15), "!", "white", font(12), anchor="md")
        self.text(words, indent=28)
        self.gap(10)


def _heading(column: _Column, result: SlideResult) -> None:
    column.text(cut_to_width(str(result.slide["path"]), 21, PANEL_WIDTH), 21)
    column.text(f"Model: {result.model_words}", 14, _FAINT)
    column.text(f"Analyzed: {result.tissue_words}", 14, _FAINT)
    column.gap(20)


def _prediction(column: _Column, result: SlideResult) -> None:
    column.text(result.headline, 18, INK if result.answer else _RED)
    if not result.probabilities:
        return
    column.gap(8)
    for name, share, band in class_bars(result):
        column.ends(name, percent(share), 15, INK if result.answer else _FAINT)
        column.bar(share, _BAR if name == result.answer else _OTHER, band)
    for words in band_words(result):
        column.text(words, 13, _FAINT)
    side = f"{result.stride_x * result.mpp.x:.4g}"
    patches = "1 patch" if len(result.patches) == 1 else f"{len(result.patches):,} patches"
    column.text(f"From {patches} of {side} µm", 13, _FAINT)


def _legend(column: _Column, look: MapLook, ends: tuple[str, str]) -> None:
    column.gap(20)
    evidence = look.view is HeatMapView.EVIDENCE
    column.text(f"Evidence for {look.class_name}" if evidence else str(look.view).capitalize(), 18)
    column.gap(7)
    steps = np.linspace(0, 1, PANEL_WIDTH)
    column.strip(diverging_colors(2 * steps - 1) if evidence else heat_colors(steps))
    column.ends(*ends, 13, _FAINT)
    column.text(f"{MEANINGS[look.view]} {look.words}", 13, _FAINT)


def _origin(column: _Column, result: SlideResult) -> None:
    mpp = result.mpp.mean
    column.text(f"Pixel size {mpp:.4g} µm ({result.slide['mpp_source']})", 12, _FAINT)
    made = f"napari-xmag {result.versions['napari-xmag']} · {local_minute(result.created)[:10]}"
    column.text(made, 12, _FAINT)


def _notice(image: Image.Image) -> None:
    draw, bottom = ImageDraw.Draw(image), image.height - 1
    box = (0, bottom - _NOTICE_HEIGHT, PANEL_WIDTH - 1, bottom)
    draw.rounded_rectangle(box, radius=6, outline=_RED, width=2)
    middle = (PANEL_WIDTH / 2, bottom - _NOTICE_HEIGHT / 2)
    draw.text(middle, NOTICE, _RED, font(15), anchor="mm")
