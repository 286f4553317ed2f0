"""Flips keep every cell with its own tile."""

import pytest
import torch
from torch import Tensor

from napari_xmag.distill.augment import Augment, flip


def numbered() -> tuple[Tensor, Tensor]:
    """A view whose 4×4 parts hold their own number, and the grid of the same numbers."""
    numbers = torch.arange(16, dtype=torch.uint8).view(4, 4)
    view = numbers.repeat_interleave(8, 0).repeat_interleave(8, 1).expand(3, 32, 32)
    return view, numbers.float().unsqueeze(-1)


def cells(view: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(view.float(), 8)[0].unsqueeze(-1)


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_flip_moves_pixels_and_grid_alike(horizontal: bool, vertical: bool) -> None:
    view, grid = flip(*numbered(), horizontal=horizontal, vertical=vertical)
    torch.testing.assert_close(cells(view), grid)


def test_flip_is_the_named_one() -> None:
    _, grid = flip(*numbered(), horizontal=True, vertical=False)
    assert grid[0, :, 0].tolist() == [3, 2, 1, 0]
    _, grid = flip(*numbered(), horizontal=False, vertical=True)
    assert grid[:, 0, 0].tolist() == [12, 8, 4, 0]


def test_random_views_keep_cells_with_their_tiles_and_differ() -> None:
    torch.manual_seed(0)
    augment = Augment(flips=0.5, color=0.0, color_probability=0.0)
    first = set()
    for _ in range(40):
        view, grid = augment(*numbered())
        torch.testing.assert_close(cells(view), grid)
        first.add(int(grid[0, 0, 0]))
    assert first == {0, 3, 12, 15}


def test_color_changes_the_view_and_not_the_grid() -> None:
    torch.manual_seed(0)
    view = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
    grid = torch.rand(4, 4, 2)
    jittered, same = Augment(flips=0.0, color=0.05, color_probability=1.0)(view, grid)
    assert jittered.dtype == torch.uint8
    assert not torch.equal(jittered, view)
    assert (jittered.float() - view.float()).abs().mean() < 30
    assert torch.equal(same, grid)
