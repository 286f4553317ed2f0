"""A form made from a settings class: every field with its name, its unit and what it means."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_xmag._gui.shared.section import ALARM, Section, Words, bold
from napari_xmag._gui.train.fields import Editor, extra_of, make_editor

Path = tuple[str, ...]
"""Names of the sections that lead to a field, and its own."""


class SettingsForm(QWidget):
    """Edits the settings of a pydantic class; basic fields first, all others folded.

    Parameters
    ----------
    settings
        The class. Titles, descriptions, limits and units are taken from its fields, so that a new
        field appears by itself; nested classes become sections. What is of no use with the values
        of other fields (``only``) is hidden and keeps its value.

    Attributes
    ----------
    changed
        Emitted after each change by the user.
    editors
        By path of the field.
    """

    changed = Signal()

    def __init__(self, settings: type[BaseModel]) -> None:
        super().__init__()
        self._settings = settings
        self._default = settings().model_dump()
        self.editors: dict[Path, Editor] = {}
        self._labels: dict[Path, QLabel] = {}
        self._conditional: list[tuple[QWidget, Mapping[str, Any]]] = []
        fields = list(_fields(settings))
        self.problem = Words()
        self.problem.setStyleSheet(f"color: {ALARM.lighter(140).name()};")
        self.advanced = Section("Advanced", folded=True)
        self.reset = QPushButton("Back to the defaults")
        self.reset.clicked.connect(self._reset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self._fill(layout, settings, [f for f in fields if _is_basic(f[1])])
        layout.addWidget(self.problem)
        layout.addWidget(self.advanced)
        content = self.advanced.content
        self._fill(content, settings, [f for f in fields if not _is_basic(f[1])])
        content.addWidget(self.reset, alignment=Qt.AlignmentFlag.AlignLeft)
        self.set_values(self._default)

    def _fill(
        self,
        layout: QVBoxLayout,
        settings: type[BaseModel],
        fields: list[tuple[Path, FieldInfo]],
    ) -> None:
        """Add fields under the names of their sections; those of no section stand first."""
        layout.addWidget(self._grid([f for f in fields if len(f[0]) == 1]))
        titles: dict[Path, str] = {}
        for path, info in _sections(settings):
            above = titles.get(path[:-1])
            titles[path] = f"{above}: {_title(path[-1], info)}" if above else _title(path[-1], info)
            inside = [field for field in fields if field[0][:-1] == path]
            if inside:
                grid = self._grid(inside)
                for widget in (_heading(titles[path], info), grid):
                    layout.addWidget(widget)
                    self._show_only(widget, path)

    def _grid(self, fields: list[tuple[Path, FieldInfo]]) -> QWidget:
        box = QWidget()
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 5)
        grid.setColumnStretch(1, 6)
        for line, (path, info) in enumerate(fields):
            label = QLabel(_title(path[-1], info))
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            editor = make_editor(info)
            for widget in (label, editor):
                widget.setToolTip(_tip(info))
            for child in editor.findChildren(QWidget):
                child.setToolTip(child.toolTip() or _tip(info))
                child.setAccessibleName(_title(path[-1], info))
            editor.changed.connect(self._edited)
            grid.addWidget(label, line, 0)
            grid.addWidget(editor, line, 1)
            self.editors[path], self._labels[path] = editor, label
            for widget in (label, editor):
                self._show_only(widget, path)
        return box

    # what is of use

    def _show_only(self, widget: QWidget, path: Path) -> None:
        condition = _condition(self._settings, path)
        if condition:
            self._conditional.append((widget, condition))

    def _show_used(self) -> None:
        for widget, condition in self._conditional:
            met = all(self.editors[name,].value() == value for name, value in condition.items())
            widget.setVisible(met)

    # values

    def values(self) -> dict[str, Any]:
        """Return the settings as nested dictionaries, checked or not."""
        result: dict[str, Any] = {}
        for path, editor in self.editors.items():
            place = result
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = editor.value()
        return result

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show settings; fields that are not named keep what they show."""
        for path, editor in self.editors.items():
            value: Any = values
            for name in path:
                value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
            if value is not _MISSING:
                editor.blockSignals(True)
                editor.set_value(value)
                editor.blockSignals(False)
        self._show_used()

    def read(self) -> tuple[BaseModel | None, str]:
        """Return the settings, or None and what is wrong; wrong fields are marked."""
        try:
            settings, wrong = self._settings.model_validate(self.values()), {}
        except ValidationError as error:
            settings = None
            wrong = {_path_of(item["loc"], self.editors): item["msg"] for item in error.errors()}
        for path, label in self._labels.items():
            color = f"color: {ALARM.lighter(140).name()};" if path in wrong else ""
            if label.styleSheet() != color:
                label.setStyleSheet(color)
        words = "; ".join(f"{self._name(path)}: {message}" for path, message in wrong.items())
        self.problem.say(words)
        return settings, words

    def _name(self, path: Path) -> str:
        return self._labels[path].text() if path in self._labels else ".".join(path)

    def _edited(self) -> None:
        self._show_used()
        self.changed.emit()

    def _reset(self) -> None:
        self.set_values(self._default)
        self.changed.emit()


_MISSING = object()


def _fields(settings: type[BaseModel], before: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    for name, info in settings.model_fields.items():
        if _is_section(info):
            yield from _fields(info.annotation, (*before, name))
        else:
            yield (*before, name), info


def _sections(settings: type[BaseModel], before: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    for name, info in settings.model_fields.items():
        if _is_section(info):
            yield (*before, name), info
            yield from _sections(info.annotation, (*before, name))


def _is_section(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)


def _condition(settings: type[BaseModel], path: Path) -> Mapping[str, Any]:
    """Return the values that other fields must have for a field or section, or one around it."""
    found: dict[str, Any] = {}
    for name in path:
        info = settings.model_fields[name]
        found |= extra_of(info).get("only", {})
        settings = info.annotation
    return found


def _is_basic(info: FieldInfo) -> bool:
    return bool(extra_of(info).get("basic"))


def _heading(title: str, info: FieldInfo) -> QLabel:
    heading = bold(QLabel(title))
    heading.setWordWrap(True)
    heading.setToolTip(_tip(info))
    heading.setContentsMargins(0, 6, 0, 0)
    return heading


def _title(name: str, info: FieldInfo) -> str:
    return info.title or name.replace("_", " ").capitalize()


def _tip(info: FieldInfo) -> str:
    # Rich text, because only that is wrapped by Qt.
    return f"<p>{info.description}</p>" if info.description else ""


def _path_of(location: tuple[Any, ...], editors: Mapping[Path, Editor]) -> Path:
    names = tuple(str(part) for part in location)
    return next((names[:end] for end in range(len(names), 0, -1) if names[:end] in editors), names)
