"""Combo boxes for narrow docks."""

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
)

_LEAST_WIDTH = 100


class Chooser(QComboBox):
    """A combo box that shrinks with its dock, and tells only of choices made by the user."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        """Let the choice be shortened: Qt would keep room for what the longest one needs."""
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), _LEAST_WIDTH), hint.height())

    def showPopup(self) -> None:
        """Offer the choices whole, however narrow the dock is."""
        view = self.view()
        room = self.screen().availableGeometry().width() // 2
        whole = view.sizeHintForColumn(0) + view.verticalScrollBar().sizeHint().width()
        view.setMinimumWidth(max(self.width(), min(whole, room)))
        super().showPopup()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the choice, shortened in the middle: slides often differ at both ends."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() < 0:
            option.currentText = self.placeholderText()
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, room.width() - 4
        )
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def offer(self, choices: Sequence[tuple[str, object]], chosen: object) -> None:
        """Fill in (text, value) pairs and select one value."""
        self.blockSignals(True)
        self.clear()
        for text, value in choices:
            self.addItem(text, value)
            self.setItemData(self.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
        values = [value for _, value in choices]
        self.setCurrentIndex(values.index(chosen) if chosen in values else -1)
        self.blockSignals(False)
        self.setEnabled(bool(choices))


class LabelBox(QComboBox):
    """Offers the labels in use, and takes a new one."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.setLineEdit(self.line)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setToolTip(tip)

    def minimumSizeHint(self) -> QSize:
        """Let the label be shortened, as in a `Chooser`."""
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), _LEAST_WIDTH), hint.height())
