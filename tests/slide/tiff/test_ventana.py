"""BIF that OpenSlide refuses: read as stored, with the scanner's pixel size, and told."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import MppSource, NoteCode
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section, shrink

PICTURE = draw_section(640, 512, seed=4)
SCAN = '<iScan ScanRes="0.25" Magnification="40" Z-layers="1" ScannerModel="VENTANA DP 200"/>'
JOINT = (
    '<TileJointInfo Direction="{}" Confidence="9" Tile1="1" Tile2="2" OverlapX="{}" OverlapY="{}"/>'
)


def write_bif(path: Path, joints: str, scan: str = SCAN) -> Path:
    """Write the pages of a BIF as newer scanners do: the glass first, then the levels."""
    info = (
        '<?xml version="1.0" encoding="UTF-8"?><EncodeInfo Ver="2"><SlideStitchInfo><ImageInfo '
        f'AOIScanned="1" NumRows="4" NumCols="5" Width="128" Height="128" Pos-X="0" Pos-Y="0">'
        f'{joints}</ImageInfo></SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0"/>'
        "</AoiOrigin></EncodeInfo>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        glass = np.full((300, 100, 3), 200, np.uint8)
        writer.write(glass, **_options("Label_Image", scan), photometric="rgb")
        found = np.zeros((300, 100), np.uint8)
        writer.write(found, **_options("Probability_Image", ""), photometric="minisblack")
        for level, factor in enumerate((1, 2)):
            writer.write(
                shrink(PICTURE, factor) if level else PICTURE,
                **_options(f"level={level} mag={40 / factor:g} quality=95", "" if level else info),
                photometric="rgb",
                tile=(128, 128),
            )
    return path


def _options(description: str, xml: str) -> dict[str, object]:
    data = xml.encode()
    tags = [(700, 1, len(data), data, True)] if data else []
    return {"description": description, "metadata": None, "extratags": tags}


def test_a_bif_that_tells_nothing_of_overlaps_says_so(tmp_path: Path) -> None:
    path = write_bif(tmp_path / "slide.bif", "", f"<Metadata>{SCAN}</Metadata>")
    assert "not known" in " ".join(note.words for note in open_slide(path).notes)


@pytest.mark.parametrize(
    ("joints", "words"),
    [
        (JOINT.format("LEFT", 8, 0) + JOINT.format("DOWN", 0, 2), "up to 8 pixels"),
        (JOINT.format("LEFT", 0, 0) + JOINT.format("UP", 0, 0), ""),
        (JOINT.format("LEFT", "", ""), ""),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_the_scanner_states_is_taken_and_overlaps_are_told(
    tmp_path: Path, joints: str, words: str, wrapped: bool
) -> None:
    scan = f"<?xml version='1.0'?><Metadata>{SCAN}</Metadata>\0" if wrapped else SCAN
    path = write_bif(tmp_path / "slide.bif", joints, scan)
    if not wrapped:
        with pytest.raises(openslide.OpenSlideError, match="LEFT"):
            openslide.OpenSlide(path)
    slide = open_slide(path)
    assert (slide.mpp, slide.mpp_source) == (Mpp(0.25, 0.25), MppSource.VENDOR)
    assert (slide.vendor, slide.objective_power) == ("ventana", 40)
    assert [level.downsample for level in slide.levels] == [1, 2]
    np.testing.assert_array_equal(slide.read(Box(0, 0, 640, 512), 0), PICTURE)
    assert [note.code for note in slide.notes] == [NoteCode.DESCRIPTION] * bool(words)
    assert words in " ".join(note.words for note in slide.notes)


def test_each_axis_has_its_own_joints(tmp_path: Path) -> None:
    joints = JOINT.format("LEFT", 13, 0) + 3 * JOINT.format("DOWN", 0, 0)
    path = write_bif(tmp_path / "slide.bif", joints)
    assert "10 %" in " ".join(note.words for note in open_slide(path).notes)  # 13 of 128 px


@pytest.mark.parametrize("scan", ["<iScan", '<iScan ScanRes="nan" Magnification="inf"/>'])
def test_broken_statements_are_no_reason_to_refuse_a_file(tmp_path: Path, scan: str) -> None:
    path = write_bif(tmp_path / "slide.bif", JOINT.format("LEFT", "inf", "x"), scan)
    slide = open_slide(path)
    assert (slide.mpp, slide.objective_power) == (None, None)
    np.testing.assert_array_equal(slide.read(Box(0, 0, 640, 512), 0), PICTURE)
