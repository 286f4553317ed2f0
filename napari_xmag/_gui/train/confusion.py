"""A confusion matrix whose cells can be clicked."""

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_xmag._gui.shared.section import ACCENT, ALARM, bold, clear

_LEAST, _MOST = 0.12, 0.75


class ConfusionMatrix(QWidget):
    """Counts of slides by true class (rows) and predicted class (columns).

    Attributes
    ----------
    clicked
        True class and predicted class of the cell.
    cells
        Buttons by these two.
    """

    clicked = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[tuple[str, str], QPushButton] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)

    def show_counts(self, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
        """Show a table; the diagonal, where the model is right, is green."""
        clear(self._grid)
        self.cells = {}
        predicted = bold(QLabel("Predicted class"))
        predicted.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._grid.addWidget(predicted, 0, 1, 1, max(len(classes), 1))
        self._grid.addWidget(bold(_heading("True class", Qt.AlignmentFlag.AlignRight)), 1, 0)
        for column, name in enumerate(classes, 1):
            self._grid.addWidget(_heading(name, Qt.AlignmentFlag.AlignCenter), 1, column)
            self._grid.setColumnStretch(column, 1)
        for line, (name, row) in enumerate(zip(classes, counts, strict=True)):
            truth = _heading(name, Qt.AlignmentFlag.AlignRight)
            self._grid.addWidget(truth, line + 2, 0)
            for column, count in enumerate(row):
                cell = self._cell(name, classes[column], count, sum(row))
                self._grid.addWidget(cell, line + 2, column + 1)

    def _cell(self, truth: str, predicted: str, count: int, of: int) -> QPushButton:
        button = QPushButton(str(count))
        right = truth == predicted
        share = count / of if of else 0.0
        color = ACCENT if right else ALARM
        strength = _LEAST + (_MOST - _LEAST) * share if count else 0.06
        rgba = f"rgba({color.red()}, {color.green()}, {color.blue()}, {strength:.2f})"
        button.setStyleSheet(
            f"QPushButton {{ background-color: {rgba}; border: 2px solid transparent; "
            "border-radius: 4px; padding: 8px; font-weight: bold; }"
            f"QPushButton:hover, QPushButton:focus, QPushButton:checked {{ border-color: "
            f"{color.lighter(130).name()}; }}"
        )
        button.setCheckable(True)
        button.setAutoExclusive(True)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        words = f"{count} of {of} slides labelled {truth} are predicted as {predicted}"
        button.setToolTip(f"{words} ({share:.0%}). Click to list them.")
        button.setAccessibleName(words)
        button.clicked.connect(partial(self._click, truth, predicted))
        self.cells[truth, predicted] = button
        return button

    def _click(self, truth: str, predicted: str, *_: object) -> None:
        self.clicked.emit(truth, predicted)


def _heading(text: str, side: Qt.AlignmentFlag) -> QLabel:
    label = QLabel(text)
    label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    label.setWordWrap(True)
    label.setToolTip(text)
    return label
