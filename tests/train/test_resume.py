"""A training that was broken off ends as one that was not; several processes do as one does."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.errors import ConfigError
from napari_xmag.learn.scalars import read_scalars
from napari_xmag.nets.encoder import Encoder
from napari_xmag.progress.events import EpochDone, RunFinished, Stage
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.run import train
from tests.processes import together
from tests.train.cohorts import WHOLE, WHOLE_TOML, tiny_encoder

pytestmark = pytest.mark.usefixtures("blank_plots")

_FILES = ("model/model.safetensors", "model/head.safetensors", "scalars.csv", "predictions.csv")


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """Sums in one order, here and in other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing broke off."""
    folder = tmp_path_factory.mktemp("whole")
    encoder = tiny_encoder(folder / "encoder")
    finish(train(read_cohort(table), encoder, folder / "run", WHOLE))
    return folder / "run"


@pytest.mark.parametrize("place", [(Stage.HEAD, 1), (Stage.END_TO_END, 2)])
def test_it_goes_on_where_it_was_broken_off(
    place: tuple[Stage, int], whole: Path, table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    cohort, out = read_cohort(table, open_slides=False), tmp_path / "run"
    events = train(cohort, encoder, out, WHOLE)
    for event in events:
        if isinstance(event, EpochDone) and (event.stage, event.epoch) == place:
            break
    next(events)  # within the next epoch
    events.close()
    assert not (out / "model").exists()
    seen = list(train(cohort, encoder, out, WHOLE, resume=True))
    epochs = [(e.stage, e.epoch) for e in seen if isinstance(e, EpochDone)]
    assert place not in epochs
    assert isinstance(seen[-1], RunFinished)
    for name in _FILES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_killed_process_loses_its_epoch_at_most(
    whole: Path, table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    running = subprocess.Popen(
        [sys.executable, "-m", "napari_xmag.cli", *_command(table, tmp_path, out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("end-to-end: epoch 1"):
            running.kill()
    running.wait()
    running.stdout.close()
    assert not (out / "model").exists()
    finish(train(read_cohort(table), encoder, out, WHOLE, resume=True))
    for name in _FILES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_that_has_ended_is_left_alone(whole: Path, table: Path, encoder: Encoder) -> None:
    before = (whole / "metrics.json").stat().st_mtime_ns
    events = list(train(read_cohort(table), encoder, whole, WHOLE, resume=True))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].metrics["train"]
    assert (whole / "metrics.json").stat().st_mtime_ns == before


def test_another_run_is_not_taken_for_the_one_that_has_ended(
    whole: Path, table: Path, encoder: Encoder
) -> None:
    other = WHOLE.model_copy(update={"seed": 9})
    with pytest.raises(ConfigError, match="seed was 0, now 9"):
        finish(train(read_cohort(table), encoder, whole, other, resume=True))


def test_a_folder_that_is_taken_is_refused_at_once(
    whole: Path, table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="an earlier run"):
        next(train(read_cohort(table), encoder, whole, WHOLE))
    folds = WHOLE.model_copy(update={"folds": 2})
    (tmp_path / "run").mkdir()
    shutil.copytree(whole, tmp_path / "run" / "fold-2")
    with pytest.raises(ConfigError, match=r"fold-2.*an earlier run"):
        next(train(read_cohort(table), encoder, tmp_path / "run", folds))


def test_settings_that_an_ended_run_does_not_know_are_no_difference(
    whole: Path, table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    """A version from before there were regions wrote none of theirs."""
    shutil.copytree(whole, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    del config["decisive"]["regions"]
    del config["decisive"]["end_to_end"]["layer_decay"]
    path.write_text(json.dumps(config))
    cohort = read_cohort(table)
    finish(train(cohort, encoder, tmp_path / "run", WHOLE, resume=True))
    first, *rest = cohort.rows
    fewer = replace(cohort, rows=tuple(rest))
    with pytest.raises(ConfigError, match=first.slide.name):
        finish(train(fewer, encoder, tmp_path / "run", WHOLE, resume=True))


def test_two_processes_learn_what_one_learns(
    whole: Path, table: Path, encoder: Encoder, tmp_path: Path
) -> None:
    """The slides of each step are shared; changes of tiles follow the slide, not the process."""
    without_dropout = WHOLE.model_copy(update={"dropout": 0.0})
    finish(train(read_cohort(table), encoder, tmp_path / "one", without_dropout))
    command = [*_command(table, tmp_path, tmp_path / "two"), "--set", "dropout=0.0"]
    said = together("-m", "napari_xmag.cli", *command)
    assert said.count("end-to-end: epoch 3/3") == 1  # only the first speaks
    losses = []
    for out in (tmp_path / "one", tmp_path / "two"):
        losses.append([row["train_loss"] for row in read_scalars(out)])
        assert len(list((out / "tensorboard").iterdir())) == 1
        with (out / "predictions.csv").open(newline="") as stream:
            assert len(list(csv.DictReader(stream))) == 10
    assert len(losses[0]) == 5
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def _command(table: Path, tmp_path: Path, out: Path) -> list[str]:
    """The command line of the run `WHOLE`."""
    settings = tmp_path / "settings.toml"
    settings.write_text(WHOLE_TOML)
    place = ["--out", str(out), "--encoder", str(tmp_path / "encoder")]
    return ["train", str(table), *place, "--config", str(settings)]
