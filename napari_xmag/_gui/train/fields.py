"""One editor for each kind of setting: number, text, choice, yes or no, or nothing at all."""

import json
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtGui import QValidator, QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_xmag._gui.shared.chooser import Chooser

_LARGEST = 1_000_000_000
_SMALLEST_STEP = 1e-7


class _CalmWheel:
    """Numbers change by the wheel only where they were clicked, not while a form is scrolled."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _Number(_CalmWheel, QDoubleSpinBox):
    """A number from 1e-7 up, written as short as can be: 0.0003, 40, 1e-05."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(9)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:
        return f"{value:.6g}"

    def valueFromText(self, text: str) -> float:
        return float(self._bare(text))

    def validate(self, text: str, position: int) -> object:
        try:
            float(self._bare(text))
        except ValueError:
            return QValidator.State.Intermediate, text, position
        return QValidator.State.Acceptable, text, position

    def _bare(self, text: str) -> str:
        return text.removesuffix(self.suffix()).strip().replace(",", ".")


class _Whole(_CalmWheel, QSpinBox):
    """A whole number."""


class Editor(QWidget):
    """Edits one setting.

    Attributes
    ----------
    changed
        Emitted when the user changed the value.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(6)

    def value(self) -> Any:
        """Return the value as it stands."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError


class YesNo(Editor):
    """A box to tick."""

    def __init__(self) -> None:
        super().__init__()
        self.box = QCheckBox()
        self.box.toggled.connect(lambda _: self.changed.emit())
        self.row.addWidget(self.box)
        self.row.addStretch()

    def value(self) -> bool:
        return self.box.isChecked()

    def set_value(self, value: bool) -> None:
        self.box.setChecked(value)


class NumberEditor(Editor):
    """A whole or broken number with its unit."""

    def __init__(self, info: FieldInfo, whole: bool) -> None:
        super().__init__()
        self.box = _Whole() if whole else _Number()
        low, high = _range(info, whole)
        self.box.setRange(low, high)
        self.box.setMinimumWidth(90)
        unit = extra_of(info).get("unit", "")
        self.box.setSuffix(f" {unit}" if unit else "")
        self.box.setKeyboardTracking(False)
        self.box.valueChanged.connect(lambda _: self.changed.emit())
        self.row.addWidget(self.box, 1)

    def value(self) -> float:
        return self.box.value()

    def set_value(self, value: float) -> None:
        self.box.setValue(value)


class TextEditor(Editor):
    """A line of text."""

    def __init__(self) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.textEdited.connect(lambda _: self.changed.emit())
        self.row.addWidget(self.line, 1)

    def value(self) -> Any:
        return self.line.text().strip()

    def set_value(self, value: Any) -> None:
        self.line.setText(str(value))
        self.line.setCursorPosition(0)


class JsonEditor(TextEditor):
    """Whatever has no editor of its own, written as JSON."""

    def value(self) -> Any:
        try:
            return json.loads(self.line.text())
        except ValueError:
            return self.line.text()  # the settings class says what it wants

    def set_value(self, value: Any) -> None:
        super().set_value(json.dumps(value))


class ChoiceEditor(Editor):
    """One of some words."""

    def __init__(self, choices: Sequence[Any]) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.box = Chooser("")
        self.box.offer([(in_words(choice), choice) for choice in choices], choices[0])
        self.box.activated.connect(lambda _: self.changed.emit())
        self.row.addWidget(self.box, 1)

    def value(self) -> Any:
        return self.box.currentData()

    def set_value(self, value: Any) -> None:
        self.box.setCurrentIndex(self.choices.index(value))


class OptionalEditor(Editor):
    """A value, or none of it: then the program decides."""

    def __init__(self, inner: Editor, first: Any) -> None:
        super().__init__()
        self.inner = inner
        self._first = first
        self.box = QCheckBox()
        self.box.setToolTip("Ticked: the value given here. Else it is left to the program.")
        self.row.addWidget(self.box)
        self.row.addWidget(inner, 1)
        self.box.toggled.connect(self._toggled)
        inner.changed.connect(self.changed)

    def _toggled(self, given: bool) -> None:
        self.inner.setEnabled(given)
        self.changed.emit()

    def value(self) -> Any:
        return self.inner.value() if self.box.isChecked() else None

    def set_value(self, value: Any) -> None:
        self.inner.set_value(self._first if value is None else value)
        self.box.setChecked(value is not None)
        self.inner.setEnabled(value is not None)


def make_editor(info: FieldInfo) -> Editor:
    """Return an editor that suits a field of a settings class."""
    kind, optional = _kind(info.annotation)
    if get_origin(kind) is Literal:
        editor, first = ChoiceEditor(get_args(kind)), get_args(kind)[0]
    elif kind is bool:
        editor, first = YesNo(), False
    elif kind in (int, float):
        editor = NumberEditor(info, kind is int)
        first = editor.box.minimum() if kind is int else (editor.box.minimum() or 0.5)
        first = 0.5 if kind is float and first == _SMALLEST_STEP else first
    elif kind is str:
        editor, first = TextEditor(), ""
    else:
        editor, first = JsonEditor(), None
    return OptionalEditor(editor, extra_of(info).get("suggested", first)) if optional else editor


def in_words(choice: Any) -> str:
    """Return a choice as the form shows it: "end-to-end" becomes "end to end"."""
    text = str(choice).replace("-", " ").replace("_", " ")
    return text.upper() if text in ("cpu", "cuda", "mps") else text


def _kind(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        if len(kinds) == 1:
            return kinds[0], True
        return None, False
    return annotation, False


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """Return what a field says of itself beside pydantic's own: unit, place in a form."""
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _range(info: FieldInfo, whole: bool) -> tuple[float, float]:
    low, high = -_LARGEST, _LARGEST
    step = 1 if whole else _SMALLEST_STEP
    for limit in info.metadata:
        if isinstance(limit, Ge):
            low = limit.ge
        elif isinstance(limit, Gt):
            low = limit.gt + step
        elif isinstance(limit, Le):
            high = limit.le
        elif isinstance(limit, Lt):
            high = limit.lt - step
    return low, high
