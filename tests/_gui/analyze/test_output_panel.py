"""Where exports and reports go, and that nothing of another slide is replaced."""

from pathlib import Path

import pytest

from napari_xmag.analyze.result import SlideResult
from napari_xmag.filenames import REPORT_HTML, RESULT
from tests._gui.window import Window

pytestmark = pytest.mark.window


def test_the_window_asks_before_it_writes_into_another_slides_folder(
    window: Window, aperio_slide: Path, pyramid_slide: Path, tmp_path: Path
) -> None:
    window.open(aperio_slide)
    first = window.analyze().result
    hand_on = window.widget.hand_on

    def export(folder: Path) -> None:
        hand_on.export_button.click()
        hand_on.export_dialog.form.set_values({"folder": folder})
        hand_on.export_dialog.accept()

    def report(folder: Path) -> None:
        hand_on.report_button.click()
        hand_on.report_dialog.form.set_values({"folder": folder, "reviewer": "Dr. A"})
        hand_on.report_dialog.accept()

    taken, signed = tmp_path / "taken", tmp_path / "signed"
    export(taken)
    window.wait((taken / RESULT).exists)
    report(signed)
    window.wait((signed / REPORT_HTML).exists)
    report(signed)  # its own report may be written again
    assert not hasattr(hand_on, "question")
    window.wait(lambda: not window.widget.controller.jobs.running)
    before = (signed / REPORT_HTML).read_bytes()

    window.open(pyramid_slide)
    second = window.analyze().result
    export(taken)
    question = hand_on.question
    assert f"holds the result of another slide, {aperio_slide.name}" in question.text()
    use, _other = question.buttons()
    assert use.text() == "Use taken-2"
    use.click()
    window.wait((tmp_path / "taken-2" / RESULT).exists)
    kept = [SlideResult.load(tmp_path / name).created for name in ("taken", "taken-2")]
    assert kept == [first.created, second.created]

    earlier = hand_on.report_dialog
    report(signed)
    assert "report.html, report.pdf of something else" in hand_on.question.text()
    _use, other = hand_on.question.buttons()
    asked = hand_on.report_dialog
    other.click()
    assert hand_on.report_dialog not in (asked, earlier)  # asked for a folder again
    hand_on.report_dialog.reject()
    assert (signed / REPORT_HTML).read_bytes() == before
