"""The table of labelled slides: edited in place, its problems in colour."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from qtpy.QtCore import (
    QAbstractItemModel,
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_xmag._gui.shared.section import ALARM
from napari_xmag._gui.train.state import TrainState
from napari_xmag.cohort.problems import Problem
from napari_xmag.cohort.rows import SPLITS, CohortRow

COLUMNS = ("slide", "label", "patient", "split", "regions", "site", "mpp")
_HEADINGS = ("Slide", "Label", "Patient", "Split", "Regions", "Site", "µm/px")
_TIPS = (
    "Slide file.",
    "Label of the whole slide: the class that the model will learn. Double-click to change it.",
    "Patient of the slide. All slides of a patient go into the same split. If empty, the slide is "
    "treated as a separate patient.",
    "Training, validation or test. Grey: assigned at random, stratified by class.",
    "Number of annotated areas and points that have a class; training also uses the patches in "
    "them. Double-click to choose the GeoJSON file from QuPath or Teach; press F2 to type its "
    "path, or to clear it.",
    "Hospital or laboratory, if relevant.",
    "Pixel size, for slides whose file does not state it.",
)
_WIDTHS = (150, 84, 66, 80, 62, 66, 56)
_OPTIONAL = ("site", "mpp")

_AT_RANDOM = "(at random)"

_Index = QModelIndex | QPersistentModelIndex


class CohortModel(QAbstractTableModel):
    """Rows of a cohort as Qt's views want them.

    Attributes
    ----------
    edited
        Row number, column name and new text of a cell that the user changed.
    """

    edited = Signal(int, str, str)

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[CohortRow] = ()
        self._drawn_splits: Mapping[int, str] = {}
        self._regions: Mapping[int, int] = {}
        self._problems: dict[int, list[Problem]] = {}

    def show_rows(self, state: TrainState) -> None:
        """Show the state's rows; the view keeps its place where their number stays the same."""
        same = len(state.rows) == len(self._rows)
        if not same:
            self.beginResetModel()
        self._rows = state.rows
        self._take_problems(state)
        if same:
            self._repaint()
        else:
            self.endResetModel()

    def show_problems(self, state: TrainState) -> None:
        """Show what is known by now of problems and splits."""
        self._take_problems(state)
        self._repaint()

    def _take_problems(self, state: TrainState) -> None:
        self._drawn_splits, self._regions = state.drawn, state.regions
        self._problems = defaultdict(list)
        for problem in state.problems:
            self._problems[problem.row].append(problem)

    def _repaint(self) -> None:
        if self._rows:
            last = self.index(len(self._rows) - 1, len(COLUMNS) - 1)
            self.dataChanged.emit(self.index(0, 0), last)
            self.headerDataChanged.emit(Qt.Orientation.Vertical, 0, len(self._rows) - 1)

    def row_at(self, place: int) -> CohortRow:
        """Return the row shown at a place."""
        return self._rows[place]

    def place_of(self, number: int) -> int | None:
        """Return where the row of that number is shown."""
        return next((i for i, row in enumerate(self._rows) if row.row == number), None)

    def labels(self) -> list[str]:
        """Return all labels in use."""
        return sorted({row.label for row in self._rows if row.label})

    # what Qt asks

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of slides."""
        return len(self._rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return len(COLUMNS)

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """Let all but the slide itself be edited."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() else flags

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """Name columns; number rows as the spreadsheet does."""
        across = orientation == Qt.Orientation.Horizontal
        if role == Qt.ItemDataRole.DisplayRole:
            return _HEADINGS[section] if across else self._rows[section].row
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[section] if across else self._tip(self._rows[section])
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return text, colour and tooltip of a cell."""
        row, name = self._rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._shown(row, name)
        if role == Qt.ItemDataRole.EditRole:
            return _text(row, name)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row) or (str(row.slide) if name == "slide" else _text(row, name))
        if role == Qt.ItemDataRole.BackgroundRole and self._problems.get(row.row):
            return QColor(ALARM.red(), ALARM.green(), ALARM.blue(), 110)
        if role == Qt.ItemDataRole.ForegroundRole and not _text(row, name):
            return QColor("#9a9a9a")
        return None

    def setData(self, index: _Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Hand a changed cell on; the state shows it when it took it."""
        row, name = self._rows[index.row()], COLUMNS[index.column()]
        text = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or text == _text(row, name):
            return False
        self.edited.emit(row.row, name, text)
        return True

    def _tip(self, row: CohortRow) -> str:
        return "\n".join(f"{p.words}.\n{p.hint}." for p in self._problems.get(row.row, ()))

    def _shown(self, row: CohortRow, name: str) -> str:
        if name == "regions" and row.regions is not None:
            return str(self._regions.get(row.row, "…"))
        drawn = self._drawn_splits.get(row.row, "") if name == "split" else ""
        return _text(row, name) or drawn


