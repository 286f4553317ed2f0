"""Levels lie where the file states; padding is cropped; what fits nothing is left out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode, Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.resample import read_resampled
from napari_xmag.slide.scale import StoredLevel, place_levels
from napari_xmag.slide.tiles import read_tile
from tests.slides import Pixels, draw_section, shrink

BASE = StoredLevel(2100, 1400, 256, 256, (0.5, 0.5))
WIDTH, HEIGHT = 2100, 1400
# A mark near the far corner, where a wrong scale does the most harm.
MARK = Box(1984, 1280, 80, 64)
BLUE = (30, 30, 160)


def level(width: int, height: int, spacing: float | None = None, tile: int = 256) -> StoredLevel:
    stated = None if spacing is None else (spacing, spacing)
    return StoredLevel(width, height, tile, tile, stated)


@pytest.mark.parametrize(
    ("item", "scale", "size"),
    [
        (level(525, 350, 2.0), 4, (525, 350)),
        (level(768, 512, 2.0), 4, (525, 350)),
        (level(768, 512, 2.0004), 4, (525, 350)),
        (level(1280, 768, 1.0), 2, (1050, 700)),
        # Stated for each axis of its own.
        (StoredLevel(1050, 350, spacing=(1.0, 2.0)), (2, 4), (1050, 350)),
        # No whole number: 2.5.
        (level(840, 560, 1.25), 2.5, (840, 560)),
        (level(1024, 768, 1.25), 2.5, (840, 560)),
        # Printer's dots, or twice the scale, while the size fits to the pixel.
        (level(525, 350, 352.8), 4, (525, 350)),
        (level(525, 350, 4.0), 4, (525, 350)),
        # Every level states the resolution of the finest one: that cannot be.
        (level(525, 350, 0.5), 4, (525, 350)),
        # Nothing stated: sizes that agree, rounded up or down ...
        (level(131, 87), 16, (131, 87)),
        (level(132, 88), 16, (131, 88)),
        (level(700, 467), 3, (700, 467)),
        (level(800, 533), 2.625, (800, 533)),
        # ... or that only whole tiles explain.
        (level(1280, 768), 2, (1050, 700)),
    ],
)
def test_scale_of_a_level(
    item: StoredLevel, scale: float | tuple[float, float], size: tuple[int, int]
) -> None:
    pyramid = place_levels([BASE, item])
    assert pyramid.notes == ()
    placed = pyramid.levels[1]
    x, y = scale if isinstance(scale, tuple) else (scale, scale)
    assert placed.downsample_x == pytest.approx(x, rel=1e-3)
    assert placed.downsample_y == pytest.approx(y, rel=1e-3)
    assert (placed.width, placed.height) == size


@pytest.mark.parametrize(
    "item",
    [
        level(525, 525),  # other proportions
        level(700, 256),  # padded on one axis only, and cut on the other
        level(256, 256),  # one tile: 16, 32, ... all fit
        level(1536, 1024, 0.875),  # whole tiles of the right proportions, yet states another scale
    ],
)
def test_a_level_of_unknown_scale_is_left_out_and_named(item: StoredLevel) -> None:
    pyramid = place_levels([BASE, item, level(262, 175)])
    assert [placed.downsample for placed in pyramid.levels] == [1, 8]
    assert [placed.index for placed in pyramid.levels] == [0, 1]
    assert pyramid.stored == (0, 2)
    (note,) = pyramid.notes
    assert note.code is NoteCode.LEVEL_LEFT_OUT
    assert f"{item.width}×{item.height}" in note.words


def test_a_padded_square_is_not_taken_for_another_scale() -> None:
    square = StoredLevel(2000, 2000, 256, 256, (0.5, 0.5))
    stated = place_levels([square, level(512, 512, 2.0)])
    assert stated.levels[1].downsample == 4
    assert stated.levels[1].width == 500
    unknown = place_levels([square, level(512, 512)])
    assert len(unknown.levels) == 1
    assert unknown.notes


def write_square(path: Path, *factors: int) -> Path:
    """Write a square slide that states nothing, its levels padded to whole tiles."""
    square = draw_section(1024, 1024, seed=5)
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, *factors):
            side = round(1024 / factor)
            small = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BOX))
            writer.write(
                padded(small, 128), photometric="rgb", tile=(128, 128), metadata=None,
                subfiletype=int(factor > 1), compression="adobe_deflate",
            )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("factors", "scales", "left_out"),
    [
        ((8,), [1, 8], 0),
        ((16,), [1, 16], 0),
        ((2, 4, 8, 16), [1, 2, 4, 8, 16], 0),
        # Ten times smaller and padded, the size is that of 8, and of 16 with padding.
        ((10,), [1], 1),
        ((4, 10), [1, 4], 1),
    ],
)
def test_pixels_tell_the_scale_of_padded_squares(
    tmp_path: Path, factors: tuple[int, ...], scales: list[int], left_out: int
) -> None:
    slide = open_slide(write_square(tmp_path / "square.tif", *factors))
    assert [placed.downsample for placed in slide.levels] == scales
    assert [note.code for note in slide.notes] == [NoteCode.LEVEL_LEFT_OUT] * left_out


def test_no_two_levels_have_one_scale() -> None:
    square = StoredLevel(2048, 2048, 256, 256)
    placed = place_levels([square, level(512, 512), level(256, 256), level(256, 256)])
    assert [item.downsample for item in placed.levels] == [1, 4, 8]
    assert len(placed.notes) == 1


def test_a_pyramid_down_to_one_pixel_keeps_powers_of_two() -> None:
    sizes = [(2220 >> power or 1, 2967 >> power or 1) for power in range(12)]
    pyramid = place_levels([StoredLevel(*size) for size in sizes])
    assert [placed.downsample for placed in pyramid.levels] == [2**power for power in range(12)]


def marked() -> Pixels:
    """Return glass with one blue mark near the far corner."""
    pixels = np.full((HEIGHT, WIDTH, 3), 243, np.uint8)
    x, y = int(MARK.x), int(MARK.y)
    pixels[y : y + int(MARK.height), x : x + int(MARK.width)] = BLUE
    return pixels


def padded(pixels: Pixels, tile: int = 256) -> Pixels:
    """Return the picture padded to whole tiles, as some scanners store coarse levels."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, -height % tile), (0, -width % tile), (0, 0)), constant_values=255)


