"""Places that are worth labelling next, side by side: a digit labels one."""

from functools import partial

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.pictures import SidewaysScroll, icon_of
from napari_xmag._gui.shared.section import ACCENT, Words, discard
from napari_xmag._gui.teach.class_panel import swatch
from napari_xmag._gui.teach.state import SuggestedPatch, TeachState
from napari_xmag.teach.lesson import Lesson, TaughtClass

_SIDE = 96
_MOST_BUTTONS = 4


class _Picture(QPushButton):
    """The patch with its surroundings; a digit while it has the focus, or the mouse, labels it."""

    labelled = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        number = event.key() - Qt.Key.Key_0
        if 1 <= number <= 9 and not event.modifiers():
            self.labelled.emit(number)
        else:
            super().keyPressEvent(event)


class SuggestionButton(QWidget):
    """One place: its picture, and a button for each class."""

    clicked = Signal()
    labelled = Signal(int)

    def __init__(self, suggested: SuggestedPatch, lesson: Lesson) -> None:
        super().__init__()
        self.suggested = suggested
        self.picture = _Picture()
        self.picture.setFixedSize(_SIDE + 6, _SIDE + 6)
        self.picture.setIconSize(QSize(_SIDE, _SIDE))
        self.picture.setIcon(icon_of(suggested.pixels))
        self.picture.setText("" if suggested.pixels is not None else "unreadable")
        self.picture.setStyleSheet(
            "QPushButton { border: 2px solid transparent; padding: 1px; }"
            f"QPushButton:hover, QPushButton:focus {{ border-color: {ACCENT.name()}; }}"
        )
        why = (
            "The classifier is unsure here."
            if suggested.is_taught
            else ("Unlike any of your examples.")
        )
        self.picture.setToolTip(f"{why} Press a class number to label it, or click to go there.")
        self.picture.setAccessibleName(f"Worth labelling: {why}")
        self.picture.clicked.connect(self.clicked)
        self.picture.labelled.connect(self.labelled)
        row = QHBoxLayout()
        row.setSpacing(2)
        for number, kind in enumerate(lesson.classes[:_MOST_BUTTONS], 1):
            row.addWidget(self._class_button(number, kind))
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addLayout(row)

    def _class_button(self, number: int, kind: TaughtClass) -> QToolButton:
        button = QToolButton()
        button.setIcon(swatch(kind.color, 10))
        button.setText(str(number))
        button.setToolTip(f"This is {kind.name}.")
        button.setAccessibleName(f"Label as {kind.name}")
        button.setFixedSize(23, 20)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        button.clicked.connect(partial(self.labelled.emit, number))
        return button


class SuggestionStrip(QWidget):
    """The places that would teach most."""

    clicked = Signal(object)
    labelled = Signal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self.buttons: list[SuggestionButton] = []
        self._shown: tuple[SuggestedPatch, ...] | None = None
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        self._row.addStretch()
        inside = QWidget()
        inside.setLayout(self._row)
        self._scroll = SidewaysScroll()
        self._scroll.setWidget(inside)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFixedHeight(_SIDE + 52)
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self._scroll)
        self._scroll.hide()

    def show_state(self, state: TeachState) -> None:
        """Show what is worth labelling now; the keyboard stays on the first of them."""
        self.words.say(_words(state))
        if state.suggestions is self._shown:
            return
        self._shown = state.suggestions
        had_focus = any(button.picture.hasFocus() for button in self.buttons)
        for button in self.buttons:
            self._row.removeWidget(button)
            discard(button)
        self.buttons = [SuggestionButton(each, state.lesson) for each in state.suggestions]
        for place, button in enumerate(self.buttons):
            button.clicked.connect(partial(self.clicked.emit, button.suggested))
            button.labelled.connect(partial(self._label, button.suggested))
            self._row.insertWidget(place, button)
        self._scroll.setVisible(bool(self.buttons))
        if had_focus and self.buttons:
            self.buttons[0].picture.setFocus()

    def _label(self, suggested: SuggestedPatch, number: int) -> None:
        self.labelled.emit(suggested, number)


def _words(state: TeachState) -> str:
    if state.taught is None:
        return "Patches worth labelling appear here once there is a map."
    if not state.suggestions:
        return "Looking for the most informative patches …"
    return "Point at an image and press a class number to label it."
