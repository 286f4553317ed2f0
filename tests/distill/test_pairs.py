"""The cache of views and teacher features: each cell its own tile, and made once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.distill.pairs import Pairs, cached_pairs, held_out, shuffled
from napari_xmag.distill.shards import FieldRecord, ShardWriter
from napari_xmag.errors import ConfigError
from napari_xmag.geometry import Box
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teacher import Teacher, TeacherSpec, field_features
from napari_xmag.train.beat import finish

SPEC = StudentSpec(mpp=2.0, tile_px=32)


class MeanColor(nn.Module):
    """A teacher whose feature is the mean colour of its tile; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.calls = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.calls += 1
        return pixels.mean((2, 3)) * self.gain


def mean_color() -> tuple[MeanColor, Teacher]:
    network = MeanColor()
    spec = TeacherSpec("mean", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return network, Teacher(network, spec)


def field(seed: int) -> NDArray[np.uint8]:
    """128 px in 4×4 squares of plain random colours."""
    colors = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), dtype=np.uint8)
    return colors.repeat(32, 0).repeat(32, 1)


def records(folder: Path, count: int = 3) -> list[FieldRecord]:
    writer = ShardWriter(folder / "s.tar", slide="s.tiff", mpp=0.5, quality=95)
    for number in range(count):
        writer.add(Box(number, 0, 128, 128), field(number))
    writer.finish()
    return writer.records


def run(folder: Path, rows: list[FieldRecord], teacher: Teacher, spec: StudentSpec = SPEC) -> Pairs:
    return finish(cached_pairs(folder, rows, teacher, spec, folder / "cache"))


def test_each_cell_has_its_own_tile(tmp_path: Path) -> None:
    pairs = run(tmp_path, records(tmp_path), mean_color()[1])
    for number in range(3):
        view, grid = pairs.pair(number)
        colors = field(number)[16::32, 16::32] / 255
        np.testing.assert_allclose(grid.numpy(), colors, atol=0.02)
        # The student's view has the same colours in the same places.
        np.testing.assert_allclose(view[:, 4::8, 4::8].permute(1, 2, 0) / 255, colors, atol=0.03)


def test_the_teacher_runs_once(tmp_path: Path) -> None:
    rows = records(tmp_path)
    network, teacher = mean_color()
    first = run(tmp_path, rows, teacher)
    calls = network.calls
    second = run(tmp_path, rows, teacher)
    assert network.calls == calls == 3
    assert np.array_equal(first.targets, second.targets)
    assert isinstance(second.targets, np.memmap)


def test_other_teacher_weights_make_another_cache(tmp_path: Path) -> None:
    rows = records(tmp_path)
    network, teacher = mean_color()
    first = run(tmp_path, rows, teacher)
    with torch.no_grad():
        network.gain.mul_(2)
    second = run(tmp_path, rows, teacher)
    np.testing.assert_allclose(second.targets, 2 * first.targets, rtol=1e-2)


def test_a_broken_run_leaves_no_half_cache(tmp_path: Path) -> None:
    rows = records(tmp_path)
    steps = cached_pairs(tmp_path, rows, mean_color()[1], SPEC, tmp_path / "cache")
    (tmp_path / "s.tar").unlink()
    with pytest.raises(ConfigError, match=r"s\.tar"):
        list(steps)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".part"]


def test_fields_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--field-px 256"):
        run(tmp_path, records(tmp_path), mean_color()[1], StudentSpec(mpp=2.0, tile_px=64))


def test_field_features_row_and_column() -> None:
    pixels = torch.zeros(3, 64, 64, dtype=torch.uint8)
    pixels[0, 16:32, 48:64] = 255  # row 1, column 3
    grid = field_features(mean_color()[1], pixels)
    assert grid.shape == (4, 4, 3)
    assert grid[1, 3, 0] == 1
    assert grid.sum() == 1


def rows_of(*slides: str) -> list[FieldRecord]:
    return [FieldRecord(f"{s}-{i}", "t", s, 0, 0, 1, 1, 0.5, "") for s in slides for i in range(2)]


def test_whole_slides_are_held_out() -> None:
    some = rows_of("a1.svs", "a2.svs", "b1.svs")
    assert held_out(some, ["a*"], seed=0) == ["a1.svs", "a2.svs"]
    assert len(held_out(some, [], seed=0)) == 1
    with pytest.raises(ConfigError, match="'c\\*'"):
        held_out(some, ["c*"], seed=0)
    with pytest.raises(ConfigError, match="3 of 3"):
        held_out(some, ["*"], seed=0)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    rows = np.arange(10)
    one = np.concatenate(list(shuffled(rows, 4, seed=1, epoch=2)))
    assert np.array_equal(one, np.concatenate(list(shuffled(rows, 4, seed=1, epoch=2))))
    assert not np.array_equal(one, np.concatenate(list(shuffled(rows, 4, seed=1, epoch=3))))
    assert len(set(one.tolist())) == 8


def test_teacher_at_another_scale_than_its_own_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, (network, teacher) = records(tmp_path), mean_color()
    teacher.spec = replace(teacher.spec, title="Mean", mpp=0.5, tile_px=32)
    run(tmp_path, rows, teacher)
    assert not caplog.records
    teacher.spec = replace(teacher.spec, tile_px=28)
    run(tmp_path, rows, teacher)
    assert "Mean sees tissue at 0.571 µm/px; it was made for 0.5" in caplog.text
    assert network.calls == 6


def test_what_is_said_of_a_teacher_changes_no_cache(tmp_path: Path) -> None:
    rows, (network, teacher) = records(tmp_path), mean_color()
    run(tmp_path, rows, teacher)
    teacher.spec = replace(teacher.spec, title="Mean", terms="other words", mpp=0.5)
    run(tmp_path, rows, teacher)
    assert network.calls == 3
