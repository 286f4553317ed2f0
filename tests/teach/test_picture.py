"""A taught map lies on its tissue, and on nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.nets.heads.patch_classifier import Classified
from napari_xmag.slide.tissue import TissueChoice, TissueMask
from napari_xmag.teach.picture import MapGround, class_picture, likeness_picture

RED, BLUE = (200, 0, 0), (0, 0, 200)


@dataclass
class Grid:
    """Three patches of 64 level-0 pixels in two rows and columns; one place is glass."""

    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    shape: tuple[int, int] = (2, 2)
    stride_x: float = 64.0
    stride_y: float = 64.0
    origin_x: float = 8.0
    origin_y: float = 16.0


def grid() -> Grid:
    """Return patches at (0, 0), (1, 0) and (0, 1)."""
    return Grid(np.array([0, 1, 0]), np.array([0, 0, 1]))


def mask_of(pixels: NDArray[np.bool_]) -> TissueMask:
    """Return a mask of eight level-0 pixels a pixel."""
    return TissueMask(pixels, 8.0, 8.0, TissueChoice.PAINTED)


def classified(probabilities: list[list[float]], distance: list[float]) -> Classified:
    return Classified(np.array(probabilities, np.float32), np.array(distance, np.float32))


def test_each_pixel_shows_the_patch_under_its_middle() -> None:
    ground = MapGround.of(grid(), mask_of(np.ones((20, 20), bool)))
    for row in range(20):
        for column in range(20):
            x, y = (column + 0.5) * 8, (row + 0.5) * 8
            place = (int((x - 8) // 64), int((y - 16) // 64))
            expected = {(0, 0): 0, (1, 0): 1, (0, 1): 2}.get(place, -1)
            assert ground.patch[row, column] == expected, (row, column)


def test_glass_has_no_colour() -> None:
    tissue = np.zeros((20, 20), bool)
    tissue[3:6, 2:5] = True
    ground = MapGround.of(grid(), mask_of(tissue))
    known = classified([[1, 0], [0, 1], [1, 0]], [0, 0, 0])
    picture = class_picture(ground, known, [RED, BLUE])
    np.testing.assert_array_equal(picture[..., 3] > 0, tissue)
    assert (picture[tissue][:, :3] == RED).all()


def test_the_surer_the_stronger_and_what_is_unlike_is_hatched() -> None:
    ground = MapGround.of(grid(), mask_of(np.ones((20, 20), bool)))
    known = classified([[0.5, 0.5], [0.1, 0.9], [0.9, 0.1]], [0.5, 0.5, 1.5])
    picture = class_picture(ground, known, [RED, BLUE])
    unsure, sure = (picture[ground.patch == patch][0] for patch in (0, 1))
    assert tuple(sure[:3]) == BLUE
    assert 0 < unsure[3] < sure[3]
    unlike = picture[ground.patch == 2]
    assert {tuple(color) for color in unlike[:, :3]} == {(0, 0, 0), (90, 90, 90)}
    assert 0 < (unlike[:, 3] > 0).mean() < 0.5


def test_likeness_goes_from_faint_to_strong() -> None:
    ground = MapGround.of(grid(), mask_of(np.ones((20, 20), bool)))
    picture = likeness_picture(ground, np.array([1.0, 0.0, -1.0], np.float32))
    same, none, opposite = (picture[ground.patch == patch][0] for patch in range(3))
    assert same[3] == 255
    assert none[3] < 128
    assert tuple(none) == tuple(opposite)
    assert same[0] > same[2]
    assert none[2] > none[0]


def test_a_huge_mask_is_drawn_coarser_at_the_same_place() -> None:
    tissue = np.ones((4000, 4000), bool)
    wide = Grid(np.arange(500), np.zeros(500, int), (500, 500), origin_x=0.0, origin_y=0.0)
    ground = MapGround.of(wide, mask_of(tissue))
    assert ground.patch.size <= 4_100_000
    shown = np.flatnonzero((ground.patch == 250).any(0))
    left, right = shown.min() * ground.scale_x, (shown.max() + 1) * ground.scale_x
    assert abs(left - 250 * 64) <= ground.scale_x
    assert abs(right - 251 * 64) <= ground.scale_x
