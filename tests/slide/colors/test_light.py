"""What a file states of its light: fluorescence and the like are refused, brightfield never."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pydicom import Dataset

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.colors.light import imagej_light, ome_light
from napari_xmag.slide.open import open_slide
from tests.dicom_slides import write_dicom
from tests.slides import draw_section

PICTURE = draw_section(300, 200)
PLANES = np.moveaxis(PICTURE, 2, 0).copy()
RED, GREEN, BLUE, WHITE = "-16776961", "16711935", "65535", "-1"


def pixels(*channels: str, samples: int = 1) -> ElementTree.Element:
    texts = [f'<Channel SamplesPerPixel="{samples}" {stated}/>' for stated in channels]
    return ElementTree.fromstring(f"<Pixels>{''.join(texts)}</Pixels>")


def colors(*values: str) -> list[str]:
    return [f'Color="{value}"' for value in values]


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    "stated",
    [
        'Fluor="DAPI"',
        'Fluor="Unheard-of 5"',
        'Name="Alexa Fluor 488"',
        'Name="Cy5" IlluminationType="Transmitted"',
        'IlluminationType="Epifluorescence"',
        'ContrastMethod="Fluorescence"',
        'ContrastMethod="Phase"',
        'AcquisitionMode="LaserScanningConfocalMicroscopy"',
        'EmissionWavelength="461" ExcitationWavelength="358"',
    ],
)
def test_light_other_than_brightfield_is_known_of_grey_and_rgb(stated: str, samples: int) -> None:
    assert ome_light(pixels(stated, samples=samples))
    assert ome_light(pixels("", stated, ""))


@pytest.mark.parametrize(
    "channels",
    [
        ['ExcitationWavelength="405"', 'ExcitationWavelength="488"', 'ExcitationWavelength="561"'],
        colors(BLUE, GREEN, RED),
        colors(GREEN, RED, WHITE),
        colors("16777215", "-16711681", "-65281"),  # cyan, magenta, yellow
        colors(BLUE),
        ['Name="CD3"', 'Name="CD8"', 'Name="CD20"'],
    ],
)
def test_grey_planes_of_other_dyes_or_colours_are_no_rgb(channels: list[str]) -> None:
    assert ome_light(pixels(*channels))


@pytest.mark.parametrize(
    "channels",
    [
        [""],
        ['Name="Brightfield" Fluor="TL Brightfield" EmissionWavelength="618"'],
        ['IlluminationType="Transmitted" ContrastMethod="Brightfield" AcquisitionMode="WideField"'],
        ['Fluor="H&amp;E"'],
        ['EmissionWavelength="0" ExcitationWavelength="0"'],
        colors(WHITE),
        colors(RED, GREEN, BLUE),
        colors(WHITE, WHITE, WHITE),
        colors(RED, RED, RED),
        ['Name="Red"', 'Name="Green"', 'Name="Blue"'],
    ],
)
def test_brightfield_is_never_taken_for_another_light(channels: list[str]) -> None:
    assert ome_light(pixels(*channels)) == ""
    assert ome_light(pixels(channels[0], samples=3)) == ""


def table(*hue: int) -> np.ndarray:
    return np.outer(hue, np.arange(256)).astype(np.uint8)


PRIMARIES = [table(1, 0, 0), table(0, 1, 0), table(0, 0, 1)]


@pytest.mark.parametrize(
    ("stated", "refused"),
    [
        ({"Labels": ["DAPI", "FITC", "TRITC"]}, True),
        ({"LUTs": PRIMARIES[::-1]}, True),
        ({"LUTs": PRIMARIES, "Labels": ["c:1/3 - a.tif", "c:2/3 - a.tif", "c:3/3 - a.tif"]}, False),
        ({"LUTs": [table(1, 1, 1)] * 3}, False),
        ({}, False),
    ],
)
def test_what_imagej_states(tmp_path: Path, stated: dict[str, object], refused: bool) -> None:
    path = tmp_path / "composite.tif"
    metadata = {"axes": "CYX", "mode": "composite", **stated}
    tifffile.imwrite(path, PLANES, imagej=True, metadata=metadata)
    if refused:
        with pytest.raises(SlideOpenError, match="fluorescence"):
            open_slide(path)
    else:
        with open_slide(path) as slide:
            np.testing.assert_array_equal(slide.read(slide.bounds, 0), PICTURE)


def test_one_channel_shown_in_one_colour_is_no_brightfield(tmp_path: Path) -> None:
    assert imagej_light({"channels": 1, "LUTs": PRIMARIES[2:]})
    path, ramp = tmp_path / "palette.tif", np.arange(256) * 257
    options = {"photometric": "palette", "metadata": None}
    dark = [ramp * 0, ramp * 0, ramp]
    tifffile.imwrite(path, PLANES[1], colormap=np.stack(dark).astype(np.uint16), **options)
    with pytest.raises(SlideOpenError, match="as fluorescence is"):
        open_slide(path)
    stained = [ramp, ramp // 2, ramp]
    tifffile.imwrite(path, PLANES[1], colormap=np.stack(stained).astype(np.uint16), **options)
    with open_slide(path) as slide:
        assert slide.images[0].width == 300


@pytest.mark.parametrize("right", [True, False], ids=["described", "described wrongly"])
def test_an_ome_tiff_of_another_light_is_refused(tmp_path: Path, right: bool) -> None:
    path, channel = tmp_path / "a.ome.tif", {"Fluor": "DAPI", "IlluminationType": "Epifluorescence"}
    metadata = {"axes": "YXS", "Channel": channel}
    tifffile.imwrite(path, PICTURE, ome=True, photometric="rgb", metadata=metadata)
    if not right:
        xml = tifffile.tiffcomment(path).replace('SizeX="300"', 'SizeX="900"')
        tifffile.tiffcomment(path, xml.encode())
    with pytest.raises(SlideOpenError, match="epifluorescence"):
        open_slide(path)


@pytest.mark.parametrize(
    ("codes", "refused"),
    [(["111743"], True), (["111745"], True), (["111744"], False), (["111741", "111744"], False)],
)
def test_the_illumination_of_a_dicom_slide(tmp_path: Path, codes: list[str], refused: bool) -> None:
    def state(dataset: Dataset) -> None:
        items = [Dataset() for _ in codes]
        for item, code in zip(items, codes, strict=True):
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", "light"
        dataset.OpticalPathSequence[0].IlluminationTypeCodeSequence = items

    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", change=state)
    if refused:
        with pytest.raises(SlideOpenError, match="other light"):
            open_slide(path)
    else:
        with open_slide(path) as slide:
            np.testing.assert_array_equal(slide.read(slide.bounds, 0), PICTURE)
