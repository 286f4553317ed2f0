"""The colours of the map, with words that say what they mean."""

from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_xmag._gui.analyze.map_layer import colormap
from napari_xmag._gui.analyze.scores import PatchScores, shown_values
from napari_xmag._gui.analyze.state import Compared, SlideSession
from napari_xmag._gui.shared.section import Words, bold, text_color
from napari_xmag.analyze.heatmap import HeatMapView, MapLook
from napari_xmag.export.palette import evidence_scale

_BAR_PX = 14


@dataclass(frozen=True, slots=True)
class LegendWords:
    """A legend's text: title, both ends, a sentence, and for a difference what it is of."""

    title: str
    low: str
    high: str
    sentence: str
    compared: tuple[str, ...] = ()


def legend_words(scores: PatchScores, view: HeatMapView, class_name: str) -> LegendWords:
    """Say what a view's colours mean for these patches."""
    if view is HeatMapView.RANK:
        return LegendWords(
            "Attention (rank)",
            "lowest rank",
            "highest rank",
            "The patches of this slide ranked by attention. The scale is relative: half of the "
            "patches are always in the upper half, even if nothing stands out.",
        )
    if view is HeatMapView.RAW:
        return LegendWords(
            "Attention (raw)",
            "0 %",
            f"{100 * shown_values(scores, view, class_name).high:.3g} %",
            "Share of the model's attention that each patch receives. All patches add up to 100 %.",
        )
    scale = evidence_scale(is_shares=scores.is_shares)
    return LegendWords(
        f"Evidence for “{class_name}”",
        f"≤ −{scale:g} against",
        f"for ≥ +{scale:g}",
        f"What each patch adds to the score of “{class_name}”, on one scale for all slides: the "
        "score that the slide would have if every patch added as much. The mean of the map is the "
        "score.",
    )


def difference_words(
    scores: PatchScores, view: HeatMapView, class_name: str, compared: Compared
) -> LegendWords:
    """Say what the colours mean where the map is the difference of two results."""
    high = shown_values(scores, view, class_name, compared.scores).high
    if view is HeatMapView.EVIDENCE:
        unit, top = "in the slide's score", f"{evidence_scale(is_shares=scores.is_shares):g}"
    elif view is HeatMapView.RANK:
        unit, top = "in percentage points (pp)", "100 pp"
    else:
        unit, top = "in percentage points (pp)", f"{100 * high:.3g} pp"
    title = legend_words(scores, view, class_name).title
    return LegendWords(
        f"Difference A − B: {title}",
        f"−{top} more in B",
        f"more in A +{top}",
        f"For each patch, its value in A minus its value in B, {unit}; only where both have one.",
        (f"A: {compared.own_words}", f"B: {compared.words}"),
    )


class ColorBar(QWidget):
    """A strip of the map's colours, low on the left; what the threshold hides is hatched."""

    def __init__(self) -> None:
        super().__init__()
        self._diverging = False
        self._threshold = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return a flat strip."""
        return QSize(200, _BAR_PX)

    def show_colors(self, threshold: float, *, diverging: bool) -> None:
        """Take other colours, and hide what is weaker than the threshold."""
        self._diverging, self._threshold = diverging, threshold
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the colours."""
        colors = (255 * colormap(self._diverging).map(np.linspace(0, 1, 256))).astype(np.uint8)
        row = np.ascontiguousarray(colors[None])
        picture = QImage(row.data, 256, 1, 4 * 256, QImage.Format.Format_RGBA8888)
        painter = QPainter(self)
        painter.drawImage(self.rect(), picture)
        painter.fillRect(self._hidden(), text_color(self, 0.0))
        painter.fillRect(self._hidden(), Qt.BrushStyle.BDiagPattern)
        painter.end()

    def _hidden(self) -> QRect:
        width = self.width()
        if self._diverging:
            half = round(width * self._threshold / 2)
            return QRect(width // 2 - half, 0, 2 * half, self.height())
        return QRect(0, 0, round(width * self._threshold), self.height())


class Legend(QWidget):
    """Colour bar, ends and meaning of the map that is shown; a title where it needs one."""

    def __init__(self) -> None:
        super().__init__()
        self.title = bold(Words())
        self.bar = ColorBar()
        self.low, self.high = QLabel(), QLabel()
        self.compared = [Words() for _ in range(2)]
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
        for line in self.compared:
            layout.addWidget(line)

    def show_map(
        self,
        session: SlideSession,
        scores: PatchScores,
        look: MapLook,
        note: str,
    ) -> None:
        """Explain the map of a slide."""
        view, name, other = look.view, look.class_name, session.compared
        if other is None:
            words = legend_words(scores, view, name)
        else:
            words = difference_words(scores, view, name, other)
        # without a note the choosers above, or the lines below, say the same
        self.title.setText(f"{words.title}{note}")
        self.title.setVisible(bool(note))
        self.low.setText(words.low)
        self.high.setText(words.high)
        for line, text in zip(self.compared, words.compared or [""] * 2, strict=True):
            line.say(text)
        self.setToolTip(f"{words.title}. {words.sentence}")
        diverging = other is not None or view is HeatMapView.EVIDENCE
        self.bar.show_colors(look.threshold, diverging=diverging)
