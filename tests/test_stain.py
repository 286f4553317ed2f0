"""Stains apart and together again."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2hed
from skimage.data import immunohistochemistry

from napari_xmag.stain import (
    HED,
    change_stains,
    draw_stain_changes,
    hed_to_rgb,
    rgb_to_hed,
)


def picture() -> torch.Tensor:
    pixels = np.asarray(immunohistochemistry()[:64, :48])
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255


def test_there_and_back() -> None:
    rgb = torch.stack([picture(), torch.rand(3, 64, 48, generator=torch.manual_seed(0))])
    back = hed_to_rgb(rgb_to_hed(rgb))
    assert (back - rgb.clamp_min(1 / 255)).abs().max() < 1e-5


def test_a_pure_stain_has_the_published_color() -> None:
    for stain, density in enumerate(HED):
        hed = torch.zeros(3, 1, 1)
        hed[stain] = 2.0
        expected = [math.exp(-2.0 * part) for part in density]
        assert hed_to_rgb(hed).flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_stains_are_those_of_scikit_image_up_to_its_unit_and_its_clipping() -> None:
    ours = rgb_to_hed(picture()).permute(1, 2, 0).numpy()
    theirs = rgb2hed(picture().permute(1, 2, 0).numpy()) * -math.log(1e-6)
    assert np.allclose(ours.clip(0), theirs, atol=2e-3)


def test_white_holds_no_stain_and_black_is_finite() -> None:
    assert rgb_to_hed(torch.ones(3, 2, 2)).abs().max() == 0
    assert rgb_to_hed(torch.zeros(3, 2, 2)).isfinite().all()


def test_more_haematoxylin_darkens_as_its_densities_say() -> None:
    rgb = torch.full((1, 3, 1, 1), 0.5)
    offsets = torch.tensor([[0.1, 0.0, 0.0]])
    changed = change_stains(rgb, torch.ones(1, 3), offsets)
    expected = [0.5 * math.exp(-0.1 * part) for part in HED[0]]
    assert changed.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_no_change_gives_the_picture_back() -> None:
    rgb = picture()[None]
    assert (change_stains(rgb, torch.ones(1, 3), torch.zeros(1, 3)) - rgb).abs().max() < 1e-5


def test_each_picture_has_its_own_change_and_the_seed_repeats_it() -> None:
    factors, offsets = draw_stain_changes(2000, 0.2, torch.manual_seed(3))
    assert factors.shape == offsets.shape == (2000, 3)
    assert 0.8 <= factors.min() < 0.81
    assert 1.19 < factors.max() <= 1.2
    assert -0.2 <= offsets.min() < -0.19
    assert 0.19 < offsets.max() <= 0.2
    again = draw_stain_changes(2000, 0.2, torch.manual_seed(3))
    assert torch.equal(again[0], factors)
    assert torch.equal(again[1], offsets)


def test_half_precision_around_it_changes_nothing() -> None:
    plain = rgb_to_hed(picture())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rgb_to_hed(picture()), plain)
