"""Pictures of TIFFs that describe their pages: resolutions as Images, planes in any order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.open import list_images, open_slide
from tests.slides import Pixels, draw_section, shrink

PICTURE = draw_section(640, 512, seed=5)
OTHER = draw_section(320, 256, seed=6)
WHOLE = Box(0, 0, 640, 512)
TILES = {"tile": (128, 128), "compression": "zlib", "metadata": None}


def ome(pictures: Sequence[Pixels], sizes: Sequence[float | None]) -> str:
    """Return OME-XML with an Image for each picture, called as Bio-Formats calls resolutions."""
    images = []
    for number, (picture, mpp) in enumerate(zip(pictures, sizes, strict=True)):
        size = "".join(f' PhysicalSize{axis}="{mpp}"' for axis in "XY") if mpp else ""
        images.append(
            f'<Image ID="Image:{number}" Name="case.svs #{number + 1}"><Pixels ID="Pixels:{number}"'
            f' DimensionOrder="XYCZT" Type="uint8" SizeX="{picture.shape[1]}" SizeY='
            f'"{picture.shape[0]}" SizeC="3" SizeZ="1" SizeT="1"{size}><Channel '
            f'ID="Channel:{number}:0" SamplesPerPixel="3"/><TiffData IFD="{number}" '
            'PlaneCount="1"/></Pixels></Image>'
        )
    return f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{"".join(images)}</OME>'


@pytest.mark.parametrize("sizes", [(0.25, 0.5, 1.0), (0.25, 0.25, 0.25), (0.25, None, None)])
@pytest.mark.parametrize("other", [False, True])
def test_resolutions_written_as_images_are_levels(
    tmp_path: Path, sizes: tuple[float | None, ...], other: bool
) -> None:
    pictures = [PICTURE, OTHER if other else shrink(PICTURE, 2), shrink(PICTURE, 4)]
    path = tmp_path / "case.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        for number, picture in enumerate(pictures):
            text = ome(pictures, sizes) if number == 0 else None
            writer.write(picture, description=text, photometric="rgb", **TILES)
    slide = open_slide(path)
    assert slide.mpp == Mpp(0.25, 0.25)
    if other:  # a section of half the size is a slide of its own, whatever it is called
        assert [image.width for image in list_images(path)] == [640, 320, 160]
    else:
        assert len(list_images(path)) == 1
        assert [level.downsample for level in slide.levels] == [1, 2, 4]
        np.testing.assert_array_equal(slide.read(WHOLE, 1), shrink(PICTURE, 2))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_colour_planes_may_lie_in_any_order_with_levels_below_them(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    path = tmp_path / "planes.ome.tif"
    places = "".join(f'<TiffData FirstC="{c}" IFD="{i}"/>' for i, c in enumerate(order))
    channels = "".join(f'<Channel ID="Channel:0:{c}" SamplesPerPixel="1"/>' for c in range(3))
    text = ome([PICTURE], [0.5])
    start, end = text.index("<Channel"), text.index("</Pixels>")
    with tifffile.TiffWriter(path) as writer:
        for number, color in enumerate(order):
            xml = text[:start] + channels + places + text[end:] if number == 0 else None
            writer.write(PICTURE[..., color], description=xml, subifds=1, **TILES)
            writer.write(shrink(PICTURE, 2)[..., color], subfiletype=1, **TILES)
    slide = open_slide(path)
    assert slide.mpp == Mpp(0.5, 0.5)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    np.testing.assert_array_equal(slide.read(Box(0, 0, 640, 512), 1), shrink(PICTURE, 2))


def test_the_preview_of_a_slide_that_lies_beside_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Image_01.vsi"
    tifffile.imwrite(path, PICTURE, photometric="rgb", metadata=None)
    with pytest.raises(SlideOpenError, match="preview only"):
        open_slide(path)
