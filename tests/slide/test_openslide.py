"""Scanners' own formats: scanned regions are pictures of their own; links find companions."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode
from napari_xmag.slide.open import list_images, open_slide
from napari_xmag.slide.openslide import OpenSlideSlide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.tissue import find_tissue
from tests.slides import draw_section, write_leica

FIRST = Box(1500, 2000, 1024, 768)
SECOND = Box(3600, 2500, 768, 1024)
PARTS = [draw_section(1024, 768, seed=1), draw_section(768, 1024, seed=2)]


@pytest.fixture(scope="module", params=["alike", "of different levels"])
def regions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SCN of two scanned regions; OpenSlide refuses those of different levels."""
    path = tmp_path_factory.mktemp("scn") / "regions.scn"
    return write_leica(
        path,
        PARTS[0],
        (PARTS[1], (int(SECOND.x), int(SECOND.y))),
        offset=(int(FIRST.x), int(FIRST.y)),
        more_factors=None if request.param == "alike" else (1, 2),
    )


def test_each_region_is_a_picture(regions: Path) -> None:
    images = list_images(regions)
    sizes = [(image.width, image.height) for image in images]
    assert sizes == [(1024, 768), (768, 1024)]
    assert [image.index for image in images] == [1, 2]
    (note,) = open_slide(regions).notes
    assert note.code is NoteCode.OTHER_IMAGES


def place_of(slide_path: Path, image: int, region: Box) -> Box:
    """Return where a region lies on the slide that opens: in its place, or alone."""
    base = open_slide(slide_path, image=image).levels[0]
    alone = (base.width, base.height) == (region.width, region.height)
    return Box(0, 0, region.width, region.height) if alone else region


@pytest.mark.parametrize(("image", "region"), [(1, FIRST), (2, SECOND)])
def test_a_region_is_read_and_nothing_else(regions: Path, image: int, region: Box) -> None:
    slide = open_slide(regions, image=image)
    assert slide.notes == ()
    assert slide.mpp is not None
    assert slide.mpp.x == pytest.approx(0.5)
    box = place_of(regions, image, region)
    for level in slide.levels:
        seen = slide.read(box, level.index).astype(int)
        size = round(box.width / level.downsample_x), round(box.height / level.downsample_y)
        expected = Image.fromarray(PARTS[image - 1]).resize(size, Image.Resampling.BOX)
        assert np.abs(seen - np.asarray(expected)).mean() < 4
    other = SECOND if image == 1 else FIRST
    if box == region:
        assert (slide.read(other, 0) == 255).all()
        assert not slide.scanned(other, 0).any()  # type: ignore[attr-defined]
        assert (np.asarray(dask_pyramid(slide)[0])[2600:3400, 3700:4300] == 255).all() == (
            image == 1
        )


@pytest.mark.parametrize(("image", "region"), [(1, FIRST), (2, SECOND)])
def test_tissue_lies_in_the_region_only(regions: Path, image: int, region: Box) -> None:
    slide = open_slide(regions, image=image)
    box = place_of(regions, image, region)
    mask = find_tissue(slide)
    assert mask.fraction(box) > 0.2
    inside = mask.fraction(box) * box.width * box.height
    assert inside == pytest.approx(mask.pixels.sum() * mask.scale_x * mask.scale_y, rel=0.01)
    usable = read_overview(slide).usable
    assert usable.sum() == pytest.approx(
        box.width * box.height / mask.scale_x / mask.scale_y, rel=0.1
    )


def test_one_region_opens_as_openslide_reads_it(bounds_slide: Path) -> None:
    slide = open_slide(bounds_slide)
    assert len(slide.images) == 1
    assert slide.notes == ()
    with openslide.OpenSlide(bounds_slide) as reference:
        for level in slide.levels:
            region = reference.read_region((1600, 2100), level.index, (200, 150))
            box = Box(1600, 2100, 200 * level.downsample_x, 150 * level.downsample_y)
            expected = np.asarray(region.convert("RGB"))
            np.testing.assert_array_equal(slide.read(box, level.index), expected)


