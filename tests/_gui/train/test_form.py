"""The form that is made from a settings class."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QLabel

from napari_xmag._gui.train.form import SettingsForm
from napari_xmag.train.config import TrainConfig

pytestmark = pytest.mark.window


class Inner(BaseModel):
    rate: float = Field(default=3e-4, gt=0, title="Learning rate")
    rounds: int = Field(default=10, ge=1, json_schema_extra={"basic": True, "unit": "epochs"})


class Settings(BaseModel):
    name: str = Field(default="a", min_length=1, json_schema_extra={"basic": True})
    kind: Literal["head", "end-to-end"] = Field(default="head", description="What learns.")
    tiles: int | None = Field(default=None, ge=1)
    flip: bool = True
    sizes: list[int] = Field(default=[1, 2])
    inner: Inner = Field(default=Inner(), title="Course")


@pytest.fixture
def form(qtbot: QtBot) -> SettingsForm:
    made = SettingsForm(Settings)
    qtbot.addWidget(made)
    made.show()
    return made


def test_every_field_has_an_editor_with_its_default(form: SettingsForm) -> None:
    assert set(form.editors) == {
        ("name",),
        ("kind",),
        ("tiles",),
        ("flip",),
        ("sizes",),
        ("inner", "rate"),
        ("inner", "rounds"),
    }
    settings, wrong = form.read()
    assert settings == Settings()
    assert wrong == ""


def test_basic_fields_come_first_and_all_others_are_folded(form: SettingsForm) -> None:
    shown = {path for path, editor in form.editors.items() if editor.isVisible()}
    assert shown == {("name",), ("inner", "rounds")}
    form.advanced.title.click()
    assert all(editor.isVisible() for editor in form.editors.values())


def test_fields_say_what_they_mean_and_in_what_unit(form: SettingsForm) -> None:
    assert "What learns." in form.editors["kind",].toolTip()
    assert form.editors["inner", "rounds"].box.text() == "10 epochs"
    assert form.editors["inner", "rate"].box.text() == "0.0003"


def test_changes_are_read_and_told(form: SettingsForm, qtbot: QtBot) -> None:
    with qtbot.waitSignal(form.changed):
        form.editors["inner", "rate"].box.setValue(1e-5)
    form.editors["tiles",].box.click()
    form.editors["tiles",].inner.box.setValue(200)
    form.editors["kind",].box.setCurrentIndex(1)
    form.editors["sizes",].line.setText("[3]")
    settings, _ = form.read()
    assert settings.inner.rate == pytest.approx(1e-5)
    assert settings.tiles == 200
    assert settings.kind == "end-to-end"
    assert settings.sizes == [3]
    form.reset.click()
    assert form.read()[0] == Settings()


def test_a_wrong_value_is_named_at_its_field(form: SettingsForm) -> None:
    form.editors["name",].set_value("")
    settings, wrong = form.read()
    assert settings is None
    assert wrong.startswith("Name: ")
    assert form.problem.text() == wrong
    form.editors["name",].set_value("b")
    assert form.read()[0] is not None
    assert not form.problem.isVisible()


def test_the_real_settings_make_a_form(qtbot: QtBot) -> None:
    form = SettingsForm(TrainConfig)
    qtbot.addWidget(form)
    settings, _ = form.read()
    assert settings == TrainConfig()
    assert ("fit", "lr") in form.editors
    for path, editor in form.editors.items():
        assert editor.toolTip(), path


def test_only_what_the_mode_uses_is_shown_and_values_are_kept(qtbot: QtBot) -> None:
    form = SettingsForm(TrainConfig)
    qtbot.addWidget(form)
    form.show()
    form.advanced.title.click()
    mode, epochs = form.editors["mode",], form.editors["end_to_end", "fit", "epochs"]
    alone = _shown(form)
    assert {("fit", "epochs"), ("batch_size",), ("mode",)} <= alone
    assert not any(path[0] in ("end_to_end", "augment", "tiles_per_epoch") for path in alone)
    headings = {label.text() for label in form.findChildren(QLabel) if label.isVisible()}
    assert not any("End to end" in text for text in headings)

    mode.box.setCurrentIndex(1)
    mode.box.activated.emit(1)
    assert _shown(form) == set(form.editors)
    epochs.box.setValue(3)

    mode.box.setCurrentIndex(0)
    mode.box.activated.emit(0)
    assert _shown(form) == alone
    form.set_values({"mode": "end-to-end"})  # as a training does that is loaded
    assert epochs.isVisible()
    assert form.read()[0].end_to_end.fit.epochs == 3


def _shown(form: SettingsForm) -> set[tuple[str, ...]]:
    return {path for path, editor in form.editors.items() if editor.isVisible()}
