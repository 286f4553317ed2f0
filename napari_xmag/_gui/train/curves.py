"""Curves that grow while a model trains, drawn cheaply however long they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget
from superqt.utils import QSignalThrottler

from napari_xmag._gui.shared.section import ACCENT, text_color
from napari_xmag._gui.train.state import Curves
from napari_xmag.progress.events import Stage

REDRAW_MS = 500
_COLORS = {"training": ACCENT.lighter(125), "validation": QColor("#e0954a")}
_OTHER = QColor("#7aa6dd")
_TICKS = 4
_NAMES = {Stage.HEAD: "head", Stage.END_TO_END: "end to end"}


@dataclass(frozen=True)
class Line:
    """One curve of a plot: what it is called and one value for each epoch."""

    name: str
    values: NDArray[np.float64]

    @property
    def color(self) -> QColor:
        """The same for the same name in all plots."""
        return _COLORS.get(self.name, _OTHER)


def decimate(
    values: NDArray[np.float64], columns: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return places and values of at most two points for each column of the screen.

    Parameters
    ----------
    values
        Float (N,), NaN where there is none.
    columns
        Width to draw on, in pixels.

    Returns
    -------
    Indices into ``values`` (sorted) and the values there: of each column lowest and highest.
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(known) <= 2 * columns:
        return known, values[known]
    edges = np.linspace(0, len(known), columns + 1).astype(int)[:-1]
    parts = np.split(known, edges[1:])
    chosen = [part[[values[part].argmin(), values[part].argmax()]] for part in parts]
    places = np.unique(np.concatenate(chosen))
    return places, values[places]


class Plot(QWidget):
    """One frame with curves over epochs.

    Parameters
    ----------
    title
        Above the frame.
    between
        Fixed limits of the values, or None to follow them.
    """

    def __init__(self, title: str, between: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.title, self.between = title, between
        self.lines: list[Line] = []
        self.borders: list[tuple[int, str]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(130)

    def sizeHint(self) -> QSize:
        """Return a comfortable size."""
        return QSize(360, 180)

    def show_lines(self, lines: Sequence[Line], borders: Sequence[tuple[int, str]]) -> None:
        """Draw these from now on; ``borders`` name the stages by their first epoch."""
        self.lines, self.borders = list(lines), list(borders)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw frame, ticks, borders of stages, curves and legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = painter.fontMetrics().height()
        frame = QRectF(46, room + 8, self.width() - 56, self.height() - 2 * room - 16)
        self._write_title(painter, frame)
        low, high = self._limits()
        self._draw_ticks(painter, frame, low, high)
        for line in self.lines:
            self._draw_line(painter, frame, line, (low, high))
        painter.end()

    def _limits(self) -> tuple[float, float]:
        if self.between is not None:
            return self.between
        values = [line.values[np.isfinite(line.values)] for line in self.lines]
        known = np.concatenate(values) if values else np.empty(0)
        if not len(known):
            return 0.0, 1.0
        # A single leap must not flatten all the rest.
        low, high = float(known.min()), float(np.percentile(known, 99.5))
        margin = 0.05 * (high - low) or 0.5
        return low - margin, high + margin

    def _write_title(self, painter: QPainter, frame: QRectF) -> None:
        painter.setPen(text_color(self))
        line = QRectF(2, 2, self.width() - 4, frame.top() - 4)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, self.title)
        place = self.width() - 8.0
        for curve in reversed(self.lines):
            known = curve.values[np.isfinite(curve.values)]
            text = f"{curve.name} {known[-1]:.3f}" if len(known) else curve.name
            place -= painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(curve.color)
            painter.drawText(QPointF(place, painter.fontMetrics().ascent() + 2), text)
            place -= 14

    def _draw_ticks(self, painter: QPainter, frame: QRectF, low: float, high: float) -> None:
        dim, faint = text_color(self, 0.65), text_color(self, 0.2)
        for value in nice_ticks(low, high):
            y = frame.bottom() - (value - low) / (high - low) * frame.height()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
            painter.setPen(dim)
            where = QRectF(0, y - 10, frame.left() - 6, 20)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(where, right, f"{value:.3g}")
        self._draw_epochs(painter, frame, dim)

    def _draw_epochs(self, painter: QPainter, frame: QRectF, dim: QColor) -> None:
        count = self._count()
        below = frame.bottom() + painter.fontMetrics().ascent() + 4
        painter.setPen(dim)
        painter.drawText(QPointF(frame.left(), below), "1")
        last = f"epoch {count}" if count else "epochs"
        across = painter.fontMetrics().horizontalAdvance(last)
        painter.drawText(QPointF(frame.right() - across, below), last)
        for first, name in self.borders if len(self.borders) > 1 else ():
            x = frame.left() + first / max(count - 1, 1) * frame.width()
            painter.setPen(QPen(dim, 1, Qt.PenStyle.DashLine))
            if first:
                painter.drawLine(QPointF(x, frame.top()), QPointF(x, frame.bottom()))
            self._name_stage(painter, frame, x, name)

    def _name_stage(self, painter: QPainter, frame: QRectF, x: float, name: str) -> None:
        """Write a name beside its border, before it with an arrow where nothing fits behind."""
        across = painter.fontMetrics().horizontalAdvance
        if x + 4 + across(name) > frame.right():
            name = f"{name} →"
            x -= 8 + across(name)
        painter.drawText(QPointF(x + 4, frame.bottom() - 4), name)

    def _count(self) -> int:
        return max((len(line.values) for line in self.lines), default=0)

    def _draw_line(
        self, painter: QPainter, frame: QRectF, line: Line, limits: tuple[float, float]
    ) -> None:
        places, heights = decimate(line.values, max(int(frame.width()), 1))
        if not len(places):
            return
        low, high = limits
        x = frame.left() + places / max(self._count() - 1, 1) * frame.width()
        share = (np.clip(heights, low, high) - low) / (high - low)
        y = frame.bottom() - share * frame.height()
        painter.setPen(QPen(line.color, 2))
        points = [QPointF(a, b) for a, b in zip(x, y, strict=True)]
        if len(points) == 1:
            painter.setBrush(line.color)
            painter.drawEllipse(points[0], 2.5, 2.5)
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))


class CurvesPanel(QWidget):
    """Loss and AUC over the epochs; redrawn twice a second at most."""

    def __init__(self, curves: Curves) -> None:
        super().__init__()
        self._curves = curves
        self.loss = Plot("Loss")
        self.auc = Plot("AUC", (0.0, 1.0))
        self.redraws = 0
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.loss, 1)
        layout.addWidget(self.auc, 1)
        self._soon = QSignalThrottler(QSignalThrottler.EmissionPolicy.Trailing, self)
        self._soon.setTimeout(REDRAW_MS)
        self._soon.triggered.connect(self.redraw)
        curves.changed.connect(self._soon.throttle)

    def redraw(self) -> None:
        """Draw what is known by now."""
        self.redraws += 1
        lines = _lines(self._curves)
        borders = _borders(self._curves.stages)
        self.loss.show_lines(lines["loss"], borders)
        self.auc.show_lines(lines["auc"], borders)

    def let_go(self) -> None:
        """Follow the curves no longer."""
        self._soon.cancel()
        self._curves.changed.disconnect(self._soon.throttle)


def _lines(curves: Curves) -> dict[str, list[Line]]:
    result: dict[str, list[Line]] = {"loss": [], "auc": []}
    for name, values in curves.series.items():
        split, _, what = name.partition("_")
        if what in result and split in ("train", "validation"):
            shown = "training" if split == "train" else split
            result[what].append(Line(shown, np.array(values)))
    return result


def _borders(stages: Sequence[tuple[Stage, int]]) -> list[tuple[int, str]]:
    return [
        (place, f"fold {fold}: {_NAMES[stage]}" if fold else _NAMES[stage])
        for place, (stage, fold) in enumerate(stages)
        if place == 0 or (stage, fold) != stages[place - 1]
    ]


def nice_ticks(low: float, high: float) -> list[float]:
    """Return some round numbers between two."""
    raw = (high - low) / _TICKS
    if not raw > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
