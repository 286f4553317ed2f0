"""The foremost patches, side by side: click to go there, mark as right or wrong."""

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.analyze.state import PatchCard, SlideSession
from napari_xmag._gui.shared.pictures import SidewaysScroll, icon_of
from napari_xmag._gui.shared.section import ACCENT, ALARM, Words, discard
from napari_xmag.review.verdicts import Verdict

_SIDE = 104


class PatchButton(QWidget):
    """One patch: its picture, place and value, and two buttons to mark it."""

    clicked = Signal(int)
    judged = Signal(int, object)

    def __init__(self, card: PatchCard, class_name: str, verdict: Verdict | None) -> None:
        super().__init__()
        self.card = card
        self._value = _evidence_words(card) if class_name else _attention_words(card)
        self.picture = QPushButton()
        self.picture.setFixedSize(_SIDE + 6, _SIDE + 6)
        self.picture.setIconSize(QSize(_SIDE, _SIDE))
        self.picture.setIcon(icon_of(card.pixels))
        self.picture.setText("" if card.pixels is not None else "unreadable")
        self.picture.setStyleSheet(
            "QPushButton { border: 2px solid transparent; padding: 1px; }"
            f"QPushButton:hover, QPushButton:focus {{ border-color: {ACCENT.name()}; }}"
        )
        rank = f"evidence for “{class_name}”" if class_name else "attention"
        self.picture.setToolTip(f"Patch {card.place} by {rank} ({self._value}). Click to go there.")
        self.picture.setAccessibleName(f"Patch {card.place}")
        self.picture.clicked.connect(lambda: self.clicked.emit(card.patch))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addLayout(self._ticks(verdict))

    def _ticks(self, verdict: Verdict | None) -> QHBoxLayout:
        self.right = self._tick("✓", Verdict.RIGHT, "Right: the model should look here.", ACCENT)
        self.wrong = self._tick("✗", Verdict.WRONG, "Wrong: the model should not look here.", ALARM)
        self.right.setChecked(verdict is Verdict.RIGHT)
        self.wrong.setChecked(verdict is Verdict.WRONG)
        label = QLabel(f"{self.card.place}  ·  {self._value}")
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(label, 1)
        row.addWidget(self.right)
        row.addWidget(self.wrong)
        return row

    def _tick(self, sign: str, verdict: Verdict, tip: str, color: QColor) -> QToolButton:
        button = QToolButton()
        button.setText(sign)
        button.setCheckable(True)
        button.setToolTip(f"{tip} Saved in exports.")
        button.setAccessibleName(f"Patch {self.card.place} {verdict}")
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
        self.judged.emit(self.card.patch, verdict)


class PatchStrip(QWidget):
    """The patches to review, and what they have in common."""

    clicked = Signal(int)
    judged = Signal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self.patches: list[PatchButton] = []
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        inside = QWidget()
        inside.setLayout(self._row)
        self._row.addStretch()
        self._scroll = SidewaysScroll()
        self._scroll.setWidget(inside)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self._scroll.setFixedHeight(_SIDE + 60)
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self._scroll)
        self.show_session(None)

    def show_session(self, session: SlideSession | None) -> None:
        """Show the patches of a slide as they are marked."""
        for patch in self.patches:
            self._row.removeWidget(patch)
            discard(patch)
        self.patches = _buttons(session) if session is not None else []
        for place, patch in enumerate(self.patches):
            patch.clicked.connect(self.clicked)
            patch.judged.connect(self.judged)
            self._row.insertWidget(place, patch)
        self._scroll.setVisible(bool(self.patches))
        self.words.say(_words(session))


def _buttons(session: SlideSession) -> list[PatchButton]:
    shown, verdicts = session.cards_for or "", session.verdicts
    return [PatchButton(card, shown, verdicts.get(card.patch)) for card in session.cards or ()]


def _words(session: SlideSession | None) -> str:
    shown = session.cards_for if session is not None else None
    if session is None or shown is None:
        return "Patches appear here when the slide has been analysed."
    if session.cards is None:
        return "Reading the patches …"
    if not shown:
        return "The patches with the most attention."
    if not session.cards:
        return f"No patch speaks for “{shown}”."
    return f"The patches that speak most for “{shown}”."


def _attention_words(card: PatchCard) -> str:
    return f"{100 * card.value:.2g} %"


def _evidence_words(card: PatchCard) -> str:
    return f"{card.value:+#.2g}"
