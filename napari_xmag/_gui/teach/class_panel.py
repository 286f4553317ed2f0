"""The classes that are taught, and the tools that teach them."""

from functools import partial

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QColorDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_xmag._gui.shared.chooser import LabelBox
from napari_xmag._gui.shared.section import ACCENT, Words, discard
from napari_xmag._gui.teach.state import Tool
from napari_xmag.teach.lesson import Lesson, TaughtClass

SWATCH = 14
"""Side of a square of a colour, in pixels."""

_QUPATH_CLASSES = ("Tumor", "Stroma", "Immune cells", "Necrosis", "Other", "Normal")
_TOOLS = (
    (Tool.MARK, "Mark", "Click a patch, or drag over several, to mark examples. Click an example "
                        "again to remove it. Hold Shift to pan the slide."),
    (Tool.ERASE, "Erase", "Click or drag over examples to remove them."),
    (Tool.SIMILAR, "Find similar", "Click a patch: all patches of all open slides are coloured by "
                                   "their similarity to it."),
    (Tool.LOOK, "Look", "Pan the slide with the mouse; clicks mark nothing."),
)  # fmt: skip

CHECKED_STYLE = (
    "QToolButton { padding: 3px 6px; border: 1px solid #808080; border-radius: 3px; }"
    f"QToolButton:checked {{ background-color: {ACCENT.name()}; color: white; }}"
    f"QToolButton:focus {{ border-color: {ACCENT.lighter(160).name()}; }}"
)


class ClassRow(QWidget):
    """One class: its key, colour, name and number of examples."""

    taken = Signal()
    renamed = Signal(str)
    recoloured = Signal(object)
    removed = Signal()

    def __init__(self, number: int, kind: TaughtClass, count: int, in_hand: bool) -> None:
        super().__init__()
        self.kind = kind
        self.key = QToolButton()
        self.key.setText(str(number))
        self.key.setCheckable(True)
        self.key.setChecked(in_hand)
        self.key.setFixedWidth(26)
        self.key.setStyleSheet(CHECKED_STYLE)
        self.key.setToolTip(f"Select “{kind.name}” (key {number}).")
        self.key.clicked.connect(self._take)
        self.color = QToolButton()
        self.color.setIcon(swatch(kind.color))
        self.color.setToolTip("Choose another colour.")
        self.color.setAccessibleName(f"Colour of {kind.name}")
        self.color.clicked.connect(self._choose_color)
        self.name = QLineEdit(kind.name)
        self.name.setToolTip("The name of the class; type another one to rename it.")
        self.name.setAccessibleName(f"Name of class {number}")
        self.name.editingFinished.connect(self._rename)
        self.count = QLabel(str(count))
        self.count.setToolTip("Number of examples")
        self.count.setMinimumWidth(24)
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.remove = QToolButton()
        self.remove.setText("×")
        self.remove.setToolTip("Remove this class and its examples. Undo restores them.")
        self.remove.setAccessibleName(f"Remove {kind.name}")
        self.remove.clicked.connect(self.removed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.key)
        row.addWidget(self.color)
        row.addWidget(self.name, 1)
        row.addWidget(self.count)
        row.addWidget(self.remove)

    def _take(self) -> None:
        self.key.setChecked(True)
        self.taken.emit()

    def _rename(self) -> None:
        text = self.name.text().strip()
        if text == self.kind.name:
            return
        if text:
            self.renamed.emit(text)
        else:
            self.name.setText(self.kind.name)

    def _choose_color(self) -> None:
        chosen = QColorDialog.getColor(
            QColor(*self.kind.color), self, f"Colour of {self.kind.name}"
        )
        if chosen.isValid():
            self.recoloured.emit((chosen.red(), chosen.green(), chosen.blue()))


