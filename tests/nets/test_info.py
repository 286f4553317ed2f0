"""What a model states of itself, and the range of its training slides."""

import numpy as np
import pytest

from napari_xmag.errors import ModelError
from napari_xmag.nets.info import ModelInfo, TrainingRange

DIM = 32


def _slide(rng: np.random.Generator, tiles: int = 60, offset: float = 0.0) -> np.ndarray:
    """Tiles that vary by 1 around a slide's own centre, centres vary by 0.5."""
    center = offset + 0.5 * rng.normal(size=DIM)
    return center + rng.normal(size=(tiles, DIM))


def _range(slides: int = 12) -> TrainingRange:
    rng = np.random.default_rng(0)
    return TrainingRange.fit([_slide(rng) for _ in range(slides)])


@pytest.mark.parametrize("slides", [3, 12, 80])
def test_slides_like_the_training_slides_are_rarely_flagged(slides: int) -> None:
    """By chance at most about one in (slides + 1) should be; that is for slides of any size."""
    trained, rng = _range(slides), np.random.default_rng(1)
    for tiles in (5, 60, 2000):
        distances = np.array([trained.distance(_slide(rng, tiles)) for _ in range(200)])
        assert (distances > trained.limit).mean() <= 1 / (slides + 1) + 0.05
        assert 0.5 < np.median(distances) < 1.5


@pytest.mark.parametrize("slides", [3, 12, 80])
def test_other_slides_are_flagged(slides: int) -> None:
    trained, rng = _range(slides), np.random.default_rng(2)
    distances = [trained.distance(_slide(rng, offset=3.0)) for _ in range(50)]
    assert min(distances) > trained.limit


def test_distance_can_be_had_from_the_mean_alone() -> None:
    trained, features = _range(), _slide(np.random.default_rng(3))
    assert trained.distance_from_mean(features.mean(0), len(features)) == pytest.approx(
        trained.distance(features)
    )


def test_dimensions_that_never_moved_do_not_blow_up() -> None:
    rng = np.random.default_rng(4)
    slides = [np.zeros((20, DIM)) for _ in range(5)]
    for slide in slides:
        slide[:, 0] = rng.normal()
    trained = TrainingRange.fit(slides)
    assert np.isfinite(trained.limit)
    assert trained.distance(slides[0]) <= trained.limit


def test_two_slides_are_too_few() -> None:
    with pytest.raises(ModelError, match="at least 3 training slides"):
        _range(2)


def test_temperature_softens_the_calibrated_probabilities_only() -> None:
    info = ModelInfo("m", "M", ("a", "b"), 2.0, 64, temperature=2.0)
    raw, calibrated = info.probabilities([0.0, 2.0])
    np.testing.assert_allclose(raw, [0.1192029, 0.8807971], rtol=1e-6)
    np.testing.assert_allclose(calibrated, [0.2689414, 0.7310586], rtol=1e-6)


def test_huge_logits_give_probabilities() -> None:
    raw, _ = ModelInfo("m", "M", ("a", "b"), 2.0, 64).probabilities([1e4, -1e4])
    np.testing.assert_array_equal(raw, [1, 0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": ("one",)},
        {"classes": ("same", "same")},
        {"mpp": 0.0},
        {"mpp": float("nan")},
        {"tile_px": 0},
        {"temperature": -1.0},
        {"threshold": 0.0},
        {"threshold": float("nan")},
        {"classes": ("a", "b", "c"), "threshold": 0.6},
    ],
)
def test_impossible_descriptions_are_refused(wrong: dict[str, object]) -> None:
    good = {"name": "m", "display_name": "M", "classes": ("a", "b"), "mpp": 2.0, "tile_px": 64}
    with pytest.raises(ModelError):
        ModelInfo(**(good | wrong))  # type: ignore[arg-type]
