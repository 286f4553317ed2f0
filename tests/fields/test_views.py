"""Views keep every cell with its own tile, are the same at every scale, and repeat."""

import pytest
import torch
from torch import Tensor

from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.fields.views import FieldView


def numbered() -> tuple[Tensor, Tensor]:
    """A view whose 4×4 parts hold their own number, and the grid of the same numbers."""
    numbers = torch.arange(16, dtype=torch.uint8).view(4, 4)
    view = numbers.repeat_interleave(8, 0).repeat_interleave(8, 1).expand(3, 32, 32)
    return view, numbers.float().unsqueeze(-1)


def cells(view: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(view.float(), 8)[0].unsqueeze(-1)


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_pixels_and_grid_move_alike(horizontal: bool, vertical: bool) -> None:
    pixels, grid = numbered()
    view = FieldView(horizontal, vertical)
    torch.testing.assert_close(cells(view.pixels(pixels)), view.grid(grid))


def test_flips_are_the_named_ones() -> None:
    assert FieldView(horizontal=True).grid(numbered()[1])[0, :, 0].tolist() == [3, 2, 1, 0]
    assert FieldView(vertical=True).grid(numbered()[1])[:, 0, 0].tolist() == [12, 8, 4, 0]


def test_views_follow_from_their_seed_alone() -> None:
    config = ViewConfig()
    views = [FieldView.drawn(config, 0, 3, row, 1) for row in range(200)]
    torch.manual_seed(9)
    assert views == [FieldView.drawn(config, 0, 3, row, 1) for row in range(200)]
    assert len(set(views)) > 100  # those without colours are only of four kinds
    assert 70 < sum(view.horizontal for view in views) < 130
    assert 70 < sum(view.vertical for view in views) < 130
    assert 70 < sum(bool(view.colors) for view in views) < 130


def test_changes_of_colour_are_within_their_bounds() -> None:
    config = ViewConfig(color=0.05, color_probability=1.0)
    for row in range(50):
        changes = dict(FieldView.drawn(config, row).colors)
        assert sorted(changes) == ["brightness", "contrast", "hue", "saturation"]
        assert abs(changes.pop("hue")) <= 0.05
        assert all(0.95 <= factor <= 1.05 for factor in changes.values())


def test_colour_changes_pixels_and_not_the_grid() -> None:
    pixels = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
    view = FieldView.drawn(ViewConfig(flips=0, color_probability=1.0), 0)
    jittered, grid = view.pixels(pixels), torch.rand(4, 4, 2)
    assert jittered.dtype == torch.uint8
    assert not torch.equal(jittered, pixels)
    assert (jittered.float() - pixels.float()).abs().mean() < 30
    assert torch.equal(view.grid(grid), grid)


def test_colour_is_the_same_at_both_scales() -> None:
    colors = torch.randint(40, 200, (3, 4, 4), dtype=torch.uint8)
    small = colors.repeat_interleave(8, 1).repeat_interleave(8, 2)
    large = colors.repeat_interleave(32, 1).repeat_interleave(32, 2)
    view = FieldView.drawn(ViewConfig(flips=1.0, color=0.2, color_probability=1.0), 4)
    fine = torch.nn.functional.avg_pool2d(view.pixels(large).float(), 32)
    coarse = torch.nn.functional.avg_pool2d(view.pixels(small).float(), 8)
    torch.testing.assert_close(fine, coarse, atol=1.0, rtol=0)
    assert not torch.equal(view.pixels(small), small)


def test_elsewhere_changes_what_the_student_sees_alone() -> None:
    pixels = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
    view = FieldView.drawn(ViewConfig(scanner_shift=1.0), 0)
    assert view == FieldView.drawn(ViewConfig(scanner_shift=1.0), 0)
    assert torch.equal(view.pixels(pixels), FieldView.drawn(ViewConfig(), 0).pixels(pixels))
    seen = view.student(pixels)
    assert seen.dtype == torch.uint8
    assert seen.shape == pixels.shape
    assert not torch.equal(seen, view.pixels(pixels))


def test_elsewhere_blurs_and_stains_as_far_as_told() -> None:
    noise = torch.randint(60, 200, (3, 64, 64), dtype=torch.uint8)
    plain = ViewConfig(flips=0, color_probability=0)

    def student(**settings: float) -> torch.Tensor:
        config = plain.model_copy(update={"scanner_shift": 1.0, **settings})
        return FieldView.drawn(config, 1).student(noise).float()

    assert (student(stain=0.0, blur=0.0) - noise).abs().max() <= 1  # deconvolved and mixed again
    blurry = student(stain=0.0, blur=2.0)
    assert blurry.std() < 0.8 * noise.float().std()
    assert (blurry.mean((1, 2)) - noise.float().mean((1, 2))).abs().max() < 2
    assert (student(stain=0.2, blur=0.0) - noise).abs().mean() > 3


def test_a_share_of_views_is_from_elsewhere() -> None:
    views = [FieldView.drawn(ViewConfig(scanner_shift=0.25), row) for row in range(400)]
    assert 70 < sum(view.scanner_shift is not None for view in views) < 130