def _text(row: CohortRow, name: str) -> str:
    if name == "slide":
        return row.slide.name
    if name == "patient":
        return row.named_patient
    if name == "mpp":
        return "" if row.mpp is None else f"{row.mpp:g}"
    if name == "regions":
        return "" if row.regions is None else str(row.regions)
    return str(getattr(row, name))


class _Choices(QStyledItemDelegate):
    """Edits a cell by a list of choices; labels may be new ones."""

    def __init__(self, table: "CohortTable") -> None:
        super().__init__(table)
        self._cohort = table.cohort

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Index) -> QWidget:
        name = COLUMNS[index.column()]
        if name not in ("label", "split"):
            return super().createEditor(parent, option, index)
        box = QComboBox(parent)
        box.setEditable(name == "label")
        box.addItems(self._cohort.labels() if name == "label" else ["", *SPLITS])
        box.setItemText(0, box.itemText(0) or _AT_RANDOM)
        box.activated.connect(lambda _: self._done(box))
        return box

    def _done(self, box: QComboBox) -> None:
        self.commitData.emit(box)
        self.closeEditor.emit(box)

    def setEditorData(self, editor: QWidget, index: _Index) -> None:
        if isinstance(editor, QComboBox):
            editor.setCurrentText(str(index.data(Qt.ItemDataRole.EditRole)))
        else:
            super().setEditorData(editor, index)

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: _Index) -> None:
        if isinstance(editor, QComboBox):
            text = editor.currentText()
            model.setData(index, "" if text == _AT_RANDOM else text)
        else:
            super().setModelData(editor, model, index)


class CohortTable(QTableView):
    """The view on a cohort.

    Attributes
    ----------
    removal_asked
        Numbers of the rows that the user wants to take out (Delete key).
    regions_asked
        The row whose regions the user wants to choose (double-click).
    """

    removal_asked = Signal(object)
    regions_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.cohort = CohortModel()
        self.setModel(self.cohort)
        self.setItemDelegate(_Choices(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.AnyKeyPressed)
        self.doubleClicked.connect(self._open_cell)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.verticalHeader().setDefaultSectionSize(26)
        header = self.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(48)
        for column, width in enumerate(_WIDTHS):
            self.setColumnWidth(column, width)

    def show_rows(self, state: TrainState) -> None:
        """Show the rows."""
        self.cohort.show_rows(state)
        self._choose_columns(state)

    def show_problems(self, state: TrainState) -> None:
        """Show what is known by now of problems and splits."""
        self.cohort.show_problems(state)
        self._choose_columns(state)

    def _choose_columns(self, state: TrainState) -> None:
        """Show the columns that somebody fills, or needs."""
        needed = any("µm per pixel" in problem.hint for problem in state.problems)
        for name in _OPTIONAL:
            filled = any(_text(row, name) for row in state.rows) or (name == "mpp" and needed)
            self.setColumnHidden(COLUMNS.index(name), not filled)

    def selected_rows(self) -> list[int]:
        """Return the numbers of the selected rows."""
        places = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self.cohort.row_at(place).row for place in places]

    def go_to(self, number: int) -> None:
        """Select a row and bring it into sight."""
        place = self.cohort.place_of(number)
        if place is not None:
            index, flag = self.cohort.index(place, 0), QItemSelectionModel.SelectionFlag
            # whatever keys are held, and before the view is laid out: `selectRow` asks for both
            self.selectionModel().setCurrentIndex(index, flag.ClearAndSelect | flag.Rows)
            self.scrollTo(index)

    def _open_cell(self, index: QModelIndex) -> None:
        """Let regions be chosen where other cells are typed in."""
        if COLUMNS[index.column()] == "regions":
            self.regions_asked.emit(self.cohort.row_at(index.row()))
        else:
            self._type_in(index)

    def _type_in(self, index: QModelIndex) -> None:
        if index.isValid() and index.flags() & Qt.ItemFlag.ItemIsEditable:
            self.edit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Remove rows with the Delete key; type with F2, also where Qt would want Return."""
        if event.key() == Qt.Key.Key_F2:
            self._type_in(self.currentIndex())
            return
        deletes = event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
        if deletes and self.selected_rows():
            self.removal_asked.emit(self.selected_rows())
            return
        super().keyPressEvent(event)
