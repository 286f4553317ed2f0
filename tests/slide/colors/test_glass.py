"""RGB and YCbCr are told apart by what is seen, whatever the stain; a right label is never lost."""

import imagecodecs
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_xmag.slide.colors import glass
from napari_xmag.slide.colors.glass import Judged, decide_color_space
from tests.slide.colors.test_stored import to_ycbcr
from tests.slides import Color, Pixels

# Nuclei, and two colours that share the rest: red beside green or blue is what misleads.
STAINS: dict[str, tuple[Color, Color, Color]] = {
    "Masson green": ((60, 40, 60), (210, 75, 70), (70, 150, 130)),
    "Mallory": ((120, 30, 40), (225, 90, 60), (80, 110, 190)),
    "safranin and fast green": ((60, 60, 70), (220, 60, 60), (80, 160, 150)),
    "AEC": ((90, 100, 160), (200, 60, 40), (200, 110, 90)),
    "H&E": ((90, 70, 150), (225, 150, 190), (230, 170, 200)),
}
SEEDS = (2, 4, 5, 6)


def stain(colors: tuple[Color, Color, Color], seed: int) -> Pixels:
    """Return 256 × 256 px of tissue without glass; light passes as Beer and Lambert say."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.normal(size=(256, 256)), width) for width in (6, 8, 24)]
    nuclei, body, mix = ((field - field.min()) / np.ptp(field) for field in fields)
    mix, body = np.clip(3 * mix - 1, 0, 1), 0.55 + 0.3 * body
    amounts = np.stack([np.clip(2 * nuclei - 1.2, 0, 1), body * mix, body * (1 - mix)], axis=2)
    return np.rint(255 * np.exp(amounts @ np.log(np.array(colors) / 255))).astype(np.uint8)


def tiles(pixels: Pixels) -> list[Pixels]:
    return [pixels[y : y + 128, x : x + 128] for y in (0, 128) for x in (0, 128)]


@pytest.mark.parametrize("name", STAINS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_label_is_kept_in_any_stain(name: str, seed: int) -> None:
    pixels = stain(STAINS[name], seed)
    assert not decide_color_space(tiles(pixels), labelled_ycbcr=False).is_ycbcr
    assert decide_color_space(tiles(to_ycbcr(pixels)), labelled_ycbcr=True).is_ycbcr


@pytest.mark.parametrize("name", ["Mallory", "AEC"])
def test_vivid_tissue_is_rgb_whatever_the_label(name: str) -> None:
    """Taken for YCbCr it would have colours that do not exist."""
    pixels = stain(STAINS[name], seed=5)
    assert decide_color_space(tiles(pixels), labelled_ycbcr=True) == Judged(False, True)
    assert decide_color_space(tiles(pixels), labelled_ycbcr=False) == Judged(False, True)


@pytest.mark.parametrize("quality", [20, 60])
def test_the_loss_of_jpeg_does_not_make_ycbcr_rgb(quality: int) -> None:
    pixels = stain(STAINS["Masson green"], seed=5)
    stream = imagecodecs.jpeg8_encode(
        pixels, quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"
    )
    stored = imagecodecs.jpeg8_decode(stream, colorspace="YCBCR", outcolorspace="YCBCR")
    assert decide_color_space(tiles(stored), labelled_ycbcr=True).is_ycbcr


def test_what_was_never_scanned_tells_nothing() -> None:
    """Scanners fill with zeros, which as YCbCr would be a green that does not exist."""
    stored = to_ycbcr(stain(STAINS["H&E"], seed=5)).copy()
    stored[:, :128] = 0
    assert decide_color_space(tiles(stored), labelled_ycbcr=True).is_ycbcr
    assert decide_color_space(tiles(np.zeros_like(stored)), labelled_ycbcr=True) == Judged(
        True, False
    )


def test_neutral_glass_overturns_a_label_of_rgb_and_tinted_glass_does_not() -> None:
    pixels = stain(STAINS["H&E"], seed=5)
    pixels[:, :96] = 225
    assert decide_color_space(tiles(to_ycbcr(pixels)), labelled_ycbcr=False) == Judged(True, True)
    pixels[:, :96] = (225, 210, 170)
    assert decide_color_space(tiles(to_ycbcr(pixels)), labelled_ycbcr=False) == Judged(False, False)


def test_even_salmon_with_a_few_nuclei_is_not_neutral_glass() -> None:
    rng = np.random.default_rng(4)
    pixels = np.rint(rng.normal((220, 130, 131), 2, (256, 256, 3))).astype(np.uint8)
    for y, x in np.ndindex(4, 4):
        pixels[64 * y + 20 : 64 * y + 27, 64 * x + 20 : 64 * x + 27] = (60, 60, 70)
    assert decide_color_space(tiles(pixels), labelled_ycbcr=False) == Judged(False, False)
    assert not decide_color_space(tiles(pixels), labelled_ycbcr=True).sure


@pytest.mark.parametrize("quality", [30, 75])
def test_glass_is_known_through_the_loss_of_jpeg(quality: int) -> None:
    pixels = stain(STAINS["H&E"], seed=5)
    pixels[:, :96] = 240
    stream = imagecodecs.jpeg8_encode(
        to_ycbcr(pixels), quality, colorspace="RGB", outcolorspace="RGB", subsampling="444"
    )
    stored = imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB")
    assert decide_color_space(tiles(stored), labelled_ycbcr=False) == Judged(True, True)


def test_blocks_with_edges_are_told_from_smooth_ones() -> None:
    """Half of the pixels of a block lie above its mean, the others as far below."""
    apart = np.array([[5, 7], [0, 60]]).repeat(8, 0).repeat(8, 1)[..., None] * np.ones(3, int)
    apart[8:, 8:, :2] = 0  # an edge in one component is one
    sign = np.where(np.indices((16, 16)).sum(0) % 2, 1, -1)[..., None]
    picture = (100 + sign * apart).astype(np.uint8)
    means, even = glass._blocks(np.pad(picture, ((0, 3), (0, 5), (0, 0))))
    np.testing.assert_array_equal(means, np.full((4, 3), 100))
    assert even.tolist() == [True, False, True, False]
