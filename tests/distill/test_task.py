"""Several teachers at once: heads of their own, weights, and one alone as before."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.distill.config import LossConfig, load_distill_config
from napari_xmag.distill.losses import global_loss, local_loss
from napari_xmag.distill.task import DistillTask
from napari_xmag.fields.pairs import CachedPairs, PairBatch
from napari_xmag.fields.views import FieldView
from tests.nets.students import CASES

LOSS = LossConfig(global_weight=1.0, local_weight=0.5)


def _batch(width: int, side: int = 64) -> PairBatch:
    random = torch.Generator().manual_seed(0)
    views = torch.randint(0, 256, (3, 3, side, side), generator=random).byte()
    return PairBatch(views, torch.randn(3, 4, 4, width, generator=random))


def test_loss_is_the_weighted_mean_over_teachers_each_with_its_own_heads() -> None:
    student, batch = CASES["vit-cls"].student(), _batch(5 + 7)
    task = DistillTask(student, LOSS, widths=(5, 7), weights=(3.0, 1.0)).eval()
    with torch.no_grad():
        output, found = student(batch.views), task(batch)
        cells = output.cells.permute(0, 2, 3, 1)
        expected = {"global": 0.0, "local": 0.0}
        for heads, columns, weight in zip(
            task.heads, (slice(0, 5), slice(5, 12)), (0.75, 0.25), strict=True
        ):
            grid = batch.grid[..., columns]
            expected["global"] += weight * global_loss(heads.whole(output.embedding), grid).item()
            expected["local"] += weight * local_loss(heads.cells(cells), grid).item()
    assert found["global"].item() == pytest.approx(expected["global"], abs=1e-5)
    assert found["local"].item() == pytest.approx(expected["local"], abs=1e-5)
    total = expected["global"] + 0.5 * expected["local"]
    assert found["loss"].item() == pytest.approx(total, abs=1e-5)


def test_teacher_without_weight_in_the_mean_teaches_its_heads_nothing() -> None:
    task = DistillTask(CASES["vit-cls"].student(), LOSS, (5, 7), (1.0, 0.0))
    task(_batch(12))["loss"].backward()
    first, second = (
        sum(p.grad.abs().sum().item() for p in heads.parameters()) for heads in task.heads
    )
    assert first > 0
    assert second == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_batch_norms_keep_their_statistics_when_frozen(frozen: bool) -> None:
    student = CASES["mobilenet"].student()
    task = DistillTask(student, LOSS, (5,), freeze_norm=frozen).train()
    before = {name: value.clone() for name, value in student.named_buffers()}
    heads_before = task.heads[0].whole.layers[1].running_mean.clone()
    task(_batch(5, 128))["loss"].backward()
    same = [torch.equal(value, before[name]) for name, value in student.named_buffers()]
    assert all(same) is frozen
    assert not torch.equal(task.heads[0].whole.layers[1].running_mean, heads_before)
    assert all(p.grad is not None for p in student.parameters())


def test_teachers_lie_side_by_side_in_their_order() -> None:
    first = np.full((2, 4, 4, 2), 1, np.float16)
    second = np.arange(2 * 16 * 3, dtype=np.float16).reshape(2, 4, 4, 3)
    pairs = CachedPairs(np.zeros((2, 3, 64, 64), np.uint8), first, (), more=(second,))
    assert pairs.widths == (2, 3)
    grid = pairs.load([(1, FieldView())]).grid[0]
    assert grid.dtype == torch.float32
    np.testing.assert_array_equal(grid[..., :2], first[1])
    np.testing.assert_array_equal(grid[..., 2:], second[1])


def test_configuration_with_several_teachers(tmp_path: Path) -> None:
    text = """
        [data]
        fields = "fields"
        cache = "cache"
        [student]
        start = "mobilenetv1_100"
        [teacher]
        name = "Midnight-12k"
        folder = "weights"
        weight = 2
        [[more_teachers]]
        name = "local-dir:other"
        licence = "CC0-1.0"
        feature = "cls"
        [run]
        out = "out"
    """
    (tmp_path / "c.toml").write_text(text)
    first, second = load_distill_config(tmp_path / "c.toml").teachers
    assert (first.weight, second.weight) == (2, 1)
    assert first.spec().name == f"local-dir:{tmp_path.resolve() / 'weights'}"
    assert (first.spec().feature, first.spec().licence, first.spec().tile_px) == ("cls", "MIT", 224)
    assert second.spec().name == f"local-dir:{tmp_path.resolve() / 'other'}"
    assert (second.spec().feature, second.spec().licence) == ("cls", "CC0-1.0")
