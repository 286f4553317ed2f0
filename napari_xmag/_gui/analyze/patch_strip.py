"""The foremost patches, side by side: click to go there, mark as right or wrong, comment."""

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.analyze.state import PatchCard, SlideSession, Spot
from napari_xmag._gui.shared.pictures import SidewaysScroll, icon_of
from napari_xmag._gui.shared.section import ACCENT, ALARM, Words, bold, discard
from napari_xmag.geometry import Box
from napari_xmag.review.verdicts import PlaceReview, Verdict

_SIDE = 76
_PICTURE_STYLE = (
    "QPushButton {{ border: 3px solid {border}; padding: 0px; }}"
    "QPushButton:hover, QPushButton:focus {{ border-color: {hover}; }}"
)
_HERE = "#ffe600"  # as the outline on the slide

_About = tuple[Path, int, Box, str]


class PatchButton(QWidget):
    """One patch: its picture, place and value, and two buttons to mark it."""

    clicked = Signal(int)
    marked = Signal(int, object)

    def __init__(self, card: PatchCard, class_name: str) -> None:
        super().__init__()
        self.card = card
        self._value = _evidence_words(card) if class_name else _attention_words(card)
        self.picture = QPushButton()
        self.picture.setFixedSize(_SIDE + 6, _SIDE + 6)
        self.picture.setIconSize(QSize(_SIDE, _SIDE))
        self.picture.setIcon(icon_of(card.pixels))
        self.picture.setText("" if card.pixels is not None else "unreadable")
        rank = f"evidence for “{class_name}”" if class_name else "attention"
        self.picture.setToolTip(
            f"Patch {card.place} by {rank} ({self._value}). Click to go there (N: next patch, P: "
            "previous patch)."
        )
        self.picture.setAccessibleName(f"Patch {card.place}")
        self.picture.clicked.connect(lambda: self.clicked.emit(card.place - 1))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addLayout(self._ticks())
        self.show_here(False)
        self.show_said(None)

    def _ticks(self) -> QHBoxLayout:
        right, wrong = "Right: the model should look here", "Wrong: the model should not look here"
        self.right = self._tick("✓", Verdict.RIGHT, f"{right} (key 1).", ACCENT)
        self.wrong = self._tick("✗", Verdict.WRONG, f"{wrong} (key 2).", ALARM)
        self.label = QLabel()
        row = QHBoxLayout()
        row.setSpacing(1)
        row.addWidget(self.label, 1)
        row.addWidget(self.right)
        row.addWidget(self.wrong)
        return row

    def _tick(self, sign: str, verdict: Verdict, tip: str, color: QColor) -> QToolButton:
        button = QToolButton()
        button.setText(sign)
        button.setCheckable(True)
        button.setToolTip(f"{tip} Saved immediately; Ctrl+Z undoes it.")
        button.setAccessibleName(f"Patch {self.card.place} {verdict}")
        button.setFixedSize(19, 20)
        button.setStyleSheet(
            "QToolButton { border: 1px solid #808080; border-radius: 3px; }"
            f"QToolButton:checked {{ background-color: {color.name()}; color: white; }}"
        )
        button.clicked.connect(lambda on: self._judge(verdict if on else None))
        return button

    def _judge(self, verdict: Verdict | None) -> None:
        self.marked.emit(self.card.place - 1, verdict)

    def show_said(self, said: PlaceReview | None) -> None:
        """Show verdict and comment."""
        self.right.setChecked(said is not None and said.verdict is Verdict.RIGHT)
        self.wrong.setChecked(said is not None and said.verdict is Verdict.WRONG)
        comment = said.comment if said is not None else ""
        self.label.setText(f"{self.card.place}{' ✎' if comment else ''} · {self._value}")
        self.label.setToolTip(comment)

    def show_here(self, here: bool) -> None:
        """Mark this patch as the one that is looked at."""
        self.here = here
        border = _HERE if here else "transparent"
        hover = _HERE if here else ACCENT.name()
        self.picture.setStyleSheet(_PICTURE_STYLE.format(border=border, hover=hover))


