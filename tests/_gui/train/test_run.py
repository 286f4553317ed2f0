"""Training for real in the Train widget, on small slides: to the end, cancelled, resumed."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from napari_xmag.progress.events import Stage
from napari_xmag.zoo import check_model
from tests._gui.desk import QUICK, Desk, heard
from tests.slides import write_pyramid

pytestmark = [pytest.mark.window, pytest.mark.usefixtures("blank_plots")]


def test_train_cancel_resume_and_finish(
    desk: Desk, cohort_table: Path, freezes: list[str], tmp_path: Path
) -> None:
    desk.load(cohort_table)
    desk.set(**QUICK)
    desk.set(fit={"epochs": 60})
    widget, state = desk.widget, desk.widget.state
    progress = heard(desk)

    desk.press()
    assert widget.run.button.text() == "Cancel"
    assert freezes == ["freeze"]  # the window is not searched for garbage meanwhile
    desk.wait(lambda: len(widget.controller.curves.stages) > 2)
    assert "Slides" in widget.plan.facts
    assert widget.plan.facts["Slides"].startswith("10: ")
    desk.press()
    desk.wait(lambda: not widget.controller.busy)
    assert freezes == ["freeze", "unfreeze"]
    assert "Cancelled. Its last checkpoint is kept" in widget.run.message.words.text()
    assert {Stage.PLANNING, Stage.ENCODING} <= {event.stage for event in progress}
    assert list((tmp_path / "run").rglob("checkpoints/*.safetensors"))
    assert state.record is None

    # Train leaves this run as it is; Resume goes on with it.
    desk.press()
    assert not widget.controller.busy
    widget.question.reject()
    assert widget.run.resume.isEnabled()
    widget.run.resume.click()
    assert len(widget.controller.curves.stages) > 2  # the curves begin with the first epoch
    desk.wait(lambda: state.epoch)
    assert state.epoch.epoch == len(widget.controller.curves.stages) > 3
    losses = widget.controller.curves.series["train_loss"]
    assert np.isfinite(losses).all()
    desk.finish()
    assert check_model(tmp_path / "run" / "model").name == "learned"
    assert state.outcome == "Training has finished."
    assert widget.pages.currentWidget() is widget.result
    assert not widget.run.resume.isEnabled()
    assert widget.result.figures.lines["AUC"] != "not available"
    # On a screen of 720 lines the window keeps its size, with plan, curves and result shown.
    assert widget.minimumSizeHint().height() < 600


def test_encoder_and_head_train_end_to_end(desk: Desk, cohort_table: Path, tmp_path: Path) -> None:
    desk.load(cohort_table)
    desk.set(**QUICK)
    desk.set(mode="end-to-end", fit={"epochs": 3}, tiles_per_epoch=6)
    desk.set(end_to_end={"fit": {"epochs": 2, "lr": 1e-3}, "batch_size": 3, "chunk": 8})
    widget = desk.widget
    desk.press()
    desk.finish()

    assert "each end-to-end epoch" in widget.plan.facts["Time"]
    assert widget.controller.curves.stages == [(Stage.HEAD, 0)] * 3 + [(Stage.END_TO_END, 0)] * 2
    widget.curves.redraw()
    assert [name for _, name in widget.curves.loss.borders] == ["head", "end to end"]

    # Its encoder is another one now, and the model one for Analyze.
    model = tmp_path / "run" / "model"
    assert check_model(model).name == "learned"
    before, after = (
        load_file(folder / "model.safetensors")
        for folder in (tmp_path / "xmag-home" / "models" / "tiny", model)
    )
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    assert widget.pages.currentWidget() is widget.result
    assert len(widget.state.record.predictions) == 10


@pytest.mark.usefixtures("in_this_process")
def test_other_settings_do_not_resume_and_say_which(
    desk: Desk, cohort_table: Path, tmp_path: Path
) -> None:
    desk.load(cohort_table)
    desk.set(**QUICK)
    desk.set(fit={"epochs": 60})
    desk.press()
    desk.wait(lambda: desk.widget.controller.curves.stages)
    desk.press()
    desk.wait(lambda: not desk.widget.controller.busy)
    desk.set(dropout=0.5)
    desk.widget.run.resume.click()
    desk.wait(lambda: not desk.widget.controller.busy)
    message = desk.widget.run.message
    assert desk.widget.state.failed
    assert message.isVisible()
    assert "dropout" in message.words.text()
    assert "Traceback" not in message.words.text()

    # A window that knows nothing takes slides and settings from the folder.
    desk.widget.controller.cohort.take(())
    desk.wait(lambda: desk.widget.controller.cohort.settled)
    desk.set(fit={"epochs": 7})
    desk.widget.run.resume.click()
    desk.wait(lambda: desk.widget.controller.busy)
    desk.wait(lambda: desk.widget.controller.curves.stages)
    assert len(desk.widget.state.rows) == 10
    assert desk.widget.settings.form.read()[0].fit.epochs == 60
    desk.widget.controller.cancel()
    desk.wait(lambda: not desk.widget.controller.busy)


@pytest.mark.usefixtures("in_this_process")
def test_a_folder_that_cannot_be_written_is_told_in_words(
    desk: Desk, cohort_table: Path, tmp_path: Path
) -> None:
    desk.load(cohort_table)
    (tmp_path / "file").write_text("in the way")
    desk.widget.state.out = tmp_path / "file" / "run"
    desk.press()
    desk.wait(lambda: not desk.widget.controller.busy)
    words = desk.widget.run.message.words.text()
    assert desk.widget.state.failed
    assert words.startswith("⚠  Expected ")
    assert desk.widget.run.button.text() == "Train"
    assert desk.widget.run.button.isEnabled()


def test_an_unforeseen_error_is_a_sentence(
    desk: Desk, cohort_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.load(cohort_table)
    monkeypatch.setattr("napari_xmag._gui.train.tasks.trained", on_fire)
    desk.press()
    desk.wait(lambda: not desk.widget.controller.busy)
    assert "the card is on fire" in desk.widget.run.message.words.text()
    assert "Traceback" not in desk.widget.run.message.words.text()


def on_fire(_: object) -> None:
    """Stand for a training, in the process of one."""
    raise RuntimeError("the card is on fire")


@pytest.mark.usefixtures("in_this_process")
def test_a_new_training_goes_to_a_folder_of_its_own(
    desk: Desk, cohort_table: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    desk.load(cohort_table)
    desk.press()
    question = desk.widget.question
    assert "run-2" in question.text()
    next(button for button in question.buttons() if button.text() == "Start").click()
    assert desk.widget.state.out == tmp_path / "run-2"
    assert desk.widget.controller.busy
    desk.widget.controller.cancel()
    desk.wait(lambda: not desk.widget.controller.busy)
    assert (tmp_path / "run" / "config.json").read_text() == "{}"


@pytest.mark.usefixtures("in_this_process")
def test_a_blank_slide_is_named_at_the_end(desk: Desk, cohort_table: Path) -> None:
    glass = np.full((700, 900, 3), 243, np.uint8)
    write_pyramid(cohort_table.parent / "blank.tiff", glass)
    lines = cohort_table.read_text().splitlines()
    more = cohort_table.with_name("with-blank.csv")
    more.write_text("\n".join([*lines, "blank.tiff,benign,of its own"]))
    desk.load(more)
    desk.set(**QUICK)
    desk.press()
    desk.finish()
    said = "Training has finished. blank.tiff is left out: no tissue."
    assert desk.widget.state.outcome == said
