"""What the result of a training says above its figures."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.train.result_panel import TrainingResultPanel
from napari_xmag.train.report.predictions import SlidePrediction
from napari_xmag.train.report.record import RunRecord


@pytest.mark.parametrize(("epoch", "said"), [(0, True), (2, False), (None, False)])
def test_an_encoder_that_was_not_kept_is_said(
    qtbot: QtBot, tmp_path: Path, epoch: int | None, said: bool
) -> None:
    panel = TrainingResultPanel()
    qtbot.addWidget(panel)
    slide = SlidePrediction(
        Path("a.svs"), "a", "test", "benign", "malignant", (-1.0, 1.0), (0.12, 0.88)
    )
    metrics = {"end_to_end_epoch": epoch, "test": {"slides": 1, "patients": 1}}

    panel.show_record(RunRecord(tmp_path, ("benign", "malignant"), (slide,), metrics, {}))

    assert "Patch AUC" not in panel.figures.lines
    assert ("did not improve on the head alone" in panel.words.text()) == said
    assert "95 % confidence intervals" in panel.words.text()


def test_regions_have_a_line(qtbot: QtBot, tmp_path: Path) -> None:
    panel = TrainingResultPanel()
    qtbot.addWidget(panel)
    slide = SlidePrediction(
        Path("a.svs"), "a", "test", "benign", "malignant", (-1.0, 1.0), (0.12, 0.88)
    )
    patches = {"auc": 0.91, "intervals": {"auc": [0.8, 0.97]}, "patches": 300, "slides": 6}
    metrics = {"test": {"slides": 1, "patients": 1, "patches": patches}}

    panel.show_record(RunRecord(tmp_path, ("benign", "malignant"), (slide,), metrics, {}))

    assert panel.figures.lines["Patch AUC"] == "0.910  (0.80 to 0.97)"
