"""The losses, against values worked out by hand."""

import math

import pytest
import torch

from napari_xmag.distill.losses import ProjectionHead, cosine_loss, global_loss, local_loss


def test_cosine_loss_of_known_angles() -> None:
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    other = torch.tensor([[3.0, 0.0], [0.0, 5.0], [1.0, 1.0]])  # 0°, 90°, 45°
    assert cosine_loss(one, other).item() == pytest.approx(1 - (1 + 0 + math.sqrt(0.5)) / 3)


def test_global_loss_compares_with_the_mean_tile() -> None:
    grid = torch.zeros(1, 4, 4, 2)
    grid[0, :2] = torch.tensor([4.0, 0.0])  # upper half
    grid[0, 2:] = torch.tensor([0.0, 4.0])  # the mean is (2, 2)
    assert global_loss(torch.tensor([[7.0, 7.0]]), grid).item() == pytest.approx(0, abs=1e-6)
    assert global_loss(torch.tensor([[1.0, 0.0]]), grid).item() == pytest.approx(
        1 - math.sqrt(0.5), abs=1e-6
    )


def test_local_loss_compares_each_cell_with_its_own_tile() -> None:
    grid = torch.eye(16).view(1, 4, 4, 16)
    assert local_loss(3 * grid, grid).item() == pytest.approx(0, abs=1e-6)
    # Rows and columns exchanged: only the four cells of the diagonal still agree.
    assert local_loss(grid.transpose(1, 2), grid).item() == pytest.approx(1 - 4 / 16, abs=1e-6)


def test_projection_keeps_the_shape_before_the_last_axis() -> None:
    head = ProjectionHead(6, 9)
    assert head(torch.rand(5, 6)).shape == (5, 9)
    cells = torch.rand(5, 4, 4, 6)
    head.eval()
    torch.testing.assert_close(head(cells)[3, 1, 2], head(cells[3, 1, 2][None])[0])
