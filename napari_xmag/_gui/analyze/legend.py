"""The colours of the map, with words that say what they mean."""

from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_xmag._gui.analyze.map_layer import colormap
from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag._gui.shared.section import bold, text_color
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.layer_data import map_limits

_BAR_PX = 14


@dataclass(frozen=True, slots=True)
class LegendWords:
    """A legend's text: title, both ends, and a sentence below."""

    title: str
    low: str
    high: str
    sentence: str


def legend_words(scores: PatchScores, view: HeatMapView, class_name: str) -> LegendWords:
    """Say what a view's colours mean for these patches."""
    low, high = map_limits(view, scores.values(view, class_name))
    if view is HeatMapView.RANK:
        return LegendWords(
            "Attention (rank)",
            "least attention",
            "most attention",
            "The patches of this slide ranked by attention. Half of them are always in the upper "
            "half, even if nothing stands out.",
        )
    if view is HeatMapView.RAW:
        return LegendWords(
            "Attention (raw)",
            "0 %",
            f"{100 * high:.3g} %",
            "Share of the model's attention that each patch receives. All patches add up to 100 %.",
        )
    return LegendWords(
        f"Evidence for “{class_name}”",
        f"{_signed(low)} against",
        f"for {_signed(high)}",
        f"What each patch adds to the score of “{class_name}”. The sum is the score of the slide.",
    )


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


class ColorBar(QWidget):
    """A strip of the map's colours, low on the left; what the threshold hides is hatched."""

    def __init__(self) -> None:
        super().__init__()
        self._view = HeatMapView.RANK
        self._threshold = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return a flat strip."""
        return QSize(200, _BAR_PX)

    def show_view(self, view: HeatMapView, threshold: float) -> None:
        """Take the colours of a view."""
        self._view, self._threshold = view, threshold
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the colours."""
        colors = (255 * colormap(self._view).map(np.linspace(0, 1, 256))).astype(np.uint8)
        row = np.ascontiguousarray(colors[None])
        picture = QImage(row.data, 256, 1, 4 * 256, QImage.Format.Format_RGBA8888)
        painter = QPainter(self)
        painter.drawImage(self.rect(), picture)
        painter.fillRect(self._hidden(), text_color(self, 0.0))
        painter.fillRect(self._hidden(), Qt.BrushStyle.BDiagPattern)
        painter.end()

    def _hidden(self) -> QRect:
        width = self.width()
        if self._view is HeatMapView.EVIDENCE:
            half = round(width * self._threshold / 2)
            return QRect(width // 2 - half, 0, 2 * half, self.height())
        return QRect(0, 0, round(width * self._threshold), self.height())


class Legend(QWidget):
    """Colour bar, ends and meaning of the map that is shown; a title while it is incomplete."""

    def __init__(self) -> None:
        super().__init__()
        self.title = bold(QLabel())
        self.bar = ColorBar()
        self.low, self.high = QLabel(), QLabel()
        ends = QHBoxLayout()
        ends.addWidget(self.low)
        ends.addStretch()
        ends.addWidget(self.high)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(2)
        layout.addWidget(self.title)
        layout.addWidget(self.bar)
        layout.addLayout(ends)

    def show_map(
        self, scores: PatchScores, view: HeatMapView, class_name: str, threshold: float, note: str
    ) -> None:
        """Explain the map."""
        words = legend_words(scores, view, class_name)
        self.title.setText(f"{words.title}{note}")
        self.low.setText(words.low)
        self.high.setText(words.high)
        self.title.setVisible(bool(note))  # else the choosers above say the same
        self.setToolTip(f"{words.title}. {words.sentence}")
        self.bar.show_view(view, threshold)
