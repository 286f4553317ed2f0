"""Many processes distil as one does: the command line under torchrun, on CPUs with gloo."""

from pathlib import Path

import pytest

from napari_xmag.distill.config import DistillConfig
from napari_xmag.distill.run import distill
from napari_xmag.errors import ConfigError
from napari_xmag.learn.distributed import Processes
from napari_xmag.learn.scalars import read_scalars
from napari_xmag.progress.heartbeat import finish
from tests.distill.tiny import changed
from tests.processes import torchrun


def test_two_processes_give_the_loss_curve_of_one(config: DistillConfig, tmp_path: Path) -> None:
    # Slowly: Adam makes noise of what has no gradient, such as a bias before a batch norm.
    settings = ["fit.epochs=2", "fit.lr=3e-4", "run.out=two", "run.precision=float32"]
    given = [word for setting in settings for word in ("--set", setting)]
    said = torchrun(
        "-m", "napari_xmag.cli", "distill", "run", str(tmp_path / "config.toml"), *given
    )
    lines = said.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["epoch", f"{n}/2"] for n in (1, 2)]
    assert lines[-1] == f"Written: {tmp_path / 'two'}"
    assert (tmp_path / "two" / "model.safetensors").exists()

    one = changed(config, fit={"epochs": 2, "lr": 3e-4}, run={"precision": "float32"})
    finish(distill(changed(one, data={"cache": tmp_path / "own-cache"})))
    alone, together = (read_scalars(tmp_path / name) for name in ("student-run", "two-run"))
    assert len(alone) == len(together) == 2
    for row, other in zip(alone, together, strict=True):
        losses = {name: value for name, value in row.items() if name.endswith("loss")}
        assert {name: other[name] for name in losses} == pytest.approx(losses, rel=2e-3)
        assert other["validation_agreement"] == pytest.approx(row["validation_agreement"], abs=0.02)


def test_a_batch_that_cannot_be_shared_is_refused(
    config: DistillConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.distill.run_folder.wait_for_all", lambda _: None)
    online = changed(config, data={"targets": "online"})
    with pytest.raises(ConfigError, match="3 processes share evenly, but found 8 fields"):
        finish(distill(online, processes=Processes(0, 3)))


def test_batch_norms_that_would_see_a_part_only_are_refused(
    config: DistillConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_xmag.distill.run_folder.wait_for_all", lambda _: None)
    learning = changed(config, student={"freeze_norm": False})
    with pytest.raises(ConfigError, match="batch norms in 2 processes on cpu"):
        finish(distill(learning, processes=Processes(0, 2)))