class PatchStrip(QWidget):
    """The patches to review, and what they have in common."""

    clicked = Signal(int)
    marked = Signal(int, object)
    stepped = Signal(int)
    commented = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self.patches: list[PatchButton] = []
        self._spot: Spot | None = None
        self._unsaved: dict[_About, tuple[Spot, str]] = {}
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(3)
        inside = QWidget()
        inside.setLayout(self._row)
        self._row.addStretch()
        self._scroll = SidewaysScroll()
        self._scroll.setWidget(inside)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self._scroll.setFixedHeight(_SIDE + 42)
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._walk())
        layout.addWidget(self._scroll)
        layout.addWidget(self.words)
        self.show_session(None)

    def _walk(self) -> QWidget:
        """Make the line above the pictures: where one is, and what one says of it."""
        self._line = QWidget()
        self.before, self.after = QToolButton(), QToolButton()
        self.position = bold(QLabel())
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("Comment on this patch (C)")
        self.comment.setToolTip("Describe what you see here. Press Enter to save.")
        self.comment.setAccessibleName("Comment")
        self.comment.editingFinished.connect(self.save_comment)
        row = QHBoxLayout(self._line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button, sign, by, tip in (
            (self.before, "◀", -1, "Previous patch (P)."),
            (self.after, "▶", 1, "Next patch (N)."),
        ):
            button.setText(sign)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.clicked.connect(lambda _, by=by: self.stepped.emit(by))
        for widget in (self.before, self.position, self.after):
            row.addWidget(widget)
        row.addWidget(self.comment, 1)
        return self._line

    def save_comment(self) -> None:
        """Hand on what was typed, wherever the typing stopped, for the patch that it is about."""
        if not self.comment.isModified() or self._spot is None:
            return
        self.comment.setModified(False)
        self._hand_on(self._spot, self.comment.text())

    def save_all(self) -> None:
        """Hand on what was typed, and again what could not be saved before."""
        self.save_comment()
        self._hand_on_kept()

    def _hand_on(self, spot: Spot, words: str) -> None:
        self._unsaved.pop(_about(spot), None)
        self.commented.emit(spot, words)
        if _about(spot) not in self._unsaved:
            self._hand_on_kept()  # there is room again

    def _hand_on_kept(self) -> None:
        waiting, self._unsaved = self._unsaved, {}
        for spot, words in waiting.values():
            self.commented.emit(spot, words)

    def keep_comment(self, spot: Spot, words: str) -> None:
        """Keep what could not be saved; it is in the field whenever its patch is looked at."""
        self._unsaved[_about(spot)] = spot, words
        if self._spot is not None and _about(self._spot) == _about(spot):
            self._show_kept(words)

    def _show_kept(self, words: str) -> None:
        self.comment.setText(words)
        self.comment.setModified(True)

    def _look_at(self, spot: Spot | None) -> None:
        """Go to another patch; what was typed before is about the one before."""
        before, words = self._spot, self.comment.text()
        if spot == before:
            return
        typed, self._spot = self.comment.isModified(), spot
        self.comment.setText("")
        kept = self._unsaved.get(_about(spot)) if spot is not None else None
        if kept is not None:
            self._show_kept(kept[1])
        if typed and before is not None:
            self._hand_on(before, words)

    def show_session(self, session: SlideSession | None) -> None:
        """Show the patches of a slide as they are marked."""
        self._look_at(None)
        for patch in self.patches:
            self._row.removeWidget(patch)
            discard(patch)
        cards = (session.cards or ()) if session is not None else ()
        shown = (session.cards_for or "") if session is not None else ""
        self.patches = [PatchButton(card, shown) for card in cards]
        for place, patch in enumerate(self.patches):
            patch.clicked.connect(self.clicked)
            patch.marked.connect(self.marked)
            self._row.insertWidget(place, patch)
        self._scroll.setVisible(bool(self.patches))
        self._line.setVisible(bool(self.patches))
        self.words.say(_words(session))
        self.show_place(session)

    def show_place(self, session: SlideSession | None) -> None:
        """Mark the place that is looked at, and show what was said of all."""
        place = session.place if session is not None else None
        self._look_at(session.spot(place) if session is not None else None)
        said: Mapping[int, PlaceReview] = session.said if session is not None else {}
        for number, patch in enumerate(self.patches):
            patch.show_said(said.get(patch.card.patch))
            if patch.here != (number == place):
                patch.show_here(number == place)
        self._show_walk(place if place is not None and place < len(self.patches) else -1)
        if 0 <= self.here < len(self.patches):
            self._show_comment(said.get(self.patches[self.here].card.patch))
            self._scroll.ensureWidgetVisible(self.patches[self.here], 40)

    def _show_walk(self, here: int) -> None:
        """Say where one is; -1 is nowhere yet."""
        self.here, count = here, len(self.patches)
        self.position.setText(f"{here + 1} of {count}" if here >= 0 else _counted(count))
        self.comment.setEnabled(here >= 0)
        self.before.setEnabled(here > 0)
        self.after.setEnabled(here < count - 1)

    def _show_comment(self, said: PlaceReview | None) -> None:
        comment = said.comment if said is not None else ""
        if self.comment.text() != comment and not self.comment.isModified():
            self.comment.setText(comment)


def _about(spot: Spot) -> _About:
    """Return what stays the same where the slide is closed and opened again."""
    return spot.session.path, spot.session.image, spot.place, spot.class_name


def _words(session: SlideSession | None) -> str:
    shown = session.cards_for if session is not None else None
    if session is None or shown is None:
        return "Patches appear here when the slide has been analyzed."
    found = session.foremost
    if session.cards is None or found is None:
        return "Reading the patches …"
    if not session.cards:
        return f"No patch is evidence for “{shown}”." if shown else "No patch has any attention."
    what = f"the evidence for “{shown}”" if shown else "the attention"
    carried = f"Together, these patches account for {100 * found.carried:.0f} % of {what}."
    return f"{carried} {found.words}".strip()


def _attention_words(card: PatchCard) -> str:
    return f"{100 * card.value:.2g} %"


def _evidence_words(card: PatchCard) -> str:
    return f"{card.value:+#.2g}"


def _counted(patches: int) -> str:
    return "1 patch" if patches == 1 else f"{patches} patches"
