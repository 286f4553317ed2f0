"""The whole slide in small with the box of what is in sight, and steps of magnification."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.pictures import pixmap_of
from napari_xmag._gui.shared.section import bold, text_color

MAGNIFICATIONS = (1.25, 5.0, 10.0, 20.0, 40.0)

_HEIGHT_PX = 176
_LEAST_BOX_PX = 7
_BOX_COLOR = QColor("#ffe600")
_TIP = "The whole slide. The box marks the current view; click or drag to move it."


@dataclass(frozen=True, slots=True)
class ShownPart:
    """What of a slide's scanned part is in sight, in parts of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


class OverviewPicture(QWidget):
    """A small picture of a slide with a box on it.

    Attributes
    ----------
    asked
        The place that was clicked, in parts of the slide's width and height.
    """

    asked = Signal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self._ratio = 1.0
        self.part: ShownPart | None = None
        self.setToolTip(_TIP)
        self.setAccessibleName("Overview of the slide")
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Ask for room below which an overview is of no use."""
        return QSize(200, _HEIGHT_PX)

    def show_picture(self, pixels: NDArray[np.uint8] | None, ratio: float) -> None:
        """Show a slide, uint8 (H, W, 3), or an empty frame; ``ratio`` is width by height."""
        self._pixmap, self._ratio = pixmap_of(pixels), ratio
        self.update()

    def show_part(self, part: ShownPart | None) -> None:
        """Draw the box around another part."""
        if part != self.part:
            self.part = part
            self.update()

    def frame(self) -> QRectF:
        """Return where the slide lies in the widget: as large as fits, in the middle."""
        width = min(float(self.width()), self.height() * self._ratio)
        height = width / self._ratio
        return QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)

    def box(self) -> QRectF | None:
        """Return where the box is drawn, never too small to be seen."""
        if self.part is None:
            return None
        frame, part = self.frame(), self.part
        left, right = (frame.left() + x * frame.width() for x in (part.left, part.right))
        top, bottom = (frame.top() + y * frame.height() for y in (part.top, part.bottom))
        box = QRectF(QPointF(left, top), QPointF(right, bottom))
        short_x = max(0.0, _LEAST_BOX_PX - box.width()) / 2
        short_y = max(0.0, _LEAST_BOX_PX - box.height()) / 2
        return box.adjusted(-short_x, -short_y, short_x, short_y)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw slide and box."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = self.frame()
        if self._pixmap.isNull():
            painter.setPen(text_color(self, 0.4))
            painter.drawRect(frame.adjusted(0, 0, -1, -1))
        else:
            painter.drawPixmap(frame, self._pixmap, QRectF(self._pixmap.rect()))
        box = self.box()
        if box is not None:
            painter.setClipRect(frame)
            for color, width in ((QColor(0, 0, 0, 170), 4), (_BOX_COLOR, 2)):
                painter.setPen(QPen(color, width))
                painter.drawRect(box)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Ask to move to the place of a click."""
        self._ask(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow a mouse that is dragged."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._ask(event.position())

    def _ask(self, place: QPointF) -> None:
        frame = self.frame()
        x = (place.x() - frame.left()) / max(frame.width(), 1.0)
        y = (place.y() - frame.top()) / max(frame.height(), 1.0)
        self.asked.emit(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))


class OverviewPanel(QWidget):
    """Overview, steps of magnification, and the way to label and macro picture.

    Attributes
    ----------
    place_asked
        Where to move, in parts of the slide's width and height.
    zoom_asked
        At which magnification to look.
    label_asked
        Label and macro picture are to be shown.
    """

    place_asked = Signal(float, float)
    zoom_asked = Signal(float)
    label_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.picture = OverviewPicture()
        self.picture.asked.connect(self.place_asked)
        self.now = bold(QLabel())
        self.now.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.now.setToolTip("Current magnification: at 10×, one screen pixel is 1 µm wide.")
        self.steps = {step: self._step(step) for step in MAGNIFICATIONS}
        self.label = QPushButton("Label …")
        self.label.setToolTip(
            "Show the slide's label and macro image. The label may identify the patient; neither "
            "image is ever exported."
        )
        self.label.clicked.connect(self.label_asked)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.now)
        for button in self.steps.values():
            column.addWidget(button)
        column.addStretch()
        column.addWidget(self.label)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.picture, 1)
        layout.addLayout(column)
        self.allow(is_open=False, calibrated=False)

    def _step(self, magnification: float) -> QToolButton:
        button = QToolButton()
        button.setText(f"{magnification:g}×")
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setToolTip(f"View the slide at {magnification:g}×.")
        button.clicked.connect(partial(self._ask_zoom, magnification))
        return button

    def _ask_zoom(self, magnification: float, *_: object) -> None:
        self.zoom_asked.emit(magnification)

    def allow(self, *, is_open: bool, calibrated: bool) -> None:
        """Let steps be chosen where the pixel size is known, the label where a slide is open."""
        for button in self.steps.values():
            button.setEnabled(calibrated)
        self.label.setEnabled(is_open)
        self.picture.setEnabled(is_open)

    def show_magnification(self, magnification: float | None) -> None:
        """Say how strongly the slide is magnified now."""
        self.now.setText("" if magnification is None else f"{magnification:.2g}×")