class ClassPanel(QWidget):
    """Classes, tools, undo and redo."""

    class_taken = Signal(str)
    class_added = Signal(str)
    class_removed = Signal(str)
    class_changed = Signal(str, object)
    tool_taken = Signal(object)
    region_asked = Signal()
    undo_asked = Signal()
    redo_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ClassRow] = []
        self._rows = QVBoxLayout()
        self._rows.setSpacing(3)
        self.hint = Words(
            "Press 1, 2, … to select a class, then click or drag on the tissue. Shift + drag pans "
            "the slide."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(self._rows)
        layout.addLayout(self._adder())
        layout.addLayout(self._tool_row())
        layout.addLayout(self._history_row())
        layout.addWidget(self.hint)

    def _adder(self) -> QHBoxLayout:
        self.new_name = LabelBox("Name of a new class.")
        self.new_name.line.setPlaceholderText("New class")
        self.new_name.line.returnPressed.connect(self._add)
        self.add = QPushButton("Add")
        self.add.setToolTip(
            "Add this class, in QuPath's colour if QuPath has a class of that name."
        )
        self.add.clicked.connect(self._add)
        row = QHBoxLayout()
        row.addWidget(self.new_name, 1)
        row.addWidget(self.add)
        return row

    def _tool_row(self) -> QHBoxLayout:
        self.tools: dict[Tool, QToolButton] = {}
        group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(3)
        for tool, text, tip in _TOOLS:
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setStyleSheet(CHECKED_STYLE)
            button.clicked.connect(partial(self.tool_taken.emit, tool))
            group.addButton(button)
            row.addWidget(button)
            self.tools[tool] = button
        row.addStretch()
        return row

    def _history_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(3)
        self.region = QPushButton("Draw region")
        self.region.setToolTip(
            "Drag around a region: all patches in it become examples of the selected class."
        )
        self.region.clicked.connect(self.region_asked)
        self.undo, self.redo = QPushButton("Undo"), QPushButton("Redo")
        self.undo.setToolTip("Undo the last change (Ctrl+Z).")
        self.redo.setToolTip("Redo the last undone change (Ctrl+Shift+Z).")
        self.undo.clicked.connect(self.undo_asked)
        self.redo.clicked.connect(self.redo_asked)
        for button in (self.region, self.undo, self.redo):
            row.addWidget(button)
        return row

    def show_lesson(self, lesson: Lesson, in_hand: str) -> None:
        """Show the classes; rows that stay keep what is being typed in them."""
        kept = [row.kind for row in self.rows] == list(lesson.classes)
        if not kept:
            self._remake(lesson, in_hand)
        for row in self.rows:
            row.count.setText(str(lesson.count(row.kind.name)))
            row.key.setChecked(row.kind.name == in_hand)
        known = {name.casefold() for name in lesson.class_names}
        free = [name for name in _QUPATH_CLASSES if name.casefold() not in known]
        if [self.new_name.itemText(i) for i in range(self.new_name.count())] != free:
            self.new_name.clear()
            self.new_name.addItems(free)
            self.new_name.setCurrentIndex(-1)
            self.new_name.line.clear()

    def show_tool(self, tool: Tool, undo: bool, redo: bool) -> None:
        """Show which tool is in the hand, and what can be taken back."""
        self.tools[tool].setChecked(True)
        self.undo.setEnabled(undo)
        self.redo.setEnabled(redo)

    def _remake(self, lesson: Lesson, in_hand: str) -> None:
        for row in self.rows:
            self._rows.removeWidget(row)
            discard(row)
        self.rows = []
        for number, kind in enumerate(lesson.classes, 1):
            row = ClassRow(number, kind, lesson.count(kind.name), kind.name == in_hand)
            row.taken.connect(partial(self.class_taken.emit, kind.name))
            row.removed.connect(partial(self.class_removed.emit, kind.name))
            row.renamed.connect(partial(self._rename, kind))
            row.recoloured.connect(partial(self._recolour, kind))
            self._rows.addWidget(row)
            self.rows.append(row)

    def _rename(self, kind: TaughtClass, name: str) -> None:
        self.class_changed.emit(kind.name, TaughtClass(name, kind.color))

    def _recolour(self, kind: TaughtClass, color: tuple[int, int, int]) -> None:
        self.class_changed.emit(kind.name, TaughtClass(kind.name, color))

    def _add(self) -> None:
        name = self.new_name.line.text().strip()
        if name:
            self.class_added.emit(name)


def swatch(color: tuple[int, int, int]) -> QIcon:
    """Return a square of a colour."""
    picture = QPixmap(QSize(SWATCH, SWATCH))
    picture.fill(QColor(*color))
    return QIcon(picture)
