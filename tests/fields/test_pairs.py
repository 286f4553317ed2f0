"""Pairs from the cache and online: whatever the view, each cell has its own tile."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_xmag.errors import ConfigError
from napari_xmag.fields.pairs import OnlinePairs, PairBatch, Pairs
from napari_xmag.fields.store import FieldStore
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.fields.views import FieldView
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teachers.teacher import field_features
from tests.fields.colors import SPEC, field, mean_color, records, run

CPU = torch.device("cpu")
FLIPS = [
    FieldView(horizontal, vertical) for horizontal in (False, True) for vertical in (False, True)
]


def pairs(folder: Path, kind: str) -> Pairs:
    rows = records(folder)
    if kind == "cached":
        return run(folder, rows, mean_color()[1])
    return OnlinePairs(FieldStore(folder, rows), (mean_color()[1],), SPEC)


def batch(source: Pairs, *items: tuple[int, FieldView]) -> PairBatch:
    return source.batch(source.load(items), CPU)


def seen(views: Tensor) -> Tensor:
    """The colour of each cell of views as (B, 4, 4, 3) in 0…1."""
    return views[:, :, 4::8, 4::8].permute(0, 2, 3, 1) / 255


@pytest.mark.parametrize("kind", ["cached", "online"])
def test_each_cell_has_its_own_tile(tmp_path: Path, kind: str) -> None:
    source = pairs(tmp_path, kind)
    found = batch(source, *((row, FieldView()) for row in range(3)))
    for row in range(3):
        colors = field(row)[16::32, 16::32] / 255
        np.testing.assert_allclose(found.grid[row].numpy(), colors, atol=0.02)
        np.testing.assert_allclose(seen(found.views)[row], colors, atol=0.03)
    np.testing.assert_allclose(source.mean(1), field(1).mean((0, 1)) / 255, atol=0.01)
    assert source.widths == (3,)


@pytest.mark.parametrize("kind", ["cached", "online"])
def test_each_cell_has_its_own_tile_in_mirrored_views(tmp_path: Path, kind: str) -> None:
    found = batch(pairs(tmp_path, kind), *((1, view) for view in FLIPS))
    colors = field(1)[16::32, 16::32] / 255
    for number, view in enumerate(FLIPS):
        mirrored = colors[:: -1 if view.vertical else 1, :: -1 if view.horizontal else 1]
        np.testing.assert_allclose(found.grid[number].numpy(), mirrored, atol=0.02)
        np.testing.assert_allclose(seen(found.views)[number], mirrored, atol=0.03)


def test_the_online_teacher_sees_the_colours_that_the_student_sees(tmp_path: Path) -> None:
    view = FieldView.drawn(ViewConfig(flips=1.0, color=0.2, color_probability=1.0), 2)
    found = batch(pairs(tmp_path, "online"), (0, view), (2, FieldView()))
    np.testing.assert_allclose(seen(found.views), found.grid, atol=0.03)
    plain = field(0)[16::32, 16::32][::-1, ::-1] / 255
    assert np.abs(found.grid[0].numpy() - plain).max() > 0.03
    cached = batch(pairs(tmp_path, "cached"), (0, view))
    np.testing.assert_allclose(cached.grid[0].numpy(), plain, atol=0.02)


def test_online_targets_of_two_teachers_lie_side_by_side(tmp_path: Path) -> None:
    network, second = mean_color()
    torch.nn.init.constant_(network.gain, 2.0)
    store = FieldStore(tmp_path, records(tmp_path))
    source = OnlinePairs(store, (mean_color()[1], second), SPEC)
    grid = batch(source, (0, FieldView())).grid
    assert source.widths == (3, 3)
    torch.testing.assert_close(grid[..., 3:], 2 * grid[..., :3])
    assert not grid.is_inference()


def test_online_fields_of_another_size_are_refused(tmp_path: Path) -> None:
    store = FieldStore(tmp_path, records(tmp_path))
    source = OnlinePairs(store, (mean_color()[1],), StudentSpec(mpp=2.0, tile_px=64))
    with pytest.raises(ConfigError, match="--field-px 256"):
        source.load([(0, FieldView())])


def test_field_features_row_and_column() -> None:
    pixels = torch.zeros(3, 64, 64, dtype=torch.uint8)
    pixels[0, 16:32, 48:64] = 255  # row 1, column 3
    grid = field_features(mean_color()[1], pixels)
    assert grid.shape == (4, 4, 3)
    assert grid[1, 3, 0] == 1
    assert grid.sum() == 1
    several = torch.stack([pixels, torch.zeros_like(pixels), pixels.transpose(1, 2)])
    grids = field_features(mean_color()[1], several)
    assert torch.equal(grids[0], grid)
    assert grids[1].sum() == 0
    assert grids[2, 3, 1, 0] == 1