def write_padded(path: Path, factors: Sequence[int], stated: bool, ome: bool = False) -> Path:
    """Write levels padded to whole tiles; in resolution tags, or not, they state their scale."""
    with tifffile.TiffWriter(path, ome=ome) as writer:
        for index, factor in enumerate((1, *factors)):
            pixels = marked() if factor == 1 else padded(shrink(marked(), factor))
            options: dict[str, object] = {"metadata": {"axes": "YXS"} if ome else None}
            if stated:
                options |= {"resolution": (20000 / factor,) * 2, "resolutionunit": "CENTIMETER"}
            if ome and index == 0:
                options["subifds"] = len(factors)
            writer.write(
                pixels, photometric="rgb", tile=(256, 256), compression="adobe_deflate",
                subfiletype=int(factor > 1), **options,
            )  # fmt: skip
    return path


def place_of(picture: Pixels) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the blue mark, in pixels."""
    y, x = np.nonzero(np.abs(picture.astype(np.int16) - BLUE).sum(2) < 120)
    assert len(x), "no mark"
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def assert_in_place(slide: Slide) -> None:
    """The mark lies in its place, whichever way the slide is read."""
    expected = MARK.x, MARK.y, MARK.right, MARK.bottom
    for step in (1, 2, 4, 8):
        box = Box(0, 0, WIDTH // step * step, HEIGHT // step * step)
        picture = read_resampled(slide, box, WIDTH // step, HEIGHT // step)
        np.testing.assert_allclose(np.array(place_of(picture)) * step, expected, atol=step)
    tile = read_tile(slide, Box(1852, 1176, 224, 224), 56)
    np.testing.assert_allclose(place_of(tile), (33, 26, 53, 42), atol=1)
    for array in dask_pyramid(slide):
        picture = np.asarray(array)
        scale = WIDTH / picture.shape[1], HEIGHT / picture.shape[0]
        place = np.array(place_of(picture)) * (*scale, *scale)
        np.testing.assert_allclose(place, expected, atol=max(scale))
    overview = read_overview(slide)
    scales = overview.scale_x, overview.scale_y, overview.scale_x, overview.scale_y
    np.testing.assert_allclose(np.array(place_of(overview.pixels)) * scales, expected, atol=16)


@pytest.mark.parametrize("ome", [False, True], ids=["plain", "OME"])
@pytest.mark.parametrize("factors", [(2, 4), (4, 16), (3,)], ids=str)
def test_padded_levels_that_state_their_scale_keep_places(
    tmp_path: Path, factors: tuple[int, ...], ome: bool
) -> None:
    slide = open_slide(write_padded(tmp_path / "padded.tif", factors, stated=True, ome=ome))
    assert [placed.downsample for placed in slide.levels] == [1, *factors]
    assert slide.notes == ()
    assert_in_place(slide)


def test_padded_levels_without_a_statement_keep_places(tmp_path: Path) -> None:
    slide = open_slide(write_padded(tmp_path / "padded.tif", (2, 4), stated=False), mpp=0.5)
    assert [placed.downsample for placed in slide.levels] == [1, 2, 4]
    assert_in_place(slide)


def test_a_level_of_other_proportions_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "proportions.tif"
    with tifffile.TiffWriter(path) as writer:
        for index, pixels in enumerate((marked(), marked()[::4, ::7])):
            writer.write(
                pixels, photometric="rgb", tile=(256, 256), subfiletype=index, metadata=None
            )
    slide = open_slide(path, mpp=0.5)
    assert len(slide.levels) == 1
    assert [note.code for note in slide.notes] == [NoteCode.LEVEL_LEFT_OUT]
    assert_in_place(slide)


def test_tags_without_a_unit_state_no_scale(tmp_path: Path) -> None:
    """The finest level states its size in cm, the coarse one has the numbers of no statement."""
    path = tmp_path / "mixed.tif"
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "tile": (256, 256), "metadata": None}
        writer.write(marked(), resolution=(20000, 20000), resolutionunit="CENTIMETER", **options)
        writer.write(marked()[::7, ::8], subfiletype=1, **options)
    slide = open_slide(path)
    assert len(slide.levels) == 1
    assert [note.code for note in slide.notes] == [NoteCode.LEVEL_LEFT_OUT]


def test_padding_shows_as_background_and_is_not_scanned(tmp_path: Path) -> None:
    path = tmp_path / "black.tif"
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 4):
            pixels = marked() if factor == 1 else padded(shrink(marked(), 4))
            pixels[-(-HEIGHT // factor) :] = 0
            pixels[:, -(-WIDTH // factor) :] = 0
            writer.write(
                pixels, photometric="rgb", tile=(256, 256), subfiletype=int(factor > 1),
                metadata=None, resolution=(20000 / factor,) * 2, resolutionunit="CENTIMETER",
            )  # fmt: skip
    slide = open_slide(path)
    beyond = Box(WIDTH, 0, 400, HEIGHT)
    assert (slide.read(beyond, 1) == 255).all()
    assert not slide.scanned(beyond, 1).any()  # type: ignore[attr-defined]
    assert read_overview(slide).usable.all()


def test_an_ome_image_that_is_a_coarser_resolution_becomes_a_level(tmp_path: Path) -> None:
    path = tmp_path / "flat.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for number, factor in enumerate((1, 4), 1):
            pixels = marked() if factor == 1 else padded(shrink(marked(), factor))
            size = {f"PhysicalSize{axis}": 0.5 * factor for axis in "XY"}
            units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
            name = f"scan resolution #{number}"
            writer.write(
                pixels, photometric="rgb", tile=(256, 256), compression="adobe_deflate",
                metadata={"axes": "YXS", "Name": name, **size, **units},
            )  # fmt: skip
    slide = open_slide(path)
    assert len(slide.images) == 1
    assert [placed.downsample for placed in slide.levels] == [1, 4]
    assert_in_place(slide)
