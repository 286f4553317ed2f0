"""The slide's answer or why there is none, a bar for each class, warnings in words."""

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter, QPainterPath, QPaintEvent
from qtpy.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from napari_xmag._gui.shared.section import ACCENT, ALARM, Section, Words, bold, discard, text_color
from napari_xmag.analyze.bars import Band, band_words, class_bars
from napari_xmag.analyze.result import SlideResult
from napari_xmag.formatting import local_minute, percent

_BAR_PX = 8
_MARK_PX = 4  # how far the mark of the threshold stands out of the bar


class ClassBar(QWidget):
    """One class: its name, its probability as a number and as a bar; the answer is marked.

    Parameters
    ----------
    name
        Class.
    probability
        0 to 1.
    answer
        Whether this class is the slide's answer; the other bars are grey.
    band
        Where the decision lies: a mark on the bar, and the uncertain range around it.
    """

    def __init__(
        self, name: str, probability: float, *, answer: bool = False, band: Band | None = None
    ) -> None:
        super().__init__()
        self.name, self.probability, self.answer, self.band = name, probability, answer, band
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"{name}: {percent(probability)}")

    def sizeHint(self) -> QSize:
        """Return room for a line of text and a bar."""
        return QSize(200, self.fontMetrics().height() + _BAR_PX + _MARK_PX + 3)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw name and number over the bar."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._write(painter)
        self._draw_bar(painter)
        painter.end()

    def _write(self, painter: QPainter) -> None:
        font = self.font()
        font.setBold(self.answer)
        painter.setFont(font)
        painter.setPen(text_color(self))
        line = QRectF(1, 0, self.width() - 2, painter.fontMetrics().height() + 1)
        number = percent(self.probability)
        room = int(line.width() - painter.fontMetrics().horizontalAdvance(number) - 10)
        mark = "▸ " if self.answer else ""
        name = painter.fontMetrics().elidedText(
            f"{mark}{self.name}", Qt.TextElideMode.ElideMiddle, room
        )
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, name)
        painter.drawText(line, Qt.AlignmentFlag.AlignRight, number)

    def _draw_bar(self, painter: QPainter) -> None:
        track = QRectF(1, self.height() - _BAR_PX - _MARK_PX, self.width() - 2, _BAR_PX)
        shape = QPainterPath()
        shape.addRoundedRect(track, _BAR_PX / 2, _BAR_PX / 2)
        painter.fillPath(shape, text_color(self, 0.18))
        painter.setClipPath(shape)
        filled = QRectF(track)
        filled.setWidth(track.width() * self.probability)
        painter.fillRect(
            filled, ACCENT if self.answer and self.isEnabled() else text_color(self, 0.5)
        )
        if self.band is not None:
            self._draw_decision(painter, track, self.band)

    def _draw_decision(self, painter: QPainter, track: QRectF, band: Band) -> None:
        """Hatch the uncertain range and mark the threshold."""
        left, width = track.left(), track.width()
        uncertain = QRectF(track)
        uncertain.setLeft(left + band.low * width)
        uncertain.setRight(left + band.high * width)
        painter.fillRect(uncertain, Qt.BrushStyle.BDiagPattern)
        painter.setClipping(False)
        mark = QRectF(left + band.threshold * width - 1, track.top() - _MARK_PX, 2, 0)
        mark.setBottom(track.bottom() + _MARK_PX)
        painter.fillRect(mark, text_color(self))


class FlagRow(QFrame):
    """One reason or warning: a sign and a sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.setObjectName("xmagFlag")
        self.setStyleSheet(f"#xmagFlag {{ border: none; border-left: 4px solid {ALARM.name()}; }}")
        self.words = Words(f"⚠  {sentence}")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 2, 2)
        layout.addWidget(self.words)


class PredictionPanel(QWidget):
    """Shows what the model says of the whole slide, and reasons to doubt it.

    Attributes
    ----------
    headline
        The answer, or that there is none.
    about
        Which model, which tissue, when.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bars: list[ClassBar] = []
        self.flags: list[FlagRow] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)
        self.headline = bold(Words(), larger=3)
        self.about = Words()
        self.note = Words()
        self.more = Section("About this result", folded=True)
        self.more.add(self.about)
        self.more.add(self.note)
        self.empty = Words("The prediction appears when all tiles have been analyzed.")
        for widget in (self.empty, self.headline, self.more):
            self._layout.addWidget(widget)

    def show_result(
        self, result: SlideResult | None, *, stale: bool = False, compared: bool = False
    ) -> None:
        """Show answer, reasons, bars and warnings.

        Parameters
        ----------
        stale
            Grey: the choosers say something else.
        compared
            The map shows what differs from another result: only the answer stays above it.
        """
        self.setEnabled(not stale)
        for widget in (*self.bars, *self.flags):
            discard(widget)
        self.bars, self.flags = [], []
        self.empty.setVisible(result is None)
        self.more.setVisible(result is not None)
        self.headline.say(result.headline if result is not None else "")
        if result is not None:
            self.headline.setToolTip(about(result))
            self.about.say(about(result))
            self.note.say("\n".join(band_words(result)))
            self._fill(result, compared=compared)

    def _fill(self, result: SlideResult, *, compared: bool) -> None:
        """Put the first reason and the bars below the headline, all else further down."""
        certain = "" if result.uncertain else result.answer
        self.bars = [
            ClassBar(name, share, answer=name == certain, band=band)
            for name, share, band in class_bars(result)
        ]
        sentences = [*result.abstained, *(flag.words for flag in result.warnings)]
        self.flags = [FlagRow(words) for words in sentences]
        above = [] if compared else [*self.flags[:1], *self.bars]
        below = [*self.bars, *self.flags] if compared else self.flags[1:]
        for place, widget in enumerate(above, start=2):
            self._layout.insertWidget(place, widget)
        for widget in below:
            self.more.add(widget)
        self.more.set_title(_more_words(len(self.flags), above=0 if compared else 1))


def _more_words(flags: int, above: int) -> str:
    """Return the title of what is folded away, with how many warnings are in it."""
    rest = flags - above
    if rest <= 0:
        return "About this result"
    more = "more " if above else ""
    return f"About this result, {rest} {more}{'warning' if rest == 1 else 'warnings'}"


def about(result: SlideResult) -> str:
    """Return what a result is of: model with version, tissue, date."""
    return f"{result.model_words}\n{result.tissue_words} · {local_minute(result.created)}"
