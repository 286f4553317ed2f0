"""Only what shows the slide, in its colours, becomes one of its levels; all else is named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode, Slide
from napari_xmag.slide.open import open_slide
from tests.slides import Pixels, draw_section, shrink

WIDTH, HEIGHT = 1024, 896
PICTURE = draw_section(WIDTH, HEIGHT, seed=1)


def write(path: Path, *pages: tuple[Pixels, dict[str, object]], tile: int = 128) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for pixels, options in pages:
            kept = {"compression": "adobe_deflate", **options}
            writer.write(pixels, photometric="rgb", tile=(tile, tile), metadata=None, **kept)
    return path


def opened(path: Path, coarse: Pixels, **options: object) -> Slide:
    return open_slide(write(path, (PICTURE, {}), (coarse, options)))


def blurred(factor: int) -> Pixels:
    soft = gaussian_filter(PICTURE, (factor, factor, 0))
    return shrink(soft, factor)


def sharpened(factor: int) -> Pixels:
    small = shrink(PICTURE, factor).astype(float)
    edges = small - gaussian_filter(small, (1.5, 1.5, 0))
    return np.clip(small + edges, 0, 255).astype(np.uint8)


def lanczos(factor: int) -> Pixels:
    size = WIDTH // factor, HEIGHT // factor
    return np.asarray(Image.fromarray(PICTURE).resize(size, Image.Resampling.LANCZOS))


@pytest.mark.parametrize(
    ("coarse", "factor"),
    [
        (PICTURE[::8, ::8], 8),
        (blurred(4), 4),
        (sharpened(4), 4),
        (lanczos(2), 2),
    ],
    ids=["top left pixels", "blurred", "sharpened", "Lanczos"],
)
def test_a_level_joins_however_it_was_made(tmp_path: Path, coarse: Pixels, factor: int) -> None:
    for flags in ({}, {"subfiletype": 1}):
        slide = opened(tmp_path / "made.tif", coarse, **flags)
        assert [level.downsample for level in slide.levels] == [1, factor]
        assert slide.notes == ()


def test_a_level_of_poor_quality_joins(tmp_path: Path) -> None:
    poor = {"compression": "jpeg", "compressionargs": {"level": 30}}
    slide = opened(tmp_path / "poor.tif", shrink(PICTURE, 4), **poor)
    assert [level.downsample for level in slide.levels] == [1, 4]


def overlaid(part: int = 1) -> Pixels:
    """Return a quarter of the size with a heat map over it, or over a part of its width."""
    small = shrink(PICTURE, 4).astype(float)
    width = small.shape[1] // part
    warm = np.linspace(0, 255, width)
    heat = np.stack([warm, 0 * warm, 255 - warm], axis=1)[None]
    small[:, :width] = 0.7 * small[:, :width] + 0.3 * heat
    return small.astype(np.uint8)


OTHER = {
    "swapped colours": shrink(PICTURE, 2)[..., ::-1],
    "heat map": overlaid(),
    "heat map on one half": overlaid(2),
    "darker": (shrink(PICTURE, 4) * 0.85).astype(np.uint8),
    "another section": draw_section(WIDTH // 2, HEIGHT // 2, seed=2),
    "mirrored": shrink(PICTURE, 2)[:, ::-1],
}


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("reduced", [0, 1])
def test_what_shows_something_else_is_no_level(tmp_path: Path, name: str, reduced: int) -> None:
    other = np.ascontiguousarray(OTHER[name])
    slide = opened(tmp_path / "other.tif", other, subfiletype=reduced)
    assert [level.downsample for level in slide.levels] == [1]
    (note,) = slide.notes
    assert f"{other.shape[1]}×{other.shape[0]}" in note.words
    assert note.code is (NoteCode.LEVEL_LEFT_OUT if reduced else NoteCode.OTHER_IMAGES)


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (WIDTH + 200, HEIGHT + 100)])
def test_a_reduced_page_that_is_no_smaller_is_left_out(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    slide = opened(tmp_path / "large.tif", draw_section(*size, seed=2), subfiletype=1)
    assert [(level.width, level.height) for level in slide.levels] == [(WIDTH, HEIGHT)]
    np.testing.assert_array_equal(slide.read(Box(0, 0, WIDTH, HEIGHT), 0), PICTURE)
    (note,) = slide.notes
    assert "no smaller" in note.words


def test_a_second_section_of_an_aperio_slide_is_no_level(tmp_path: Path) -> None:
    text = "Aperio Image Library v12\r\n{}x{} |AppMag = 20|MPP = 0.5"
    path = write(
        tmp_path / "two.svs",
        (PICTURE, {"description": text.format(WIDTH, HEIGHT)}),
        (OTHER["another section"], {"description": text.format(WIDTH // 2, HEIGHT // 2)}),
        (shrink(PICTURE, 4), {"description": text.format(WIDTH // 4, HEIGHT // 4)}),
    )
    slide = open_slide(path)
    assert [level.downsample for level in slide.levels] == [1, 4]
    assert [note.code for note in slide.notes] == [NoteCode.LEVEL_LEFT_OUT]


@pytest.mark.parametrize(("factor", "known"), [(8, True), (9, False), (10, False)])
def test_padding_that_explains_a_size_is_no_proof(tmp_path: Path, factor: int, known: bool) -> None:
    """Padded to 128×128 pixels, a level may be 8 times smaller; the pixels must show it."""
    picture = draw_section(925, 725, seed=3)
    small = shrink(picture, factor)
    beyond = ((0, 128 - small.shape[0]), (0, 128 - small.shape[1]), (0, 0))
    coarse = np.pad(small, beyond, constant_values=255), {"subfiletype": 1}
    slide = open_slide(write(tmp_path / "padded.tif", (picture, {}), coarse, tile=64))
    assert [level.downsample for level in slide.levels] == ([1, 8] if known else [1])
    assert [note.code for note in slide.notes] == ([] if known else [NoteCode.LEVEL_LEFT_OUT])
