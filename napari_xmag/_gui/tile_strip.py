"""The most attended tiles, side by side: click to go there, tick right or wrong."""

from collections.abc import Mapping, Sequence

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap, QWheelEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.section import ACCENT, ALARM, Words, discard
from napari_xmag._gui.state import TileCard
from napari_xmag.analyze.review import Verdict

_SIDE = 104


class TileButton(QWidget):
    """One tile: picture, place and attention, two ticks."""

    clicked = Signal(int)
    judged = Signal(int, object)

    def __init__(self, card: TileCard, verdict: Verdict | None) -> None:
        super().__init__()
        self.card = card
        self.picture = QPushButton()
        self.picture.setFixedSize(_SIDE + 6, _SIDE + 6)
        self.picture.setIconSize(QSize(_SIDE, _SIDE))
        self.picture.setIcon(_icon(card))
        self.picture.setText("" if card.pixels is not None else "unreadable")
        self.picture.setStyleSheet(
            "QPushButton { border: 2px solid transparent; padding: 1px; }"
            f"QPushButton:hover, QPushButton:focus {{ border-color: {ACCENT.name()}; }}"
        )
        self.picture.setToolTip(
            f"Number {card.place} in attention ({100 * card.attention:.2g} %). Click to go there."
        )
        self.picture.setAccessibleName(f"Tile number {card.place}")
        self.picture.clicked.connect(lambda: self.clicked.emit(card.tile))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addLayout(self._ticks(verdict))

    def _ticks(self, verdict: Verdict | None) -> QHBoxLayout:
        self.right = self._tick("✓", Verdict.RIGHT, "The model is right to look here.", ACCENT)
        self.wrong = self._tick("✗", Verdict.WRONG, "The model should not look here.", ALARM)
        self.right.setChecked(verdict is Verdict.RIGHT)
        self.wrong.setChecked(verdict is Verdict.WRONG)
        label = QLabel(f"{self.card.place}  ·  {100 * self.card.attention:.2g} %")
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(label, 1)
        row.addWidget(self.right)
        row.addWidget(self.wrong)
        return row

    def _tick(self, sign: str, verdict: Verdict, tip: str, color: object) -> QToolButton:
        button = QToolButton()
        button.setText(sign)
        button.setCheckable(True)
        button.setToolTip(f"{tip} Kept with the result and exported.")
        button.setAccessibleName(f"Tile {self.card.place} {verdict}")
        button.setFixedSize(24, 22)
        button.setStyleSheet(
            "QToolButton { border: 1px solid #808080; border-radius: 3px; }"
            f"QToolButton:checked {{ background-color: {color.name()}; color: white; }}"
        )
        button.clicked.connect(lambda on: self._judge(verdict if on else None))
        return button

    def _judge(self, verdict: Verdict | None) -> None:
        self.right.setChecked(verdict is Verdict.RIGHT)
        self.wrong.setChecked(verdict is Verdict.WRONG)
        self.judged.emit(self.card.tile, verdict)


class _SidewaysScroll(QScrollArea):
    """A mouse wheel moves along the strip."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        bar = self.horizontalScrollBar()
        turn = event.angleDelta().y() or event.angleDelta().x()
        bar.setValue(bar.value() - turn)
        event.accept()


class TileStrip(QWidget):
    """The most attended tiles."""

    clicked = Signal(int)
    judged = Signal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self.tiles: list[TileButton] = []
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        inside = QWidget()
        inside.setLayout(self._row)
        self._row.addStretch()
        self._scroll = _SidewaysScroll()
        self._scroll.setWidget(inside)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self._scroll.setFixedHeight(_SIDE + 60)
        self.empty = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.empty)
        layout.addWidget(self._scroll)
        self.show_cards((), {}, waiting=False)

    def show_cards(
        self, cards: Sequence[TileCard], verdicts: Mapping[int, Verdict], waiting: bool
    ) -> None:
        """Show tiles with their ticks."""
        for tile in self.tiles:
            self._row.removeWidget(tile)
            discard(tile)
        self.tiles = [TileButton(card, verdicts.get(card.tile)) for card in cards]
        for place, tile in enumerate(self.tiles):
            tile.clicked.connect(self.clicked)
            tile.judged.connect(self.judged)
            self._row.insertWidget(place, tile)
        self._scroll.setVisible(bool(cards))
        self.empty.say("" if cards else _empty_words(waiting))


def _empty_words(waiting: bool) -> str:
    return "Reading the tiles …" if waiting else "The ten places that the model looked at most."


def _icon(card: TileCard) -> QIcon:
    if card.pixels is None:
        return QIcon()
    pixels = np.ascontiguousarray(card.pixels)
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    # A copy, because QImage only borrows the array's memory.
    return QIcon(QPixmap.fromImage(image.copy()))
