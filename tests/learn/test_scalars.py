"""The table and the TensorBoard files of a run's figures."""

import math
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from napari_xmag.learn.scalars import ScalarLog, read_scalars


def events(folder: Path) -> list[tuple[str, int, float]]:
    """Read TensorBoard's files: length, its checksum, event, its checksum, and so on."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            data = data[16 + size :]
    return found


def test_rows_and_events(tmp_path: Path) -> None:
    with ScalarLog(tmp_path) as log:
        log.write(1, {"loss": 0.5, "auc": math.nan}, "head")
        log.write(2, {"loss": 0.25}, "head")
        log.write(1, {"loss": 0.1, "lr": 1e-5}, "end-to-end")
    lines = (tmp_path / "scalars.csv").read_text().splitlines()
    assert lines == [
        "stage,epoch,loss,auc,lr",
        "head,1,0.5,nan,",
        "head,2,0.25,,",
        "end-to-end,1,0.1,,1e-05",
    ]
    assert events(tmp_path / "tensorboard") == [
        ("head/loss", 1, 0.5),
        ("head/loss", 2, 0.25),
        ("end-to-end/loss", 1, pytest.approx(0.1)),
        ("end-to-end/lr", 1, pytest.approx(1e-5)),
    ]


def test_a_resumed_run_repeats_no_epoch(tmp_path: Path) -> None:
    with ScalarLog(tmp_path) as log:
        for epoch in (1, 2, 3):
            log.write(epoch, {"loss": 1 / epoch})
    with ScalarLog(tmp_path) as log:  # the checkpoint was that of epoch 1
        log.write(2, {"loss": 7.0})
    assert read_scalars(tmp_path) == [
        {"stage": "", "epoch": 1, "loss": 1.0},
        {"stage": "", "epoch": 2, "loss": 7.0},
    ]


def test_a_new_run_begins_empty(tmp_path: Path) -> None:
    with ScalarLog(tmp_path) as log:
        log.write(1, {"loss": 1.0}, "old")
    with ScalarLog(tmp_path, resume=False):
        assert read_scalars(tmp_path) == []
        assert not (tmp_path / "tensorboard").exists()
