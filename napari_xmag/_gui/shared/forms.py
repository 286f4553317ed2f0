"""Forms that magicgui makes from the fields of a settings class."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import EnumType
from functools import reduce
from itertools import groupby
from operator import or_
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit, SpinBox, create_widget
from magicgui.widgets.bases import BaseValueWidget
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_xmag._gui.shared.inputs import FloatBox, OptionalValue, QtValue, Switch
from napari_xmag._gui.shared.section import ALARM, Section, Words, bold

FieldPath = tuple[str, ...]
"""Names of the sections that lead to a field, and its own."""

Settings = TypeVar("Settings")

_LARGEST = 1_000_000_000
_NEAREST = 1e-7  # how close a number comes to a limit that it must not reach
_WRONG = f"color: {ALARM.lighter(140).name()};"


@dataclass(frozen=True)
class _Field:
    """A field of a settings class, with titles and conditions of the sections around it."""

    path: FieldPath
    info: FieldInfo
    headings: tuple[str, ...] = ()
    only_in: Mapping[str, Any] = field(default_factory=dict)

    @property
    def extra(self) -> dict[str, Any]:
        """What the field says of itself beside pydantic's own: unit, place in a form."""
        extra = self.info.json_schema_extra
        return extra if isinstance(extra, dict) else {}

    @property
    def only(self) -> dict[str, Any]:
        """Values that other fields must have for this one to be of use."""
        return {**self.only_in, **self.extra.get("only", {})}

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.info.title or self.path[-1].replace("_", " ").capitalize()

    @property
    def tip(self) -> str:
        """What it means, as rich text, because only that is wrapped by Qt."""
        return f"<p>{self.info.description}</p>" if self.info.description else ""

    def inside(self) -> "list[_Field]":
        """Return the fields of a nested class; none where this is a value."""
        kind = self.info.annotation
        if not (is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))):
            return []
        return _fields_of(kind, self.path, (*self.headings, self.title), self.only)


