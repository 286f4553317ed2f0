"""What a training says of itself, in words; and its curves."""

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.train.curves import CurvesPanel, decimate, nice_ticks
from napari_xmag._gui.train.state import Curves
from napari_xmag._gui.train.words import Teller, Telling, plan_words
from napari_xmag.progress.events import EpochDone, Progress

EPOCHS = {"head": 40, "end-to-end": 10}


def test_tiles_of_a_slide_are_a_part_of_all_slides() -> None:
    teller = Teller(4, EPOCHS)
    told = teller.tell(Progress("a.svs", 5, 20, 8.0, 2.0))
    assert told.share == pytest.approx(0.25 / 4)
    assert told.words == "Reading the slides: 1 of 4, a.svs · 5 of 20 tiles · 8.0 tiles/s"
    teller.tell(Progress("slides", 1, 4))
    told = teller.tell(Progress("b.svs", 10, 20, 35.0, 1.0))
    assert told.share == pytest.approx(1.5 / 4)
    assert told.words.startswith("Reading the slides: 2 of 4, b.svs")
    teller.tell(Progress("slides", 4, 4))
    again = teller.tell(Progress("a.svs", 1, 20))  # once more, with what was learned
    assert again.share == pytest.approx(0.05 / 4)


def test_epochs_rate_and_rest_are_told() -> None:
    told = Teller(4, EPOCHS).tell(Progress("head", 12, 160, 1.84, 80.4, "slides"))
    assert told.share == pytest.approx(12 / 160)
    assert told.words == (
        "Training the head · epoch 3 of 40 · 12 of 160 slides · 1.8 slides/s · "
        "80\N{NO-BREAK SPACE}s\N{NO-BREAK SPACE}left"
    )
    fold = Teller(4, EPOCHS).tell(Progress("fold 2: end-to-end", 1, 2, 0.0))
    assert fold.words == "Fold 2: Training end to end · epoch 1 of 10 · 1 of 2 steps"
    assert Teller(4, EPOCHS).tell(Progress("Loading the encoder", 0, 0)).share is None


@pytest.mark.parametrize(
    ("done", "epoch"), [(0, 1), (1, 1), (80, 1), (81, 2), (160, 2), (799, 10), (800, 10)]
)
def test_the_first_epoch_has_a_number_too_and_so_has_one_that_goes_on(
    done: int, epoch: int
) -> None:
    told = Teller(4, EPOCHS).tell(Progress("end-to-end", done, 800, 0.0, 0.0, "tiles"))
    assert told.words.startswith(f"Training end to end · epoch {epoch} of 10 · {done} of 800 tiles")


def test_the_measuring_of_slides_counts_nothing() -> None:
    told = Teller(4, EPOCHS).tell(Progress("plan", 3, 4, 0.5, 2.0))
    assert told == Telling(0.75, "Measuring a few slides")


def test_a_plan_in_words() -> None:
    plan = {
        "slides": 32,
        "training_slides": 22,
        "validation_slides": 5,
        "tiles": 651,
        "tiles_per_slide": 20,
        "minutes": 3.0,
        "minutes_features": 2.5,
        "minutes_head": 0.5,
        "new_fact": True,
    }
    assert plan_words(plan) == {
        "Slides": "32: 22 for training, 5 for validation",
        "Tiles": "651, about 20 a slide",
        "Time": "about 3 min (encoding 2 min, head 30 s)",
        "New fact": "yes",
    }
    assert plan_words({}) == {}


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
        curves.add(EpochDone(epoch, 1000, scalars, "head" if epoch < 300 else "end-to-end"))
    qtbot.waitUntil(lambda: panel.redraws > 0, timeout=3000)
    assert panel.redraws == 1
    training, validation = panel.loss.lines
    assert (training.name, validation.name) == ("training", "validation")
    assert len(validation.values) == 1000
    assert np.isnan(validation.values[:500]).all()
    assert panel.loss.borders == [(0, "head"), (299, "end to end")]
    assert panel.auc.lines[0].values[-1] == 0.9
    assert not panel.grab().isNull()
