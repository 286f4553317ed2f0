"""Changes of tiles: turns move cells with their pixels, stains change as in hand calculation."""

import math

import numpy as np
import pytest
import torch

from napari_xmag.train.augment import TileChange, draw_view, turned
from napari_xmag.train.config import AugmentConfig


def plain_view(tiles: int, **changes: object) -> TileChange:
    values = {
        "turns": np.zeros(tiles, np.int64),
        "factors": torch.ones(1, 3),
        "offsets": torch.zeros(1, 3),
        "blur": 0.0,
    }
    return TileChange(**{**values, **changes})


def test_the_eight_turns_of_a_square() -> None:
    square = torch.tensor([[1, 2], [3, 4]])
    found = turned(square.expand(8, 2, 2), np.arange(8)).tolist()
    assert found[0] == [[1, 2], [3, 4]]
    assert found[1] == [[2, 4], [1, 3]]  # a quarter turn to the left
    assert found[2] == [[4, 3], [2, 1]]
    assert found[4] == [[2, 1], [4, 3]]  # mirrored
    assert len({str(one) for one in found}) == 8


def test_cells_are_turned_with_their_tiles() -> None:
    """A dark cell is where the view says that this cell has gone."""
    pixels = torch.full((8, 3, 8, 8), 255, dtype=torch.uint8)
    pixels[:, :, 0:4, 4:8] = 0  # the upper right cell
    tissue = torch.tensor([[False, True, False, False]]).expand(8, 4)
    order = np.array([7, 6, 5, 4, 3, 2, 1, 0])
    view = plain_view(8, turns=np.arange(8))
    images, cells = view.images(pixels, order), view.cells(tissue, order)
    dark = torch.nn.functional.avg_pool2d(images[:, 0], 4).flatten(1) == 0
    assert torch.equal(dark, cells)
    assert len({tuple(row) for row in cells.tolist()}) == 4


def test_stains_change_as_by_hand() -> None:
    """Twice the haematoxylin of a pixel that holds nothing else is its colour squared."""
    color = [math.exp(-0.65), math.exp(-0.70), math.exp(-0.29)]
    pixels = (torch.tensor(color) * 255).round().to(torch.uint8).view(1, 3, 1, 1)
    view = plain_view(1, factors=torch.tensor([[2.0, 1.0, 1.0]]))
    found = view.images(pixels, np.array([0]))[0, :, 0, 0]
    assert found.tolist() == pytest.approx([value**2 for value in color], abs=0.01)
    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    assert view.images(white, np.array([0])).flatten().tolist() == pytest.approx([1, 1, 1])


def test_blur_spreads_and_keeps_the_sum() -> None:
    pixels = torch.zeros(1, 3, 21, 21, dtype=torch.uint8)
    pixels[:, :, 10, 10] = 255
    found = plain_view(1, blur=1.0).images(pixels, np.array([0]))[0, 0]
    assert found.sum().item() == pytest.approx(1, rel=1e-4)
    assert found[10, 10].item() == pytest.approx(1 / (2 * math.pi), rel=0.02)


def test_a_view_is_one_for_the_slide_and_the_same_for_a_seed() -> None:
    config = AugmentConfig(stain=0.2, blur_share=1.0)
    one, again, other = (draw_view(config, 50, (0, epoch, 3)) for epoch in (1, 1, 2))
    assert one.factors.shape == (1, 3)
    assert torch.equal(one.factors, again.factors)
    assert one.turns.tolist() == again.turns.tolist() != other.turns.tolist()
    assert one.blur == again.blur != other.blur
    assert set(one.turns.tolist()) == set(range(8))
    assert (one.factors - 1).abs().max() <= 0.2


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    config = AugmentConfig(turns=False, stain=0.0, blur_share=0.0)
    pixels = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    found = draw_view(config, 4, (0, 0, 0)).images(pixels, np.arange(4))
    assert torch.equal(found, pixels.float() / 255)
