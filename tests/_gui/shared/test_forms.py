"""Forms that are made from settings classes."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from magicgui.widgets import ComboBox, FileEdit, LineEdit, ListEdit, SpinBox
from pydantic import BaseModel, Field, model_validator
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_xmag._gui.shared.forms import SettingsForm
from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.train.config import TrainConfig

pytestmark = pytest.mark.window

MODES = {"head": "Head only", "end-to-end": "Everything"}


class Inner(BaseModel):
    rate: float = Field(default=3e-4, gt=0, title="Learning rate")
    rounds: int = Field(default=10, ge=1, json_schema_extra={"basic": True, "unit": "epochs"})


class Settings(BaseModel):
    name: str = Field(default="a", min_length=1, json_schema_extra={"basic": True})
    kind: Literal["head", "end-to-end"] = Field(
        default="head", description="What learns.", json_schema_extra={"choices": MODES}
    )
    tiles: int | None = Field(default=None, ge=1, json_schema_extra={"suggested": 32})
    flip: bool = True
    sizes: list[int] = Field(default=[1, 2])
    inner: Inner = Field(default=Inner(), title="Course")


class Corner(StrEnum):
    SLIDE = "slide"
    BOUNDS = "bounds"


@dataclass(frozen=True)
class Place:
    """Settings that are no pydantic class."""

    folder: Annotated[Path, Field(title="Folder")] = Path.home() / "out"
    corner: Corner = Corner.BOUNDS
    share: Annotated[float, Field(ge=0, lt=1)] = 0.25


@pytest.fixture
def form(qtbot: QtBot) -> SettingsForm[Settings]:
    return shown(SettingsForm(Settings), qtbot)


def shown(form: SettingsForm[Any], qtbot: QtBot) -> SettingsForm[Any]:
    qtbot.addWidget(form)
    form.show()
    return form


def visible(form: SettingsForm[Any]) -> set[tuple[str, ...]]:
    return {path for path, widget in form.fields.items() if widget.native.isVisible()}


def texts(form: SettingsForm[Any]) -> set[str]:
    return {label.text() for label in form.findChildren(QLabel) if label.isVisible()}


def type_into(widget: Any, text: str, qtbot: QtBot) -> None:
    """Replace what an input shows, key by key."""
    widget.selectAll()
    qtbot.keyClicks(widget, text)
    qtbot.keyClick(widget, Qt.Key.Key_Return)


def test_every_field_has_a_widget_with_its_default(form: SettingsForm[Settings]) -> None:
    kinds = {
        ("name",): LineEdit,
        ("kind",): ComboBox,
        ("sizes",): ListEdit,
        ("inner", "rounds"): SpinBox,
    }
    assert set(form.fields) == {*kinds, ("tiles",), ("flip",), ("inner", "rate")}
    assert all(isinstance(form.fields[path], kind) for path, kind in kinds.items())
    settings, wrong = form.read()
    assert settings == Settings()
    assert wrong == ""


def test_basic_fields_come_first_and_all_others_are_folded(form: SettingsForm[Settings]) -> None:
    assert visible(form) == {("name",), ("inner", "rounds")}
    form.advanced.toggleButton().click()
    assert visible(form) == set(form.fields)
    form.advanced.toggleButton().click()
    assert visible(form) == {("name",), ("inner", "rounds")}


def test_fields_say_what_they_mean_and_in_what_unit(form: SettingsForm[Settings]) -> None:
    assert "What learns." in form.fields["kind",].tooltip
    assert "Rounds (epochs)" in texts(form)
    assert "Course" in texts(form)
    assert form.fields["inner", "rate"].inner.text() == "0.0003"
    choices = form.fields["kind",].native
    assert [choices.itemText(i) for i in range(choices.count())] == list(MODES.values())


def test_changes_are_read_and_told(form: SettingsForm[Settings], qtbot: QtBot) -> None:
    with qtbot.waitSignal(form.changed):
        type_into(form.fields["inner", "rate"].inner, "1e-5", qtbot)
    with qtbot.waitSignal(form.changed):
        form.fields["tiles",].switch.click()
    assert form.read()[0].tiles == 32  # where it begins
    with qtbot.waitSignal(form.changed):
        form.fields["tiles",].widget.native.setValue(200)
    with qtbot.waitSignal(form.changed):
        form.fields["flip",].inner.click()
    form.fields["kind",].native.setCurrentIndex(1)
    form.fields["sizes",].value = [3]
    settings, _ = form.read()
    assert settings.inner.rate == pytest.approx(1e-5)
    assert settings.tiles == 200
    assert settings.flip is False
    assert settings.kind == "end-to-end"
    assert settings.sizes == [3]
    form.reset.click()
    assert form.read()[0] == Settings()


def test_a_number_is_one_change_however_many_digits_it_has(
    form: SettingsForm[Settings], qtbot: QtBot
) -> None:
    told = []
    form.changed.connect(lambda: told.append(form.values()["inner"]["rounds"]))
    form.advanced.expand()
    number = form.fields["inner", "rounds"].native
    type_into(number, "250", qtbot)
    assert told == [250]


def test_numbers_are_kept_exactly_and_commas_are_points(
    form: SettingsForm[Settings], qtbot: QtBot
) -> None:
    rate = form.fields["inner", "rate"]
    for value in (3e-6, 0.123456789, 1e-7, 12345.678):
        form.set_values({"inner": {"rate": value}})
        assert form.read()[0].inner.rate == value
    type_into(rate.inner, "0,25", qtbot)
    assert rate.value == 0.25
    type_into(rate.inner, "0", qtbot)  # not allowed: the nearest number that is
    assert 0 < rate.value < 1e-6


def test_a_wrong_value_is_named_at_its_field(form: SettingsForm[Settings]) -> None:
    form.fields["name",].value = ""
    settings, wrong = form.read()
    assert settings is None
    assert wrong.startswith("Name: ")
    assert form.problem.text() == wrong
    assert form.problem.isVisible()
    marked = [label.text() for label in form.findChildren(QLabel) if "color" in label.styleSheet()]
    assert marked == ["Name", wrong]
    form.fields["name",].value = "b"
    assert form.read()[0] is not None
    assert not form.problem.isVisible()


def test_values_that_do_not_go_together_are_told(qtbot: QtBot) -> None:
    class Shares(BaseModel):
        validation: float = Field(default=0.2, ge=0, lt=1)
        test: float = Field(default=0.2, ge=0, lt=1)

        @model_validator(mode="after")
        def _leave_some(self) -> "Shares":
            if self.validation + self.test >= 1:
                raise ValueError("nothing is left to train on")
            return self

    form = shown(SettingsForm(Shares), qtbot)
    form.fields["test",].value = 0.9
    assert form.read()[0] is None
    assert "nothing is left to train on" in form.problem.text()


def test_a_dataclass_makes_a_form_too(qtbot: QtBot, tmp_path: Path) -> None:
    form = shown(SettingsForm(Place), qtbot)
    assert form.read()[0] == Place()
    assert isinstance(form.fields["folder",], FileEdit)
    form.set_values({"folder": tmp_path, "corner": Corner.SLIDE, "share": 0.5})
    assert form.read()[0] == Place(tmp_path, Corner.SLIDE, 0.5)
    form.fields["folder",].line_edit.value = ""
    assert form.read()[0] is None  # not the folder in which the program happens to run
    assert form.problem.text().startswith("Folder: ")


def test_fields_that_are_given_elsewhere_are_left_out(qtbot: QtBot) -> None:
    form = shown(SettingsForm(AnalyzeSettings, omit=("device", "tissue")), qtbot)
    names = {path[0] for path in form.fields}
    assert {"batch_size", "workers", "min_tissue", "precision"} <= names
    assert not names & {"device", "tissue"}
    assert form.read()[0] == AnalyzeSettings()
    form.set_values({"batch_size": 8, "precision": "float32"})
    assert form.read()[0] == AnalyzeSettings(batch_size=8, precision="float32")


@pytest.mark.parametrize("settings", [TrainConfig, AnalyzeSettings])
def test_the_real_settings_make_a_form(settings: type, qtbot: QtBot) -> None:
    form = SettingsForm(settings, omit=("device", "tissue"))
    qtbot.addWidget(form)
    assert form.read()[0] == settings()
    for path, widget in form.fields.items():
        assert widget.tooltip, path


def test_only_what_the_mode_uses_is_shown_and_values_are_kept(qtbot: QtBot) -> None:
    form = shown(SettingsForm(TrainConfig), qtbot)
    form.advanced.toggleButton().click()
    mode, epochs = form.fields["mode",].native, form.fields["end_to_end", "fit", "epochs"]
    alone = visible(form)
    assert {("fit", "epochs"), ("batch_size",), ("mode",)} <= alone
    assert not any(path[0] in ("end_to_end", "augment", "tiles_per_epoch") for path in alone)
    assert not any("End-to-end" in text for text in texts(form))

    mode.setCurrentIndex(1)
    assert visible(form) == set(form.fields)
    assert any("End-to-end" in text for text in texts(form))
    epochs.value = 3

    mode.setCurrentIndex(0)
    assert visible(form) == alone
    form.set_values({"mode": "end-to-end"})  # as a training does that is loaded
    assert epochs.native.isVisible()
    assert form.read()[0].end_to_end.fit.epochs == 3


@pytest.mark.parametrize("name", ["", "my model", "-", "a/b", "größe"])
def test_a_name_that_no_model_can_have_is_told_before_the_training(name: str, qtbot: QtBot) -> None:
    form = shown(SettingsForm(TrainConfig), qtbot)
    form.fields["name",].value = name
    assert form.read()[0] is None
    assert form.problem.text().startswith("Model name: Expected ")
    form.fields["name",].value = " my-model.2 "  # spaces around it are none of it
    assert form.read()[0].name == "my-model.2"
