"""TIFF beyond OpenSlide: strips, planes, grey, OME; what is no brightfield picture is refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiff.slide import TiffSlide
from tests.slides import draw_section

PICTURE = draw_section(900, 700)
BOX = Box(333, 222, 300, 250)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 16, "compression": "adobe_deflate"},
        {"rowsperstrip": 700, "compression": "lzw"},
        {"rowsperstrip": 50},
        {"tile": (256, 128), "compression": "adobe_deflate", "predictor": True},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (128, 128), "compression": "adobe_deflate"},
        {"planarconfig": "separate", "rowsperstrip": 32, "compression": "adobe_deflate"},
    ],
)
def test_every_layout_gives_the_same_pixels(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "layout.tif"
    pixels = PICTURE if "planarconfig" not in options else np.moveaxis(PICTURE, 2, 0)
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **options)
    slide = TiffSlide(path)
    np.testing.assert_array_equal(slide.read(BOX, 0), PICTURE[222:472, 333:633])
    assert (slide.read(Box(850, 650, 100, 100), 0)[50:, 50:] == 255).all()
    assert slide.mpp is None


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    grey = PICTURE[..., 1]
    for name, pixels in (("minisblack", grey), ("miniswhite", 255 - grey)):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, pixels, photometric=name, metadata=None)
        seen = TiffSlide(path).read(BOX, 0)
        np.testing.assert_array_equal(seen, np.dstack([grey[222:472, 333:633]] * 3))


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_transparency_is_composited_on_white(tmp_path: Path, kind: str) -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, 32:] = (100, 50, 0, 128) if kind == "assocalpha" else (200, 100, 0, 128)
    path = tmp_path / "alpha.tif"
    tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=[kind], metadata=None)
    slide = TiffSlide(path)
    seen = slide.read(Box(0, 0, 64, 64), 0)
    assert (seen[:, :32] == 255).all()
    np.testing.assert_allclose(seen[0, 40], (227, 177, 127), atol=1)
    assert not slide.scanned(Box(0, 0, 32, 64), 0).any()
    assert slide.scanned(Box(32, 0, 32, 64), 0).all()


def _write_ome(path: Path, pixels: np.ndarray, **metadata: object) -> Path:
    with tifffile.TiffWriter(path, ome=True) as writer:
        size = {"PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.00033,
                "PhysicalSizeYUnit": "mm"}  # fmt: skip
        writer.write(
            pixels,
            subifds=1,
            tile=(256, 256),
            metadata={**size, **metadata},
            photometric="rgb" if pixels.shape[-1] == 3 else "minisblack",
        )
        small = pixels[::4, ::4] if pixels.shape[-1] == 3 else pixels[..., ::4, ::4]
        writer.write(
            small,
            subfiletype=1,
            tile=(256, 256),
            photometric="rgb" if pixels.shape[-1] == 3 else "minisblack",
        )
    return path


def test_ome_pyramid_with_units(tmp_path: Path) -> None:
    slide = open_slide(_write_ome(tmp_path / "slide.ome.tif", PICTURE, axes="YXS"))
    assert slide.vendor == "OME-TIFF"
    assert slide.mpp is not None
    assert (slide.mpp.x, slide.mpp.y) == (pytest.approx(0.325), pytest.approx(0.33))
    assert slide.mpp_source is MppSource.OME_XML
    assert [(level.width, level.height) for level in slide.levels] == [(900, 700), (225, 175)]
    np.testing.assert_array_equal(slide.read(BOX, 0), PICTURE[222:472, 333:633])
    np.testing.assert_array_equal(slide.read(Box(0, 0, 400, 400), 1), PICTURE[:400:4, :400:4])


def test_ome_with_a_plane_for_each_colour(tmp_path: Path) -> None:
    planes = np.moveaxis(PICTURE, 2, 0).copy()
    slide = open_slide(_write_ome(tmp_path / "planes.ome.tif", planes, axes="CYX"))
    np.testing.assert_array_equal(slide.read(BOX, 0), PICTURE[222:472, 333:633])


@pytest.mark.parametrize(
    ("pixels", "metadata", "words"),
    [
        (np.zeros((4, 600, 700), np.uint8), {"axes": "CYX"}, "4 channels"),
        (np.zeros((3, 600, 700), np.uint16), {"axes": "CYX"}, "uint16"),
        (
            np.zeros((3, 600, 700), np.uint8),
            {"axes": "CYX", "Channel": {"Name": ["DAPI", "FITC", "Cy5"]}},
            "DAPI, FITC, Cy5",
        ),
        (np.zeros((5, 600, 700), np.uint8), {"axes": "TYX"}, "5 time points"),
        (np.zeros((600, 700), np.uint16), {"axes": "YX"}, "uint16"),
    ],
)
def test_pictures_that_are_no_brightfield_are_refused(
    tmp_path: Path, pixels: np.ndarray, metadata: dict[str, object], words: str
) -> None:
    path = _write_ome(tmp_path / "fluorescence.ome.tif", pixels, **metadata)
    with pytest.raises(SlideOpenError, match=words) as caught:
        open_slide(path)
    assert "brightfield" in str(caught.value)


def test_resolution_without_unit_or_of_a_printer_is_no_mpp(tmp_path: Path) -> None:
    for index, options in enumerate(
        (
            {"resolution": (20000, 20000), "resolutionunit": "NONE"},
            {"resolution": (72, 72), "resolutionunit": "INCH"},
            {"resolution": (96, 96), "resolutionunit": "INCH"},
            {"resolution": (0, 0), "resolutionunit": "CENTIMETER"},
        )
    ):
        path = tmp_path / f"{index}.tif"
        tifffile.imwrite(path, PICTURE, photometric="rgb", metadata=None, **options)
        assert TiffSlide(path).mpp is None
    path = tmp_path / "true.tif"
    tifffile.imwrite(
        path, PICTURE, photometric="rgb", metadata=None,
        resolution=(101600, 50800), resolutionunit="INCH",
    )  # fmt: skip
    slide = TiffSlide(path)
    assert slide.mpp == Mpp(0.25, 0.5)
    assert slide.mpp_source is MppSource.RESOLUTION_TAG


def test_sources_that_disagree_are_flagged(tmp_path: Path) -> None:
    path = tmp_path / "conflict.tif"
    tifffile.imwrite(
        path, PICTURE, photometric="rgb", metadata=None, description="scan|MPP = 0.25",
        resolution=(20000, 20000), resolutionunit="CENTIMETER",
    )  # fmt: skip
    slide = TiffSlide(path)
    assert slide.mpp == Mpp(0.25, 0.25)
    assert "0.25" in slide.mpp_conflict
    assert "resolution tag says 0.5 µm" in slide.mpp_conflict
