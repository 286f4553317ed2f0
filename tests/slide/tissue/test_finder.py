"""Tissue: pale and dark is found; glass, pen, black and unscanned areas never are."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.errors import MppMissingError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import require_mpp
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import find_tissue, whole_slide
from tests.slides import GLASS, Pixels, draw_section, write_pyramid


def _write(path: Path, pixels: Pixels, mpp: float = 2.0) -> Path:
    return write_pyramid(path, pixels, mpp=mpp, factors=(1,))


def _ellipse() -> float:
    """Part of the picture that draw_section covers with tissue."""
    return float(np.pi * 0.32 * 0.36)


@pytest.mark.parametrize("name", ["pyramid_slide", "aperio_slide", "single_level_slide"])
def test_tissue_is_the_ellipse(name: str, request: pytest.FixtureRequest) -> None:
    mask = find_tissue(open_slide(request.getfixturevalue(name)))
    assert mask.method == "auto"
    assert mask.pixels.mean() == pytest.approx(_ellipse(), abs=0.02)
    height, width = mask.pixels.shape
    assert mask.pixels[height // 2, width // 2]
    assert not mask.pixels[:5].any()


def test_mask_is_about_8_um_and_spans_the_slide_exactly(aperio_slide: Path) -> None:
    slide = open_slide(aperio_slide)
    mask = find_tissue(slide)
    height, width = mask.pixels.shape
    assert width * mask.scale_x == pytest.approx(4096)
    assert height * mask.scale_y == pytest.approx(3072)
    assert mask.scale_x * require_mpp(slide).x == pytest.approx(8, rel=0.05)


def test_empty_slide_has_no_tissue(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for colour in [GLASS, (224, 223, 234), (240, 236, 228)]:
        picture = rng.normal(colour, 3, (1000, 1200, 3)).clip(0, 255).astype(np.uint8)
        assert not find_tissue(open_slide(_write(tmp_path / "glass.tiff", picture))).pixels.any()


def test_pale_tissue_is_tissue_beside_dark_tissue(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = np.full((1200, 1600, 3), 250, np.float32)
    picture[200:1000, 200:700] = (240, 214, 230)
    picture[200:1000, 900:1400] = (120, 70, 150)
    picture = (picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)
    mask = find_tissue(open_slide(_write(tmp_path / "pale.tiff", picture)))
    assert mask.fraction(Box(250, 250, 400, 700)) > 0.99
    assert mask.fraction(Box(950, 250, 400, 700)) > 0.99
    assert mask.fraction(Box(750, 250, 100, 700)) == 0


@pytest.mark.parametrize(
    "colour", [(20, 160, 70), (20, 60, 200), (30, 30, 35), (230, 20, 30), (0, 0, 0)]
)
def test_pen_and_black_are_no_tissue(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    picture = draw_section(1600, 1200).copy()
    picture[60:120, 100:1500] = colour
    mask = find_tissue(open_slide(_write(tmp_path / "pen.tiff", picture)))
    assert mask.fraction(Box(90, 50, 1420, 80)) == 0
    assert mask.pixels.mean() == pytest.approx(_ellipse(), abs=0.02)


def test_specks_and_holes_go_by_their_area(tmp_path: Path) -> None:
    picture = np.full((1200, 1600, 3), GLASS, np.uint8)
    picture[200:800, 200:800] = (200, 120, 170)
    picture[300:340, 300:340] = GLASS  # 80 µm: a lumen
    picture[500:700, 500:700] = GLASS  # 400 µm: glass
    picture[300:330, 1200:1230] = (200, 120, 170)  # 60 µm: dust
    picture[600:720, 1200:1320] = (200, 120, 170)  # 240 µm: a fragment
    mask = find_tissue(open_slide(_write(tmp_path / "a.tiff", picture)))
    assert mask.fraction(Box(310, 310, 20, 20)) == 1
    assert mask.fraction(Box(550, 550, 100, 100)) == 0
    assert mask.fraction(Box(1195, 295, 40, 40)) == 0
    assert mask.fraction(Box(1220, 620, 80, 80)) == 1


def test_unscanned_area_is_never_tissue(alpha_slide: Path, bounds_slide: Path) -> None:
    slide = open_slide(alpha_slide)
    assert whole_slide(slide).fraction(Box(0, 0, 990, 2000)) == 0
    assert whole_slide(slide).fraction(Box(1010, 0, 1900, 2000)) == 1
    assert find_tissue(slide).fraction(Box(0, 0, 990, 2000)) == 0
    slide = open_slide(bounds_slide)
    whole = whole_slide(slide)
    assert whole.fraction(slide.bounds) == pytest.approx(1, abs=0.02)
    assert whole.fraction(Box(0, 0, 6000, 1900)) == 0
    assert find_tissue(slide).fraction(slide.bounds) == pytest.approx(_ellipse(), abs=0.03)


def test_mpp_is_needed_and_may_be_given(no_mpp_slide: Path) -> None:
    with pytest.raises(MppMissingError):
        find_tissue(open_slide(no_mpp_slide))
    assert find_tissue(open_slide(no_mpp_slide, mpp=1.0)).pixels.any()
    assert whole_slide(open_slide(no_mpp_slide)).pixels.all()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "mpp", "low", "high"),
    [
        ("CMU-1-Small-Region.svs", None, 0.35, 0.45),
        ("lung-squamous-cell-carcinoma__HE3.tiff", None, 0.17, 0.21),
        ("tcga-cr-7395-01a-01-ts1.svs", 1.0, 0.58, 0.68),
        ("OS-2-ndpi.ome.tif", None, 0.75, 0.95),
        ("dicom-cmu-1-small-region", None, 0.35, 0.45),
    ],
)
def test_real_tissue(
    real_slides: Path, name: str, mpp: float | None, low: float, high: float
) -> None:
    mask = find_tissue(open_slide(real_slides / name, mpp))
    assert low < mask.pixels.mean() < high


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "low", "high"),
    # Pale bluish stroma, pale muscle, and a section without any glass.
    [("endometriosis__HE", 0.9, 0.99), ("rokitansky-aschoff-sinus__HE", 0.83, 0.92),
     ("myxoidliposarcoma__HE", 0.99, 1.01)],
)  # fmt: skip
def test_pale_and_glassless_sections(real_data: Path, name: str, low: float, high: float) -> None:
    mask = find_tissue(open_slide(real_data / "atlas" / f"{name}.tiff"))
    assert low < mask.pixels.mean() < high
