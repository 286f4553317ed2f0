"""Whatever takes long in a training, its listener hears of the training meanwhile."""

from pathlib import Path

import pytest

from napari_xmag.cohort.opening import open_cohort
from napari_xmag.nets.encoder import Encoder
from napari_xmag.progress.events import EpochDone, Progress, Stage
from napari_xmag.train.run import train
from tests.listener import Listener
from tests.train.cohorts import WHOLE

pytestmark = pytest.mark.usefixtures("blank_plots")

SLOW = (
    "napari_xmag.cohort.cohort.read_table",
    "napari_xmag.cohort.problems._looked_at",
    "napari_xmag.train.run.draw_split",
    "napari_xmag.train.run.ready_on",
    "napari_xmag.train.run.encoder_fingerprint",
    "napari_xmag.train.run.begin_folder",
    "napari_xmag.train.plan.encode_bag",
    "napari_xmag.slide.open.open_slide",
    "napari_xmag.slide.tissue.find_tissue",
    "napari_xmag.slide.bag.plan_bag",
    "napari_xmag.mil.features.slide_identity",
    "napari_xmag.mil.tile_encoder.encode_bag",
    "napari_xmag.mil.features._joined",
    "napari_xmag.mil.features._keep",
    "napari_xmag.mil.features._kept",
    "napari_xmag.mil.head_training._moments",
    "napari_xmag.mil.head_training._evaluated",
    "napari_xmag.learn.train_step.TrainStep.accumulate",
    "napari_xmag.learn.train_step.TrainStep.update",
    "napari_xmag.learn.fit.save_checkpoint",
    "napari_xmag.train.end_to_end_stage.fit_of",
    "napari_xmag.learn.fit.Fit._evaluated",
    "napari_xmag.stats.metrics.figures",
    "napari_xmag.nets.model.TrainingRange.fit",
    "napari_xmag.zoo.save_model",
    "napari_xmag.train.run.write_training_report",
    "napari_xmag.train.report.plots.plot_splits",
    "napari_xmag.train.report.kfold.read_predictions",
    "napari_xmag.train.report.kfold.write_predictions",
    "napari_xmag.train.run.rmtree",
)


def test_no_slow_step_keeps_the_listener_waiting(
    table: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    listener.slow_down(monkeypatch, *SLOW)
    cohort = listener.listen(open_cohort(table))
    config = WHOLE.model_copy(update={"folds": 2})
    listener.listen(train(cohort, encoder, tmp_path / "run", config))
    assert set(SLOW) - listener.called == set()
    assert listener.silent == set()

    told = [event for event in listener.events if isinstance(event, Progress)]
    slides = {path.name for path in table.parent.glob("*.tiff")}
    assert {event.item for event in told if event.stage is Stage.ENCODING} - {""} <= slides
    assert {event.items for event in told if event.stage is Stage.ENCODING and event.item} == {10}
    assert {event.fold for event in listener.events if isinstance(event, EpochDone)} == {1, 2}
    assert {event.folds for event in told if event.fold} == {2}
    checked = [event for event in told if event.stage is Stage.CHECKING]
    assert checked[-1].total == 10
