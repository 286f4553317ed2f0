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


@pytest.mark.parametrize("tiled", [True, False])
def test_pages_that_are_marked_as_reduced_are_levels_even_of_glass(
    tmp_path: Path, tiled: bool
) -> None:
    path, glass = tmp_path / "glass.ome.tif", np.full((500, 600, 3), 243, np.uint8)
    size = {f"PhysicalSize{axis}": 0.25 for axis in "XY"}
    tifffile.imwrite(path, glass, ome=True, metadata={"axes": "YXS", **size})
    xml = tifffile.tiffcomment(path)
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 2, 4):
            storage = {"tile": (128, 128)} if tiled or step == 1 else {}
            writer.write(
                glass[::step, ::step], photometric="rgb", description=xml, metadata=None,
                subfiletype=int(step > 1), resolution=(40000, 40000), resolutionunit="CENTIMETER",
                **storage,
            )  # fmt: skip
    slide = open_slide(path)
    assert len(slide.images) == 1
    assert [level.downsample for level in slide.levels] == ([1, 2, 4] if tiled else [1])
    assert slide.notes == ()


UUIDS = [f"urn:uuid:00000000-0000-0000-0000-00000000000{number}" for number in "ab"]
FILES = ("a.ome.tif", "b.ome.tif")


def write_set(folder: Path, own: tuple[str, ...], uuids: list[str]) -> None:
    """Write two sections of one size, a file each; both describe the whole set."""
    images = [
        f'<Image ID="Image:{i}" Name="{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" '
        'Type="uint8" SizeX="600" SizeY="500" SizeC="3" SizeZ="1" SizeT="1" '
        f'PhysicalSizeX="{MPPS[i]}" PhysicalSizeY="{MPPS[i]}">'
        f'<Channel ID="Channel:{i}:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">{uuid}</UUID></TiffData></Pixels></Image>'
        for i, (name, uuid) in enumerate(zip(FILES, uuids, strict=True))
    ]
    for name, uuid, pixels in zip(FILES, own, PICTURES[::2], strict=True):
        stated = f'UUID="{uuid}"' if uuid else ""
        xml = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" {stated}>'
        tifffile.imwrite(
            folder / name, pixels, description=f"{xml}{''.join(images)}</OME>", metadata=None,
            photometric="rgb", tile=(128, 128),
        )  # fmt: skip


@pytest.mark.parametrize("case", ["set", "alone", "renamed", "no UUID of the file"])
def test_each_file_of_a_set_has_its_own_pixel_size(tmp_path: Path, case: str) -> None:
    own = ("", "") if case.startswith("no UUID") else (UUIDS[0], UUIDS[1])
    write_set(tmp_path, own, UUIDS)
    second = tmp_path / FILES[1]
    if case in ("alone", "renamed"):
        (tmp_path / FILES[0]).unlink()
    if case == "renamed":
        second = second.rename(tmp_path / "section.ome.tif")
    slide = open_slide(second)
    np.testing.assert_array_equal(slide.read(slide.bounds, 0), PICTURES[2])
    assert slide.mpp == Mpp(MPPS[1], MPPS[1])
    if case == "set":
        assert open_slide(tmp_path / FILES[0]).mpp == Mpp(MPPS[0], MPPS[0])


@pytest.mark.parametrize("uuids", [UUIDS, [UUIDS[0]] * 2], ids=["a copied header", "one UUID"])
def test_a_set_that_contradicts_itself_gives_no_pixel_size(
    tmp_path: Path, uuids: list[str]
) -> None:
    write_set(tmp_path, (UUIDS[0], UUIDS[0]), uuids)
    slide = open_slide(tmp_path / FILES[1])
    np.testing.assert_array_equal(slide.read(slide.bounds, 0), PICTURES[2])
    assert slide.mpp is None
    assert NoteCode.DESCRIPTION in {note.code for note in slide.notes}
