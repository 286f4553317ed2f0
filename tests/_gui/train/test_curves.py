"""The curves of a training, drawn cheaply however long they are."""

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.train.curves import CurvesPanel, decimate, nice_ticks
from napari_xmag._gui.train.state import Curves
from napari_xmag.progress.events import EpochDone, Stage
from tests._gui.window import PATIENCE


def test_decimated_curves_keep_their_extremes() -> None:
    values = np.sin(np.linspace(0, 60, 100_000))
    values[[777, 40_404]] = 9.0, -9.0
    places, heights = decimate(values, 300)
    assert len(places) <= 600
    assert (np.diff(places) > 0).all()
    assert heights.max() == 9.0
    assert heights.min() == -9.0
    np.testing.assert_array_equal(values[places], heights)


def test_unknown_values_leave_no_point() -> None:
    places, heights = decimate(np.array([np.nan, 1.0, np.nan, 3.0]), 100)
    assert places.tolist() == [1, 3]
    assert heights.tolist() == [1.0, 3.0]


def test_ticks_are_round() -> None:
    assert nice_ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1.0]
    assert nice_ticks(0.61, 0.69) == pytest.approx([0.62, 0.64, 0.66, 0.68])


@pytest.mark.window
def test_many_epochs_are_one_redraw(qtbot: QtBot) -> None:
    curves = Curves()
    panel = CurvesPanel(curves)
    qtbot.addWidget(panel)
    panel.show()
    for epoch in range(1, 1001):
        scalars = {"train_loss": 1 / epoch}
        if epoch > 500:
            scalars |= {"validation_loss": 2 / epoch, "validation_auc": 0.9}
        curves.add(EpochDone(epoch, 1000, scalars, Stage.HEAD if epoch < 300 else Stage.END_TO_END))
    qtbot.waitUntil(lambda: panel.redraws > 0, timeout=PATIENCE)
    assert panel.redraws == 1
    training, validation = panel.loss.lines
    assert (training.name, validation.name) == ("training", "validation")
    assert len(validation.values) == 1000
    assert np.isnan(validation.values[:500]).all()
    assert panel.loss.borders == [(0, "head"), (299, "end to end")]
    assert panel.auc.lines[0].values[-1] == 0.9
    assert not panel.grab().isNull()


@pytest.mark.window
def test_folds_stand_side_by_side(qtbot: QtBot) -> None:
    curves = Curves()
    panel = CurvesPanel(curves)
    qtbot.addWidget(panel)
    for fold in (1, 2):
        for epoch in (1, 2):
            curves.add(EpochDone(epoch, 2, {"train_loss": 0.5}, Stage.HEAD, fold))
    panel.redraw()
    assert panel.loss.borders == [(0, "fold 1: head"), (2, "fold 2: head")]
