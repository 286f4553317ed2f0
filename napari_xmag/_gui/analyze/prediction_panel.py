"""The slide's answer: a bar for each class, warnings in words."""

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter, QPainterPath, QPaintEvent
from qtpy.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from napari_xmag._gui.shared.figures import percent
from napari_xmag._gui.shared.section import ACCENT, ALARM, Words, discard, text_color
from napari_xmag.analyze.flags import Flag
from napari_xmag.analyze.result import SlideResult

_BAR_PX = 8


class ClassBar(QWidget):
    """One class: its name, its probability as a number and as a bar; the predicted one is marked.

    Parameters
    ----------
    name
        Class.
    probability
        0 to 1.
    predicted
        Whether this is the slide's prediction.
    """

    def __init__(self, name: str, probability: float, predicted: bool) -> None:
        super().__init__()
        self.name, self.probability, self.predicted = name, probability, predicted
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"{name}: {percent(probability)}")

    def sizeHint(self) -> QSize:
        """Return room for a line of text and a bar."""
        return QSize(200, self.fontMetrics().height() + _BAR_PX + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw name and number over the bar."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._write(painter)
        self._draw_bar(painter)
        painter.end()

    def _write(self, painter: QPainter) -> None:
        font = self.font()
        font.setBold(self.predicted)
        painter.setFont(font)
        painter.setPen(text_color(self))
        line = QRectF(1, 0, self.width() - 2, painter.fontMetrics().height() + 1)
        number = percent(self.probability)
        room = int(line.width() - painter.fontMetrics().horizontalAdvance(number) - 10)
        mark = "▸ " if self.predicted else ""
        name = painter.fontMetrics().elidedText(
            f"{mark}{self.name}", Qt.TextElideMode.ElideMiddle, room
        )
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, name)
        painter.drawText(line, Qt.AlignmentFlag.AlignRight, number)

    def _draw_bar(self, painter: QPainter) -> None:
        track = QRectF(1, self.height() - _BAR_PX - 3, self.width() - 2, _BAR_PX)
        shape = QPainterPath()
        shape.addRoundedRect(track, _BAR_PX / 2, _BAR_PX / 2)
        painter.fillPath(shape, text_color(self, 0.18))
        painter.setClipPath(shape)
        track.setWidth(track.width() * self.probability)
        painter.fillRect(track, ACCENT if self.predicted else text_color(self, 0.5))


class FlagRow(QFrame):
    """One warning: a sign and a sentence."""

    def __init__(self, flag: Flag) -> None:
        super().__init__()
        self.setObjectName("xmagFlag")
        self.setStyleSheet(f"#xmagFlag {{ border: none; border-left: 4px solid {ALARM.name()}; }}")
        self.words = Words(f"⚠  {flag.words}")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 2, 2)
        layout.addWidget(self.words)


class PredictionPanel(QWidget):
    """Shows what the model predicts for the whole slide, and reasons to doubt it."""

    def __init__(self) -> None:
        super().__init__()
        self.bars: list[ClassBar] = []
        self.flags: list[FlagRow] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(5)
        self.note = Words()
        self._layout.addWidget(self.note)

    def show_result(self, result: SlideResult | None) -> None:
        """Show bars and warnings."""
        for widget in (*self.bars, *self.flags):
            self._layout.removeWidget(widget)
            discard(widget)
        self.bars, self.flags = [], []
        self.note.say(_note(result))
        if result is None:
            return
        self.bars = _bars(result)
        self.flags = [FlagRow(flag) for flag in result.flags]
        for widget in (*self.bars, *self.flags):
            self._layout.addWidget(widget)


def _bars(result: SlideResult) -> list[ClassBar]:
    return [
        ClassBar(name, value, name == result.predicted)
        for name, value in zip(result.classes, result.probabilities, strict=False)
    ]


def _note(result: SlideResult | None) -> str:
    if result is None:
        return "The prediction appears when all tiles have been analysed."
    if not result.probabilities:
        return "No prediction: no tile could be analysed."
    return f"Prediction: {result.predicted} ({result.rule})." if result.rule else ""