class SettingsForm(QWidget, Generic[Settings]):
    """Edits settings: the basic ones first, all others folded away.

    Parameters
    ----------
    settings
        A pydantic class, or a dataclass whose annotations carry pydantic's ``Field``. Titles,
        descriptions, limits and units come from there, so that a new field appears by itself;
        nested classes become headings. A field that is of no use with the values of others
        (``only``) is hidden and keeps its value.
    omit
        Names of fields that are given elsewhere; here they keep their defaults.

    Attributes
    ----------
    changed
        Emitted after each change by the user.
    fields
        magicgui's widgets, by path of the field.
    """

    changed = Signal()

    def __init__(self, settings: type[Settings], *, omit: Collection[str] = ()) -> None:
        super().__init__()
        self._settings = TypeAdapter(settings)
        self._default: dict[str, Any] = self._settings.dump_python(settings())
        self.fields: dict[FieldPath, BaseValueWidget[Any]] = {}
        self._labels: dict[FieldPath, QLabel] = {}
        self._rows: list[tuple[QFormLayout, QWidget, list[Mapping[str, Any]]]] = []
        self.problem = Words()
        self.problem.setStyleSheet(_WRONG)
        self.advanced = Section("Advanced", folded=True)
        self.reset = QPushButton("Restore defaults")
        self.reset.clicked.connect(self._reset)
        self._lay_out([one for one in _values(_fields_of(settings)) if one.path[0] not in omit])
        self.set_values(self._default)

    def _lay_out(self, values: list[_Field]) -> None:
        basic = [one for one in values if one.extra.get("basic")]
        advanced = [one for one in values if not one.extra.get("basic")]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._block(basic), self.problem, self.advanced):
            layout.addWidget(widget)
        self.advanced.add(self._block(advanced))
        self.advanced.add(self.reset, Qt.AlignmentFlag.AlignLeft)
        self.advanced.setVisible(bool(advanced))

    def _block(self, values: list[_Field]) -> QWidget:
        """Lay fields out below one another, those of a nested class below its heading."""
        block = QWidget()
        form = QFormLayout(block)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for headings, group in groupby(values, key=lambda one: one.headings):
            below = list(group)
            if headings:
                heading = bold(QLabel(": ".join(headings)))
                form.addRow(heading)
                self._rows.append((form, heading, [one.only for one in below]))
            for one in below:
                self._add_row(form, one)
        return block

    def _add_row(self, form: QFormLayout, one: _Field) -> None:
        widget = make_widget(one.info.annotation, one.info, one.extra)
        unit = one.extra.get("unit", "")
        label = QLabel(f"{one.title} ({unit})" if unit else one.title)
        label.setToolTip(one.tip)
        widget.tooltip = one.tip
        for part in (widget.native, *widget.native.findChildren(QWidget)):
            part.setAccessibleName(one.title)
        form.addRow(label, widget.native)
        self.fields[one.path], self._labels[one.path] = widget, label
        self._rows.append((form, widget.native, [one.only]))
        widget.changed.connect(self._edited)

    def _show_used(self) -> None:
        """Hide fields that are of no use with the values of others, and headings of nothing."""
        for form, widget, conditions in self._rows:
            form.setRowVisible(widget, any(map(self._met, conditions)))

    def _met(self, condition: Mapping[str, Any]) -> bool:
        return all(self.fields[name,].value == value for name, value in condition.items())

    # values

    def values(self) -> dict[str, Any]:
        """Return the settings as nested dictionaries, checked or not."""
        result: dict[str, Any] = {}
        for path, widget in self.fields.items():
            place = result
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = _entered(widget.value)
        return result

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show settings; fields that are not named keep what they show."""
        for path, widget in self.fields.items():
            place: Any = values
            for name in path[:-1]:
                place = place.get(name, {})
            if path[-1] in place:
                with widget.changed.blocked():
                    widget.value = place[path[-1]]
        self._show_used()

    def read(self) -> tuple[Settings | None, str]:
        """Return the settings, or None and what is wrong; wrong fields are marked."""
        settings, wrong = None, {}
        try:
            settings = self._settings.validate_python(self.values())
        except ValidationError as error:
            wrong = {self._path_of(item["loc"]): _words(item["msg"]) for item in error.errors()}
        for path, label in self._labels.items():
            style = _WRONG if path in wrong else ""
            if label.styleSheet() != style:  # to set one costs as much as all else here
                label.setStyleSheet(style)
        words = "; ".join(f"{self._name(path)}: {message}" for path, message in wrong.items())
        self.problem.say(words)
        return settings, words

    def _path_of(self, location: tuple[int | str, ...]) -> FieldPath:
        names = tuple(map(str, location))
        return next((path for path in self.fields if names[: len(path)] == path), names)

    def _name(self, path: FieldPath) -> str:
        return self._labels[path].text() if path in self._labels else ".".join(path)

    def _edited(self) -> None:
        self._show_used()
        self.changed.emit()

    def _reset(self) -> None:
        self.set_values(self._default)
        self.changed.emit()


def _entered(value: Any) -> Any:
    """Return a value without the spaces around it, and no path of nothing but spaces."""
    if isinstance(value, Path):
        return value if value.name.strip() or not value.name else None
    return value.strip() if isinstance(value, str) else value


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")  # what pydantic puts before our own errors


def make_widget(kind: Any, info: FieldInfo, extra: Mapping[str, Any]) -> BaseValueWidget[Any]:
    """Return the widget for values of a kind, with the limits and the words of a field."""
    if get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
        given = reduce(or_, (part for part in get_args(kind) if part is not NoneType))
        widget = make_widget(given, info, extra)
        widget.value = extra.get("suggested", widget.value)
        return OptionalValue(widget, extra.get("absent", "automatic"))
    if kind is bool:
        switch = Switch()
        return QtValue(switch, "checked", switch.toggled)
    if kind is float:
        box = FloatBox(*_limits(info, _NEAREST))
        return QtValue(box, "value", box.valueChanged)
    if kind is int:
        low, high = _limits(info, 1)
        number = SpinBox(min=low, max=high)
        number.native.setKeyboardTracking(False)  # else each digit is a change
        return number
    if kind is Path:
        folder = FileEdit(mode=FileDialogMode.EXISTING_DIRECTORY, nullable=True)
        folder.choose_btn.text = "Browse …"
        return folder
    if get_origin(kind) is Literal or isinstance(kind, EnumType):
        return _choice(get_args(kind) or tuple(kind), extra.get("choices", {}))
    return cast("BaseValueWidget[Any]", create_widget(annotation=kind))


def _choice(values: Iterable[Any], names: Mapping[Any, str]) -> ComboBox:
    choice = ComboBox(choices=[(names.get(value, str(value)), value) for value in values])
    # Not as wide as the longest choice: docks are narrow.
    policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    choice.native.setSizeAdjustPolicy(policy)
    return choice


def _limits(info: FieldInfo, nearest: float) -> tuple[Any, Any]:
    """Return the least and the largest value; ``nearest`` is the distance to one left out."""
    found: dict[type, Any] = {
        type(limit): getattr(limit, type(limit).__name__.lower())
        for limit in info.metadata
        if isinstance(limit, Ge | Gt | Le | Lt)
    }
    low = found[Gt] + nearest if Gt in found else found.get(Ge, -_LARGEST)
    high = found[Lt] - nearest if Lt in found else found.get(Le, _LARGEST)
    return low, high


def _fields_of(
    settings: Any,
    before: FieldPath = (),
    headings: tuple[str, ...] = (),
    only: Mapping[str, Any] | None = None,
) -> list[_Field]:
    if is_dataclass(settings):
        hints = get_type_hints(settings, include_extras=True)
        infos = {f.name: FieldInfo.from_annotation(hints[f.name]) for f in fields(settings)}
    else:
        infos = dict(settings.model_fields)
    return [_Field((*before, name), info, headings, only or {}) for name, info in infos.items()]


def _values(found: Iterable[_Field]) -> Iterator[_Field]:
    """Yield all values; those of nested classes after the class's own."""
    nested = []
    for one in found:
        if inside := one.inside():
            nested.append(inside)
        else:
            yield one
    for inside in nested:
        yield from _values(inside)
