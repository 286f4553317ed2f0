"""What a training says in a terminal."""

from collections.abc import Generator
from pathlib import Path

import pytest

from napari_xmag.cli import progress
from napari_xmag.cli.progress import follow, show
from napari_xmag.progress.events import (
    EpochDone,
    Progress,
    RunEvent,
    RunFinished,
    RunPlanned,
    Stage,
)
from napari_xmag.progress.heartbeat import finish
from tests.progress.test_words import PLAN


def events() -> Generator[RunEvent, None, int]:
    yield RunPlanned(PLAN)
    yield Progress(Stage.ENCODING, 3, 20, "tiles", item="Dicom-case-12", number=1, items=4)
    yield EpochDone(1, 2, {"train_loss": 0.51234}, Stage.HEAD)
    yield EpochDone(2, 2, {"train_loss": 0.25}, Stage.END_TO_END, fold=3)
    yield EpochDone(2, 2, {"train_loss": 0.25})
    yield RunFinished(Path("model"))
    return 7


def test_plan_epochs_and_the_end_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(events()) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "Plan",
        "  Slides       32: 22 for training, 5 for validation",
        "  Tiles        651, about 20 per slide",
    ]
    assert said[-4:] == [
        "head: epoch 1/2  train_loss 0.5123",
        "fold 3, end-to-end: epoch 2/2  train_loss 0.25",
        "epoch 2/2  train_loss 0.25",
        "Written: model",
    ]


def test_progress_goes_to_the_log_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finish(show(events())) == 7
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "_SECONDS_IN_LOG", 0)
    finish(show(events()))
    assert capsys.readouterr().err == "Encoding: 1 of 4, Dicom-case-12 · 3 of 20 tiles\n"
