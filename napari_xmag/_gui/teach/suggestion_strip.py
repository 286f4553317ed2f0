"""Places that are worth labelling next, side by side: a digit labels one."""

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, qGray
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.pictures import SidewaysScroll, icon_of
from napari_xmag._gui.shared.section import ACCENT, Words, discard
from napari_xmag._gui.teach.state import SuggestedPatch, TeachState
from napari_xmag.teach.lesson import TaughtClass

_SIDE = 96
_IN_ROW, _ROW = 4, 22
"""Buttons of classes below a picture, side by side, and the height of such a row."""


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
    """One place: its picture, and a button for each class; shows one place after another.

    Parameters
    ----------
    classes
        Whose buttons it has, in the order of their numbers.
    """

    clicked = Signal(object)
    labelled = Signal(object, int)

    def __init__(self, classes: Sequence[TaughtClass]) -> None:
        super().__init__()
        self.suggested: SuggestedPatch | None = None
        self.picture = _Picture()
        self.picture.setFixedSize(_SIDE + 6, _SIDE + 6)
        self.picture.setIconSize(QSize(_SIDE, _SIDE))
        self.picture.setStyleSheet(
            "QPushButton { border: 2px solid transparent; padding: 1px; }"
            f"QPushButton:hover, QPushButton:focus {{ border-color: {ACCENT.name()}; }}"
        )
        self.picture.clicked.connect(self._click)
        self.picture.labelled.connect(self._label)
        self.classes: list[QToolButton] = []
        grid = QGridLayout()
        grid.setSpacing(2)
        for number, kind in enumerate(classes):
            self.classes.append(self._class_button(number + 1, kind))
            grid.addWidget(self.classes[-1], *divmod(number, _IN_ROW))
        grid.setColumnStretch(_IN_ROW, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addLayout(grid)
        layout.addStretch()

    def show_patch(self, suggested: SuggestedPatch) -> None:
        """Show a place, and why it is worth labelling."""
        self.suggested = suggested
        self.picture.setIcon(icon_of(suggested.pixels))
        self.picture.setText("" if suggested.pixels is not None else "unreadable")
        unsure, unlike = "The classifier is unsure here.", "Unlike any of your examples."
        why = unsure if suggested.is_taught else unlike
        self.picture.setToolTip(f"{why} Press a class number to label it, or click to go there.")
        self.picture.setAccessibleName(f"Worth labelling: {why}")

    def _class_button(self, number: int, kind: TaughtClass) -> QToolButton:
        button = QToolButton()
        button.setText(str(number))
        button.setStyleSheet(_style_of(kind.color))
        button.setToolTip(f"This is {kind.name}.")
        button.setAccessibleName(f"Label as {kind.name}")
        button.setFixedSize(23, _ROW - 2)
        button.clicked.connect(partial(self._label, number))
        return button

    def _click(self) -> None:
        self.clicked.emit(self.suggested)

    def _label(self, number: int) -> None:
        self.labelled.emit(self.suggested, number)


class SuggestionStrip(QWidget):
    """The places that would teach most."""

    clicked = Signal(object)
    labelled = Signal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self.buttons: list[SuggestionButton] = []
        self._shown: tuple[SuggestedPatch, ...] | None = None
        self._classes: tuple[TaughtClass, ...] = ()
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
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self._scroll)
        self._scroll.hide()

    def show_state(self, state: TeachState) -> None:
        """Show what is worth labelling now; the keyboard stays on the first of them."""
        self.words.say(_words(state))
        classes = state.lesson.classes
        if state.suggestions is self._shown and classes == self._classes:
            return
        had_focus = any(button.picture.hasFocus() for button in self.buttons)
        self._have(len(state.suggestions), classes)
        self._shown = state.suggestions
        for button, suggested in zip(self.buttons, state.suggestions, strict=True):
            button.show_patch(suggested)
        self._scroll.setVisible(bool(self.buttons))
        if had_focus and self.buttons:
            self.buttons[0].picture.setFocus()

    def _have(self, count: int, classes: tuple[TaughtClass, ...]) -> None:
        """Have so many places side by side; those that are there are used again."""
        left = count if classes == self._classes else 0
        for button in self.buttons[left:]:
            self._row.removeWidget(button)
            discard(button)
        del self.buttons[left:]
        self._classes = classes
        while len(self.buttons) < count:
            button = SuggestionButton(classes)
            button.clicked.connect(self.clicked)
            button.labelled.connect(self.labelled)
            self._row.insertWidget(len(self.buttons), button)
            self.buttons.append(button)
        rows = max(1, -(-len(classes) // _IN_ROW))
        self._scroll.setFixedHeight(_SIDE + 30 + rows * _ROW)


def _style_of(color: tuple[int, int, int]) -> str:
    """Fill a button with the colour of its class, its digit in what can be read on it."""
    fill, text = QColor(*color).name(), "black" if qGray(*color) > 127 else "white"
    return (
        f"QToolButton {{ background: {fill}; color: {text}; padding: 0; }}"
        "QToolButton { border: 1px solid gray; border-radius: 2px; }"
        f"QToolButton:hover, QToolButton:focus {{ border: 2px solid {ACCENT.name()}; }}"
    )


def _words(state: TeachState) -> str:
    if state.taught is None:
        return "Patches worth labelling appear here once there is a map."
    if not state.suggestions:
        return "Looking for the most informative patches …"
    return "Point at an image and press a class number to label it."
