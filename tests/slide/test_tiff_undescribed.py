"""OME-TIFFs whose XML is wrong: every page is shown all the same, and what is wrong is said."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import NoteCode
from napari_xmag.slide.open import list_images, open_slide
from tests.slides import draw_section

SIZES = ((600, 500), (700, 400), (600, 500))
PICTURES = [draw_section(*size, seed=seed) for seed, size in enumerate(SIZES)]
MPPS = (0.5, 0.25, 0.3)
ELSEWHERE = (
    '<TiffData IFD="0" PlaneCount="1"><UUID FileName="other.ome.tif">'
    "urn:uuid:00000000-0000-0000-0000-000000000001</UUID></TiffData>"
)


def write(path: Path, change: Callable[[str], str], *, levels: bool = False) -> Path:
    """Write three sections, and change the XML that describes them."""
    options = {"photometric": "rgb", "tile": (128, 128), "compression": "zlib"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        for pixels, mpp, name in zip(PICTURES, MPPS, "abc", strict=True):
            size = {f"PhysicalSize{axis}": mpp for axis in "XY"}
            metadata = {"axes": "YXS", "Name": name, **size}
            writer.write(pixels, subifds=int(levels), metadata=metadata, **options)
            if levels:
                writer.write(pixels[::2, ::2], subfiletype=1, **options)
    right = tifffile.tiffcomment(path)
    wrong = change(right)
    assert wrong != right
    tifffile.tiffcomment(path, wrong.encode())
    return path


def sub(pattern: str, text: str, count: int = 1) -> Callable[[str], str]:
    return lambda xml: re.sub(pattern, text, xml, count=count, flags=re.DOTALL)


FIRST = r'<TiffData IFD="0".*?(/>|</TiffData>)'
WRONG = {
    "size": (sub('SizeX="600" SizeY="500"', 'SizeX="1200" SizeY="1000"'), {0}),
    "all sizes": (sub(r'SizeX="\d+"', 'SizeX="77"', 0), {0, 1, 2}),
    "no page": (sub(FIRST, ""), {0}),
    "a page that is not there": (sub('IFD="1"', 'IFD="9"'), {1}),
    "one page twice": (sub('IFD="2"', 'IFD="0"'), {2}),
    "another file": (sub(FIRST, ELSEWHERE), {0}),
    "colours": (sub('SizeC="3"', 'SizeC="1"'), {0}),
    "samples": (sub('SamplesPerPixel="3"', 'SamplesPerPixel="1"'), {0}),
    "no image": (sub("<Image .*?</Image>", ""), {0}),
    "no number": (sub('SizeX="600"', 'SizeX="wide"'), {0, 1, 2}),
    "broken": (sub("</Image>", ""), {0, 1, 2}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_page_that_is_described_wrongly_is_shown_and_said(tmp_path: Path, wrong: str) -> None:
    change, undescribed = WRONG[wrong]
    path = write(tmp_path / "a.ome.tif", change)
    assert [(image.width, image.height) for image in list_images(path)] == list(SIZES)
    for number, (picture, mpp) in enumerate(zip(PICTURES, MPPS, strict=True)):
        slide = open_slide(path, image=number + 1)
        box = Box(0, 0, picture.shape[1], picture.shape[0])
        np.testing.assert_array_equal(slide.read(box, 0), picture)
        unknown = number in undescribed
        assert slide.mpp == (None if unknown else Mpp(mpp, mpp))
        assert [note.code for note in slide.notes] == [NoteCode.DESCRIPTION] * unknown


def test_it_keeps_its_levels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", WRONG["size"][0], levels=True)
    for number, picture in enumerate(PICTURES, 1):
        slide = open_slide(path, image=number)
        box = Box(0, 0, picture.shape[1], picture.shape[0])
        np.testing.assert_array_equal(slide.read(box, 1), picture[::2, ::2])


def test_a_stack_of_which_one_plane_is_there_is_shown_as_that(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", sub('SizeZ="1"', 'SizeZ="3"'))
    slide = open_slide(path, image=1)
    np.testing.assert_array_equal(slide.read(Box(0, 0, 600, 500), 0), PICTURES[0])
    codes = {note.code for note in slide.notes}
    assert codes == {NoteCode.DESCRIPTION, NoteCode.PICTURE_LEFT_OUT}


def test_the_pixels_of_another_file_are_not_read_from_this_one(tmp_path: Path) -> None:
    other = tmp_path / "other.ome.tif"
    tifffile.imwrite(other, PICTURES[2], ome=True, photometric="rgb", tile=(128, 128))
    uid = re.search('urn:uuid:[^"<]+', tifffile.tiffcomment(other))
    assert uid is not None
    text = re.sub("urn:uuid:[^<]+", uid[0], ELSEWHERE)
    path = write(tmp_path / "a.ome.tif", sub(FIRST, text))
    slide = open_slide(path, image=1)
    np.testing.assert_array_equal(slide.read(Box(0, 0, 600, 500), 0), PICTURES[0])
    assert NoteCode.PICTURE_LEFT_OUT in {note.code for note in slide.notes}
