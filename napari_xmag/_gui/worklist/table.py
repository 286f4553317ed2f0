"""The slides of a worklist as a table: what each column shows, and in which order."""

from typing import Any

from qtpy.QtCore import (
    QAbstractTableModel,
    QLocale,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QStyledItemDelegate

from napari_xmag._gui.shared.breakable import breakable
from napari_xmag._gui.shared.section import ALARM
from napari_xmag.formatting import percent
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowKey, RowStatus, WorklistRow, telling_names

_COLUMNS = {
    "name": "Slide",
    "status": "Status",
    "headline": "Prediction",
    "suspicion": "Suspicion",
    "flags": "Warnings",
    "reviewed": "Reviewed",
}
_KEYS = tuple(_COLUMNS)
REVIEWED = _KEYS.index("reviewed")

_TIPS = {
    "suspicion": "Probability that the slide does not belong to the model's first class, which is "
    "usually the normal or benign one. Blank where there is no reliable prediction.",
    "reviewed": "Tick a slide when you are done with it (R).",
}

_LONGEST_WORD = 8
"""Letters of a name that lie in one line beside a thumbnail."""

_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole


class WorklistTable(QAbstractTableModel):
    """Shows a worklist in the order that is asked for; the most suspicious slide first.

    Attributes
    ----------
    reviewed
        A row was ticked or unticked.
    """

    reviewed = Signal(object, bool)

    def __init__(self, worklist: Worklist) -> None:
        super().__init__()
        self.rows: tuple[WorklistRow, ...] = ()
        self._names: dict[RowKey, str] = {}
        self._worklist = worklist
        self._icons: dict[RowKey, QIcon] = {}
        self._by, self._descending = "suspicion", True
        self.refresh()

    def show_list(self, worklist: Worklist) -> None:
        """Show another list."""
        self._worklist = worklist
        self.refresh()

    def refresh(self) -> None:
        """Take in all changes of the list, in order."""
        self.layoutAboutToBeChanged.emit()
        before = {row.key: place for place, row in enumerate(self.rows)}
        held = self.persistentIndexList()
        keys = [self.rows[index.row()].key for index in held]
        self.rows = self._worklist.sorted(self._by, descending=self._descending)
        self._names = telling_names(self.rows)
        places = {row.key: place for place, row in enumerate(self.rows)}
        for index, key in zip(held, keys, strict=True):
            place = places.get(key)
            new = self.index(place, index.column()) if place is not None else QModelIndex()
            self.changePersistentIndex(index, new)
        self.layoutChanged.emit()
        if before.keys() != places.keys():
            self.headerDataChanged.emit(Qt.Orientation.Vertical, 0, max(0, len(places) - 1))

    def place_of(self, key: RowKey) -> int:
        """Return where a slide stands; -1 where it is not in the list."""
        return next((place for place, row in enumerate(self.rows) if row.key == key), -1)

    def show_thumbnail(self, key: RowKey, icon: QIcon) -> None:
        """Put a picture beside the name of a slide."""
        self._icons[key] = icon
        place = self.place_of(key)
        if place >= 0:
            index = self.index(place, 0)
            self.dataChanged.emit(index, index, [_Role.DecorationRole])

    # what Qt asks

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(_KEYS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == _Role.DisplayRole:
            return _COLUMNS[_KEYS[section]]
        return _TIPS.get(_KEYS[section]) if role == _Role.ToolTipRole else None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        row, column = self.rows[index.row()], _KEYS[index.column()]
        if role == _Role.DisplayRole:
            return self._called(row) if column == "name" else _words(row, column)
        if role == _Role.ToolTipRole:
            return _tip(row, column)
        if role == _Role.DecorationRole and column == "name":
            return self._icons.get(row.key)
        if role == _Role.CheckStateRole and column == "reviewed":
            return Qt.CheckState.Checked if row.reviewed else Qt.CheckState.Unchecked
        failed = row.status is RowStatus.FAILED and column == "status"
        return ALARM if role == _Role.ForegroundRole and failed else None

    def _called(self, row: WorklistRow) -> str:
        """Return the name, ticked where the slide was reviewed: that column may be out of sight."""
        return f"✓ {self._names[row.key]}" if row.reviewed else self._names[row.key]

    def setData(self, index: _Index, value: Any, role: int = _Role.EditRole) -> bool:
        if role != _Role.CheckStateRole or index.column() != REVIEWED:
            return False
        ticked = Qt.CheckState(value) == Qt.CheckState.Checked
        self.reviewed.emit(self.rows[index.row()].key, ticked)
        return True

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == REVIEWED else flags

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._by = _KEYS[column] if 0 <= column < len(_KEYS) else "suspicion"
        self._descending = order == Qt.SortOrder.DescendingOrder
        self.refresh()


class NameDelegate(QStyledItemDelegate):
    """Draws names of slides in as many lines as they need: they often begin alike."""

    def displayText(self, value: Any, locale: QLocale | QLocale.Language) -> str:
        return breakable(super().displayText(value, locale), _LONGEST_WORD)


def _words(row: WorklistRow, column: str) -> str:
    if column == "suspicion":
        return "" if row.suspicion is None else percent(row.suspicion)
    if column == "flags":
        return str(len(row.flags)) if row.flags else ""
    return "" if column == "reviewed" else str(getattr(row, column))


def _tip(row: WorklistRow, column: str) -> str:
    if column == "name":
        return str(row.slide)
    if column == "flags":
        return ", ".join(row.flags).replace("_", " ")
    if column in ("status", "headline"):
        return row.reason or row.model
    return ""
