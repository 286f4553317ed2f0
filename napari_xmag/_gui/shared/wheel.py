"""The mouse wheel scrolls a panel; it changes an input only where the user is at work in it."""

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QScrollBar,
    QTabBar,
    QWidget,
)

_INPUTS = (QAbstractSlider, QAbstractSpinBox, QComboBox, QTabBar)
_FOCUS_BY_WHEEL = Qt.FocusPolicy.WheelFocus


class _WheelGuard(QObject):
    """Keeps the wheel from inputs without the focus; their parents get it instead."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        wheel = event.type() == QEvent.Type.Wheel
        if wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def guard_wheel(panel: QWidget) -> None:
    """Let all inputs in a panel ignore the mouse wheel while they do not have the focus."""
    guard = _WheelGuard(panel)
    for widget in panel.findChildren(QWidget):
        if isinstance(widget, _INPUTS) and not isinstance(widget, QScrollBar):
            if widget.focusPolicy() == _FOCUS_BY_WHEEL:  # else the wheel itself gives the focus
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(guard)
