"""Several processes: shares, and the same training as one process with the whole batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_xmag.learn.checkpoint import load_checkpoint
from napari_xmag.learn.distributed import (
    Processes,
    SyncedBatchNorm1d,
    average_gradients,
    gather,
    join,
    leave,
    share,
    start_alike,
)
from napari_xmag.learn.scalars import read_scalars
from tests.learn.together import train
from tests.processes import together


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = join()
    assert alone == Processes(0, 1)
    assert alone.first
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    average_gradients(layer.parameters(), alone)
    start_alike(layer, alone)
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]
    assert gather("word", alone) == ["word"]
    leave()


def test_shares_are_blocks_that_leave_nothing_out() -> None:
    shares = [share(10, Processes(rank, 3)) for rank in range(3)]
    assert [len(part) for part in shares] == [4, 3, 3]
    assert np.concatenate(shares).tolist() == list(range(10))
    assert len(share(0, Processes(1, 2))) == 0


def test_batch_norm_alone_is_that_of_torch() -> None:
    ours, theirs = SyncedBatchNorm1d(3), nn.BatchNorm1d(3)
    rows = torch.rand(5, 3)
    assert torch.equal(ours(rows), theirs(rows))
    assert torch.equal(ours.running_var, theirs.running_var)  # type: ignore[arg-type]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    together("-m", "tests.learn.together", str(tmp_path / "two"))
    assert (tmp_path / "two" / "alike").exists()
    one = train(tmp_path / "one", Processes())
    tensors, facts = load_checkpoint(tmp_path / "two" / "checkpoint.safetensors")
    assert facts["step"] == 12
    for name, value in one.average.state_dict().items():
        torch.testing.assert_close(tensors[f"average/{name}"], value, rtol=1e-4, atol=1e-5)
    curves = [
        [row["train_loss"] for row in read_scalars(tmp_path / name)] for name in ("one", "two")
    ]
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    assert [row["rank"] for row in read_scalars(tmp_path / "two")] == [0, 0, 0]
