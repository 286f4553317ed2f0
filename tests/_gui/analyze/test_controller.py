"""What the window does when there is nothing to do it with, and how settings reach the engine."""

from pathlib import Path

import pytest
from napari.utils.notifications import notification_manager

from napari_xmag.review.verdicts import Verdict
from napari_xmag.slide.tissue import TissueChoice
from tests._gui.window import Window

pytestmark = pytest.mark.window


def act(window: Window) -> None:
    """Ask for everything that a panel can ask for."""
    control = window.widget.controller
    control.analyze()
    control.set_pixel_size(0.5)
    control.cancel()
    for key in window.widget.keys[:-1]:  # the last one shows the keys
        assert key.act() is False, key.words
    control.places.go_to(0)
    control.places.mark(0, Verdict.RIGHT)
    control.tissue.choose(TissueChoice.PAINTED)
    control.tissue.show()
    control.tissue.draw()
    window.widget.export_button.setEnabled(True)
    window.widget.export_button.click()
    window.widget.label.given.emit("benign")


def test_without_a_slide_nothing_happens(window: Window) -> None:
    notification_manager.records.clear()
    act(window)
    assert len(window.viewer.layers) == 0
    assert notification_manager.records == []


def test_a_slide_that_was_removed_meanwhile_is_no_error(
    window: Window, aperio_slide: Path, tmp_path: Path
) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    panel = window.widget.strip
    window.viewer.layers.remove(session.layer)
    assert panel.patches == []
    act(window)
    window.widget.controller.export(session, tmp_path / "out", "slide")
    assert not (tmp_path / "out").exists()


def test_before_a_result_there_is_nothing_to_mark_or_export(
    window: Window, aperio_slide: Path, tmp_path: Path
) -> None:
    session = window.open(aperio_slide)
    window.widget.controller.places.go_to(0)
    window.widget.controller.places.mark(0, Verdict.RIGHT)
    window.widget.controller.export(window.session, tmp_path / "out", "slide")
    assert session.mark_layer is None
    assert session.reviews == ()
    assert not (tmp_path / "out").exists()


def test_advanced_settings_reach_the_engine(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    everything = len(window.analyze().result.patches)
    form = window.widget.settings
    assert form.fields.keys() >= {("batch_size",), ("workers",), ("min_tissue",), ("precision",)}
    assert not form.fields["batch_size",].native.isVisible()  # folded away
    window.widget.setup_section.expand(animate=False)
    form.advanced.toggleButton().click()
    assert form.fields["batch_size",].native.isVisible()

    form.fields["batch_size",].value = 3
    form.fields["min_tissue",].value = 0.95
    form.fields["precision",].value = "float32"
    window.analyze()
    used = session.result.settings
    assert (used["batch_size"], used["precision"]) == (3, "float32")
    assert used["min_tissue"] == 0.95
    assert 0 < len(session.result.patches) < everything

    form.reset.click()
    assert len(window.analyze().result.patches) == everything


def test_a_setting_that_cannot_be_keeps_the_slide_from_analysis(
    window: Window, aperio_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.open(aperio_slide)
    form, run = window.widget.settings, window.widget.run
    # The inputs have limits; a value beyond them can only come from elsewhere.
    values = {**form.values(), "min_tissue": 2.0}
    monkeypatch.setattr(form, "values", lambda: values)
    form.changed.emit()
    assert not run.button.isEnabled()
    assert "Minimum tissue" in run.button.toolTip()
    values["min_tissue"] = 0.2
    form.changed.emit()
    assert run.button.isEnabled()
