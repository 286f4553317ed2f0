"""Changes of pictures: by how much, and the same each time."""

import numpy as np
import pytest
from skimage.data import immunohistochemistry

from napari_xmag.evaluate.config import ShiftsConfig
from napari_xmag.evaluate.shifts import Kind, Shift, shifts

PICTURE = np.asarray(immunohistochemistry()[:96, :80])


def change(kind: Kind, strength: float, seed: int = 0, mpp: float = 0.5) -> np.ndarray:
    return Shift(kind, strength, seed)(PICTURE, mpp)


@pytest.mark.parametrize(
    ("kind", "mild", "strong"),
    [("stain", 0.02, 0.3), ("blur", 0.3, 2), ("jpeg", 90, 10), ("brightness", 0.02, 0.3)],
)
def test_stronger_changes_more_and_the_same_each_time(
    kind: Kind, mild: float, strong: float
) -> None:
    little, much = change(kind, mild), change(kind, strong)
    assert little.dtype == np.uint8
    assert little.shape == PICTURE.shape
    moved = [np.abs(one.astype(int) - PICTURE).mean() for one in (little, much)]
    assert 0 < moved[0] < moved[1]
    assert np.array_equal(change(kind, strong), much)


def test_what_is_drawn_depends_on_seed_and_picture() -> None:
    assert not np.array_equal(change("stain", 0.2), change("stain", 0.2, seed=1))
    signs = {
        bool(Shift("brightness", 0.1)(np.roll(PICTURE, n, 0), 1).mean() > PICTURE.mean())
        for n in range(8)
    }
    assert signs == {True, False}


def test_brightness_and_contrast_by_hand() -> None:
    flat = np.full((4, 4, 3), 100, np.uint8)
    assert set(np.unique(Shift("brightness", 0.2)(flat, 1))) <= {80, 120}
    assert np.array_equal(Shift("contrast", 0.2)(flat, 1), flat)
    halves = np.repeat(np.array([100, 140], np.uint8), 24).reshape(4, 4, 3)
    assert tuple(np.unique(Shift("contrast", 0.5)(halves, 1))) in {(110, 130), (90, 150)}


def test_blur_is_in_micrometres() -> None:
    edge = np.zeros((80, 80, 3), np.uint8)
    edge[:, 40:] = 255
    # At one standard deviation from an edge a Gaussian reaches 84 %.
    for mpp, deviation in ((0.5, 8), (1.0, 4)):
        row = Shift("blur", 4.0)(edge, mpp)[40, :, 0] / 255
        at = np.interp(39.5 + deviation, np.arange(80), row)
        assert at == pytest.approx(0.8413, abs=0.01)


def test_shifts_of_the_settings() -> None:
    found = shifts(ShiftsConfig(stain=(0.1,), blur=(), jpeg=(30, 10), brightness=()), seed=3)
    names = [shift.name for shift in found]
    assert names == ["stain 0.1", "jpeg 30", "jpeg 10", "contrast 0.1", "contrast 0.2"]
    assert {shift.seed for shift in found} == {3}
