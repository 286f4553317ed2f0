"""Every unit in which a file may state the size of its pixels."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.mpp import aperio_value, microns_in, mpp_from_imagej
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section

PICTURE = draw_section(300, 200)


@pytest.mark.parametrize(
    "unit", ["micron", "microns", "um", "µm", "\u03bcm", "\\u00B5m", "micrometer", "Micron"]
)
def test_imagej_in_microns(unit: str) -> None:
    text = f"ImageJ=1.54f\nunit={unit}\nspacing=1.0\nloop=false"
    mpp = mpp_from_imagej(text, 2.0, 4.0)
    assert mpp is not None
    assert (mpp.x, mpp.y) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("unit", "per_unit"),
    [("nm", 0.002), ("mm", 2000), ("cm", 20000), ("inch", 50800), ("m", 2_000_000)],
)
def test_imagej_in_other_units(unit: str, per_unit: float) -> None:
    mpp = mpp_from_imagej(f"ImageJ=1.54f\nunit={unit}\n", per_unit, per_unit)
    assert mpp is not None
    assert mpp.x == pytest.approx(0.5)


@pytest.mark.parametrize("unit", ["pixel", "", "sec", "furlong"])
def test_imagej_without_a_unit_of_length_states_nothing(unit: str) -> None:
    assert mpp_from_imagej(f"ImageJ=1.54f\nunit={unit}\n", 2.0, 2.0) is None
    assert mpp_from_imagej("ImageJ=1.54f\n", 2.0, 2.0) is None


def test_imagej_states_both_axes() -> None:
    mpp = mpp_from_imagej("ImageJ=1.54f\nunit=um\nyunit=nm\n", 2.0, 0.004)
    assert mpp is not None
    assert (mpp.x, mpp.y) == (0.5, 0.25)


def test_an_imagej_file(tmp_path: Path) -> None:
    path = tmp_path / "imagej.tif"
    tifffile.imwrite(path, PICTURE, imagej=True, resolution=(2.0, 4.0), metadata={"unit": "micron"})
    slide = open_slide(path)
    assert slide.mpp is not None
    assert (slide.mpp.x, slide.mpp.y) == (0.5, 0.25)
    assert slide.mpp_source is MppSource.IMAGEJ


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("nm", 500), ("µm", 0.5), ("um", 0.5), ("mm", 0.0005), ("cm", 0.00005), ("m", 5e-7),
        ("in", 0.5 / 25400), ("thou", 0.5 / 25.4), ("pm", 500_000), ("Å", 5000),
    ],
)  # fmt: skip
def test_ome_in_any_unit(tmp_path: Path, unit: str, size: float) -> None:
    path = tmp_path / "unit.ome.tif"
    metadata = {f"PhysicalSize{axis}": size for axis in "XY"}
    metadata |= {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    tifffile.imwrite(
        path, PICTURE, ome=True, photometric="rgb", metadata={"axes": "YXS", **metadata}
    )
    slide = open_slide(path)
    assert slide.mpp is not None
    assert slide.mpp.x == pytest.approx(0.5)
    assert slide.mpp_source is MppSource.OME_XML


@pytest.mark.parametrize("unit", ["pixel", "reference frame"])
def test_ome_in_pixels_states_nothing(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "pixel.ome.tif"
    metadata = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    metadata |= {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    tifffile.imwrite(
        path, PICTURE, ome=True, photometric="rgb", metadata={"axes": "YXS", **metadata}
    )
    assert open_slide(path).mpp is None


def test_units_and_values() -> None:
    assert microns_in("Micrometre") == 1
    assert microns_in("parsec") is None
    text = "Aperio Image Library v12\n300x200 (256x256) JPEG/RGB Q=70|AppMag = 40|MPP = 0.2520"
    assert aperio_value(text, "AppMag") == "40"
    assert aperio_value(text, "MPP") == "0.2520"
    assert aperio_value(text, "Left") is None
    assert np.isfinite(float(aperio_value(text, "MPP") or "nan"))


def test_an_aperio_header_may_have_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "comma.svs"
    tifffile.imwrite(
        path,
        draw_section(512, 512),
        tile=(256, 256),
        photometric="rgb",
        metadata=None,
        description="Aperio Image Library v11.2.1\n512x512|AppMag = 20,0|MPP = 0,5",
    )
    with open_slide(path) as slide:
        assert slide.mpp == Mpp(0.5, 0.5)
        assert slide.mpp_source is MppSource.VENDOR
        assert slide.objective_power == 20


@pytest.mark.parametrize(
    ("sizes", "conflict"),
    [
        ("900x700 [0,0 900x700] (256x256) JPEG/RGB Q=70", False),
        (
            "46000x32914 [42673,5576 900x700] (240x240) JPEG/RGB Q=30;Aperio v10\r\n46920x33014",
            False,
        ),
        ("9000x7000 [0,0,900x700] (256x256) JPEG/YCC Q=91", False),
        ("1800x700 [0,0 1800x700] (256x256) J2K", False),  # cut, not shrunk
        ("3600x2800 [0,0 3600x2800] (256x256) JPEG/RGB Q=70", True),
        ("3600x2800 [0,0 3600x2800] (256x256) -> 900x700 JPEG/RGB Q=70", True),
        ("", False),
    ],
)
def test_an_aperio_header_of_a_larger_picture_is_told(
    tmp_path: Path, sizes: str, conflict: bool
) -> None:
    path = tmp_path / "a.svs"
    text = f"Aperio Image Library v11.2.1\r\n{sizes}|AppMag = 40|MPP = 0.2500"
    pixels = np.full((700, 900, 3), 243, np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), description=text)
    slide = open_slide(path)
    assert slide.mpp == Mpp(0.25, 0.25)
    assert ("the larger one" in slide.mpp_conflict) is conflict


@pytest.mark.parametrize(("y", "conflict"), [(0.25, False), (0.2525, False), (0.3, True)])
def test_pixels_that_are_not_square_are_told(tmp_path: Path, y: float, conflict: bool) -> None:
    path = tmp_path / "a.tif"
    pixels = np.full((70, 90, 3), 243, np.uint8)
    resolution = {"resolution": (1e4 / 0.25, 1e4 / y), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **resolution)
    assert ("square" in open_slide(path).mpp_conflict) is conflict
