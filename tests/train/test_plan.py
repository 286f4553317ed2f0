"""What a training will take, told before it starts."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.cohort.rows import TRAIN, CohortRow
from napari_xmag.cohort.splits import split_by_patient
from napari_xmag.errors import ConfigError
from napari_xmag.nets.encoder import Encoder
from napari_xmag.progress.heartbeat import finish
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.plan import make_plan
from tests.slides import write_pyramid
from tests.train.cohorts import HEAD, WHOLE

CPU = torch.device("cpu")


class Usage(NamedTuple):
    free: int


@pytest.fixture
def rows(table: Path) -> list[CohortRow]:
    cohort = read_cohort(table, open_slides=False)
    return split_by_patient(cohort.rows, validation=0.2, test=0.2, seed=0)


def test_it_counts_and_measures(rows: list[CohortRow], encoder: Encoder, tmp_path: Path) -> None:
    plan = finish(
        make_plan(rows, encoder.student, WHOLE, CPU, tmp_path / "cache", tmp_path / "run")
    )
    assert plan.slides == 10
    assert plan.measured_slides == 3
    assert plan.tiles == pytest.approx(80, abs=20)
    assert 0 < plan.memory_gb < 1
    assert plan.precision in ("float32", "bfloat16")
    assert plan.minutes_per_epoch is not None
    whole = 3 * plan.minutes_per_epoch + 2 * plan.minutes_features + plan.minutes_head
    assert plan.minutes == pytest.approx(whole, abs=0.3)
    head = finish(make_plan(rows, encoder.student, HEAD, CPU, tmp_path / "cache", tmp_path / "run"))
    assert (head.minutes_per_epoch, head.tiles_at_once) == (None, None)
    assert not (tmp_path / "cache").exists()


def test_too_little_disk_is_told_first(
    rows: list[CohortRow], encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twenty thousand cells of 4 kB or so are wanted, in a hundred-thousandth of the room.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0))
    many = [row for row in rows for _ in range(1000)]
    with pytest.raises(ConfigError, match="GB of free disk space for features and tiles"):
        finish(make_plan(many, encoder.student, HEAD, CPU, tmp_path, tmp_path))


def test_the_disk_of_the_run_is_looked_at_too(
    rows: list[CohortRow], encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache may lie on another disk, with room enough."""
    run = tmp_path / "run"
    run.mkdir()
    free = {run: 0, tmp_path: 10**12}
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(free[place]))
    planning = make_plan(rows, encoder.student, WHOLE, CPU, tmp_path / "cache", run, divisions=3)
    with pytest.raises(ConfigError, match=f"checkpoints and models.* free at {run}"):
        finish(planning)


@pytest.mark.parametrize("config", [HEAD, WHOLE], ids=["head", "end to end"])
def test_slides_without_tissue_do_not_end_it(
    encoder: Encoder, tmp_path: Path, config: TrainConfig
) -> None:
    glass = np.full((700, 900, 3), 243, np.uint8)
    slides = [write_pyramid(tmp_path / f"{n}.tiff", glass + np.uint8(n)) for n in range(3)]
    rows = [CohortRow(n, slide, "x", split=TRAIN) for n, slide in enumerate(slides)]
    plan = finish(
        make_plan(rows, encoder.student, config, CPU, tmp_path / "cache", tmp_path / "run")
    )
    assert (plan.slides, plan.tiles) == (3, 0)
