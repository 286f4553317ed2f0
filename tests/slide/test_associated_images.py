"""Label and macro picture beside a slide, read on request."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.slide.associated_images import read_associated_images
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.small_picture import small_picture
from tests.slides import TILE, draw_section, shrink

LABEL, MACRO = (40, 200, 60), (200, 60, 40)


def plain(color: tuple[int, int, int], width: int, height: int) -> np.ndarray:
    """Return one colour, uint8 (height, width, 3)."""
    return np.full((height, width, 3), color, np.uint8)


def write_with_label(path: Path, level: str, aside: str) -> Path:
    """Write a slide with a label of 90×80 and a macro picture of 200×80 px, after its levels."""
    pixels = draw_section(1200, 900)
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 4):
            writer.write(
                shrink(pixels, factor) if factor > 1 else pixels,
                photometric="rgb",
                tile=(TILE, TILE),
                compression="jpeg",
                subfiletype=int(factor > 1),
                metadata=None,
                description=level,
            )
        for name, color, width in (("label", LABEL, 90), ("macro", MACRO, 200)):
            writer.write(
                plain(color, width, 80),
                photometric="rgb",
                compression="lzw",
                rowsperstrip=16,
                metadata=None,
                description=aside.format(name=name, width=width),
            )
    return path


@pytest.mark.parametrize(
    ("level", "aside"),
    [
        (
            "Aperio Image Library v11.2.1\n1200x900 JPEG/RGB Q=95|AppMag = 20|MPP = 0.5",
            "Aperio Image Library v11.2.1\n{name} {width}x80",
        ),
        ("A slide", "{name} image"),
    ],
    ids=["aperio", "plain"],
)
def test_label_and_macro_are_found(tmp_path: Path, level: str, aside: str) -> None:
    found = read_associated_images(write_with_label(tmp_path / "slide.svs", level, aside))
    assert found.keys() == {"label", "macro"}
    np.testing.assert_array_equal(found["label"], plain(LABEL, 90, 80))
    np.testing.assert_array_equal(found["macro"], plain(MACRO, 200, 80))


def test_a_slide_without_them_has_none(pyramid_slide: Path, bounds_slide: Path) -> None:
    assert read_associated_images(pyramid_slide) == {}
    assert read_associated_images(bounds_slide).keys() <= {"label", "macro"}


def test_label_and_macro_of_real_slides(real_slides: Path) -> None:
    assert {"label", "macro"} >= read_associated_images(
        real_slides / "dicom-cmu-1-small-region"
    ).keys()
    assert "thumbnail" not in read_associated_images(real_slides / "CMU-1-Small-Region.svs")


def test_a_small_picture_shows_the_scanned_part(
    bounds_slide: Path, single_level_slide: Path
) -> None:
    with open_slide(bounds_slide) as slide:
        picture = small_picture(slide, 400)
    assert picture is not None
    assert picture.shape == (300, 400, 3)  # of 2000×1500 px; the slide itself is 6000×5000
    expected = shrink(draw_section(2000, 1500, seed=5), 5)
    assert np.abs(picture.astype(float) - expected).mean() < 6
    with open_slide(single_level_slide) as slide:
        whole = small_picture(slide, 10_000)
    assert whole is not None
    assert whole.shape == (2600, 3000, 3)  # never larger than the slide