def write_vms(folder: Path, pixels: np.ndarray) -> Path:
    """Write a Hamamatsu VMS: an index and JPEG files beside it."""
    for name in ("slide.jpg", "map.jpg", "macro.jpg"):
        image = Image.fromarray(pixels)
        image.save(folder / name, quality=95, restart_marker_rows=1, subsampling=0)
    index = folder / "slide.vms"
    index.write_text(
        "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n"
        "ImageFile=slide.jpg\nMapFile=map.jpg\nMacroImage=macro.jpg\nSourceLens=20\n"
        f"PhysicalWidth={pixels.shape[1] * 500}\nPhysicalHeight={pixels.shape[0] * 500}\n"
    )
    return index


def test_companions_are_sought_beside_a_link_s_target(tmp_path: Path) -> None:
    real, links = tmp_path / "real", tmp_path / "links"
    real.mkdir()
    links.mkdir()
    link = links / "slide.vms"
    link.symlink_to(write_vms(real, draw_section(640, 480)))
    slide = open_slide(link)
    assert slide.path == link
    seen = slide.read(Box(0, 0, 640, 480), 0).astype(int)
    assert np.abs(seen - draw_section(640, 480)).mean() < 5


def write_ndpi(path: Path, pages: Sequence[tuple[float, int, np.ndarray]]) -> Path:
    """Write a Hamamatsu NDPI: for each page its lens (-1 for the macro), its depth and pixels.

    An NDPI is a TIFF whose offsets have four more bytes: behind the place of the next directory,
    and for all entries together behind that.
    """
    body = bytearray(b"II*\0" + bytes(8))
    link = 4
    for lens, depth, pixels in pages:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(
            stream, "JPEG", quality=95, restart_marker_blocks=4, subsampling=0
        )
        strip = len(body)
        body += stream.getvalue()
        bits, make, density = len(body), len(body) + 6, len(body) + 16
        body += struct.pack("<3H10s2I", 8, 8, 8, b"Hamamatsu", 20000, 1)
        height, width = pixels.shape[:2]
        entries = [
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, bits), (259, 3, 1, 7),
            (262, 3, 1, 6), (271, 2, 10, make), (273, 4, 1, strip), (277, 3, 1, 3),
            (278, 4, 1, height), (279, 4, 1, len(stream.getvalue())), (282, 5, 1, density),
            (283, 5, 1, density), (296, 3, 1, 3), (65420, 4, 1, 1),
            (65421, 11, 1, struct.unpack("<I", struct.pack("<f", lens))[0]),
            (65424, 9, 1, depth & 0xFFFFFFFF),
        ]  # fmt: skip
        body[link : link + 8] = struct.pack("<Q", len(body))
        body += struct.pack("<H", len(entries))
        for entry in entries:
            body += struct.pack("<2H2I", *entry)
        link = len(body)
        body += bytes(8 + 4 * len(entries))
    path.write_bytes(body)
    return path


def test_focal_planes_of_an_ndpi_are_named(tmp_path: Path) -> None:
    picture = draw_section(1024, 768, seed=1)
    pages = [
        (20.0, -2000, np.full_like(picture, 50)), (20.0, 0, picture),
        (20.0, 2000, np.full_like(picture, 200)), (5.0, 0, picture[::4, ::4]),
        (-1.0, 0, picture[::6, ::6]),
    ]  # fmt: skip
    slide = open_slide(write_ndpi(tmp_path / "z.ndpi", pages))
    assert slide.vendor == "hamamatsu"
    assert slide.image.focal_planes == 3
    assert [note.code for note in slide.notes] == [NoteCode.FOCAL_PLANES]
    seen = slide.read(Box(0, 0, 1024, 768), 0).astype(int)
    assert np.abs(seen - picture).mean() < 4
    plain = open_slide(write_ndpi(tmp_path / "plain.ndpi", [pages[1], pages[3], pages[4]]))
    assert plain.notes == ()


def test_a_slide_that_its_scanner_calls_fluorescence_is_refused(
    bounds_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = {"mirax.GENERAL.SLIDE_TYPE": "SLIDE_TYPE_BRIGHTFIELD"}
    stated = openslide.OpenSlide(bounds_slide).properties
    monkeypatch.setattr(openslide.OpenSlide, "properties", property(lambda _: {**stated, **kind}))
    open_slide(bounds_slide).close()
    kind["mirax.GENERAL.SLIDE_TYPE"] = "SLIDE_TYPE_FLUORESCENCE"
    with pytest.raises(SlideOpenError, match="fluorescence"):
        OpenSlideSlide(bounds_slide)
