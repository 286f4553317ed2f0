"""Inputs that magicgui lacks: a switch, a number written short, a value that may be absent."""

from typing import Any

from magicgui.widgets.bases import BaseValueWidget, ValuedContainerWidget
from qtpy.QtCore import QRectF, Qt, SignalInstance
from qtpy.QtGui import QPainter, QPen, QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QWidget
from superqt import QToggleSwitch
from superqt.switch import QStyleOptionToggleSwitch

from napari_xmag._gui.shared.section import ACCENT

_DECIMALS = 9


class Switch(QToggleSwitch):
    """A toggle switch in the colour of the program, which shows when it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("onColor", ACCENT)

    def drawHandle(self, painter: QPainter, rect: QRectF, option: QStyleOptionToggleSwitch) -> None:
        """Draw the handle, with a ring around it where the keyboard acts on it."""
        super().drawHandle(painter, rect, option)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ACCENT.lighter(160), 2))
            painter.drawEllipse(rect)


class FloatBox(QDoubleSpinBox):
    """A number of up to nine decimals, written as short as can be: 0.0003, 40, 1e-05."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.setDecimals(_DECIMALS)
        self.setRange(low, high)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)

    def textFromValue(self, value: float) -> str:
        """Return the shortest text that stands for the number."""
        return f"{value:.{_DECIMALS}g}"

    def valueFromText(self, text: str) -> float:
        """Return the number; a comma is a decimal point."""
        return float(text.strip().replace(",", "."))

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Let everything be typed that is a number, or may become one."""
        try:
            self.valueFromText(text)
        except ValueError:
            return QValidator.State.Intermediate, text, position
        return QValidator.State.Acceptable, text, position


class QtValue(ValuedContainerWidget[Any]):
    """A Qt widget as one of magicgui's; its value is one of its Qt properties."""

    def __init__(self, inner: QWidget, name: str, changed: SignalInstance) -> None:
        self.inner, self._name = inner, name
        super().__init__(layout="horizontal", labels=False)
        self.margins = (0, 0, 0, 0)
        self.native.layout().addWidget(inner)
        changed.connect(lambda _: self.changed.emit(self.value))

    def get_value(self) -> Any:
        """Return what the widget shows."""
        return self.inner.property(self._name)

    def set_value(self, value: Any) -> None:
        """Let the widget show a value."""
        self.inner.setProperty(self._name, value)


class OptionalValue(QtValue):
    """A value behind a switch, or none: then the program decides.

    Parameters
    ----------
    widget
        Edits the value.
    absent
        What is shown where there is none.
    """

    def __init__(self, widget: BaseValueWidget[Any], absent: str) -> None:
        self.switch, self.widget, self._absent = Switch(), widget, absent
        super().__init__(self.switch, "checked", self.switch.toggled)
        self.native.layout().addWidget(widget.native, 1)
        self.switch.toggled.connect(self._show)
        widget.changed.connect(lambda _: self.changed.emit(self.value))
        self._show(False)

    def _show(self, given: bool) -> None:
        self.switch.setText("" if given else self._absent)
        self.widget.native.setVisible(given)

    def get_value(self) -> Any:
        """Return the value, or None."""
        return self.widget.value if super().get_value() else None

    def set_value(self, value: Any) -> None:
        """Show a value, or that there is none."""
        if value is not None:
            self.widget.value = value
        super().set_value(value is not None)
