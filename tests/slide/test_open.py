"""Opening: every format gives the same slide, with its mpp and where that comes from."""

import os
import shutil
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageCms

from napari_xmag.errors import MppMissingError, SlideOpenError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import MppSource, require_mpp
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section, write_aperio, write_pyramid


def test_resolution_tag_is_named_as_source(pyramid_slide: Path) -> None:
    slide = open_slide(pyramid_slide)
    mpp = require_mpp(slide)
    assert (mpp.x, mpp.y) == (pytest.approx(0.5), pytest.approx(0.5))
    assert slide.mpp_source is MppSource.RESOLUTION_TAG
    assert slide.mpp_conflict == ""
    assert [level.downsample for level in slide.levels] == [1.0, 4.0]


def test_vendor_property_is_named_as_source(aperio_slide: Path) -> None:
    slide = open_slide(aperio_slide)
    assert slide.mpp == Mpp(0.25, 0.25)
    assert slide.mpp_source is MppSource.VENDOR
    assert slide.objective_power == 40


def test_mpp_differs_per_axis(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tiff", draw_section(600, 500), mpp=(0.5, 0.25), factors=(1,))
    mpp = require_mpp(open_slide(path))
    assert (mpp.x, mpp.y) == (pytest.approx(0.5), pytest.approx(0.25))


@pytest.mark.parametrize("dpi", [72, 96, 300, 600])
def test_printer_resolution_is_no_mpp(tmp_path: Path, dpi: int) -> None:
    path = write_pyramid(
        tmp_path / "dpi.tiff", draw_section(600, 500), mpp=25400 / dpi, factors=(1,)
    )
    slide = open_slide(path)
    assert slide.mpp is None
    assert slide.mpp_source is MppSource.NONE
    with pytest.raises(MppMissingError, match="--mpp"):
        require_mpp(slide)


def test_given_mpp_wins_and_conflict_is_flagged(aperio_slide: Path) -> None:
    slide = open_slide(aperio_slide, mpp=0.5)
    assert slide.mpp == Mpp(0.5, 0.5)
    assert slide.mpp_source is MppSource.USER
    assert "0.5" in slide.mpp_conflict
    assert "0.25" in slide.mpp_conflict
    assert open_slide(aperio_slide, mpp=0.2505).mpp_conflict == ""


def test_objective_that_contradicts_mpp_is_flagged(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "odd.svs", draw_section(600, 500), mpp=1.0, power=40)
    assert "40x" in open_slide(path).mpp_conflict


def test_non_ascii_path(pyramid_slide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Präparat 病理 №1"
    folder.mkdir()
    path = Path(shutil.copy(pyramid_slide, folder / "schnitt-ü-切片.tiff"))
    assert open_slide(path).read(Box(1500, 1000, 64, 64), 0).std() > 5


def test_unscanned_area_is_background_not_black(alpha_slide: Path) -> None:
    slide = open_slide(alpha_slide)
    for level in slide.levels:
        pixels = slide.read(Box(0, 0, 800, 800), level.index)
        assert pixels.shape[2] == 3
        assert (pixels == 255).all()
    assert slide.read(Box(1800, 900, 100, 100), 0).std() > 5


def test_outside_the_slide_is_background(pyramid_slide: Path) -> None:
    slide = open_slide(pyramid_slide)
    pixels = slide.read(Box(-100, -100, 200, 200), 0)
    assert (pixels[:100] == 255).all()
    assert (pixels[:, :100] == 255).all()
    assert (pixels[100:, 100:] < 255).any()


def test_truncated_file_names_every_cause(pyramid_slide: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tiff"
    path.write_bytes(pyramid_slide.read_bytes()[:1000])
    with pytest.raises(SlideOpenError) as caught:
        open_slide(path)
    assert len(caught.value.causes) == 2
    assert "OpenSlide" in caught.value.details()


@pytest.mark.parametrize(
    "raised",
    [
        ElementTree.ParseError("not well-formed"),
        ImageCms.PyCMSError("cannot open profile"),
        PermissionError(13, "Permission denied"),
        MemoryError(),
        AttributeError("'NoneType' object has no attribute 'text'"),
        struct.error("unpack requires a buffer of 8 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_reader_raises_becomes_our_error_with_its_cause(
    raised: Exception, pyramid_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr("napari_xmag.slide.backends._BACKENDS", (("one", fail), ("other", fail)))
    with pytest.raises(SlideOpenError) as caught:
        open_slide(pyramid_slide)
    assert caught.value.causes == (raised, raised)


def test_a_file_that_may_not_be_read_says_so(
    pyramid_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, *args: str) -> object:
        if path == pyramid_slide:
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SlideOpenError, match=r"found Permission denied\. Check that you may read"):
        open_slide(pyramid_slide)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.svs")
    with pytest.raises(SlideOpenError, match="neither a file nor a folder"):
        open_slide(tmp_path / "pipe.svs")


@pytest.mark.parametrize("name", ["missing.svs", "empty.svs", "folder"])
def test_error_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.svs").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SlideOpenError, match=name):
        open_slide(tmp_path / name)


@pytest.mark.real_data
def test_dicom_folder_or_any_of_its_files(real_slides: Path) -> None:
    folder = real_slides / "dicom-cmu-1-small-region"
    whole = open_slide(folder)
    one = open_slide(folder / "level-11-frames-0-1.dcm")
    svs = open_slide(real_slides / "CMU-1-Small-Region.svs")
    assert whole.mpp == one.mpp == svs.mpp == Mpp(0.499, 0.499)
    box = Box(700, 900, 256, 256)
    np.testing.assert_array_equal(whole.read(box, 0), one.read(box, 0))
    # The file calls its YCbCr frames RGB: believed, the colours would be off by 66 on average.
    assert np.abs(whole.read(box, 0).astype(int) - svs.read(box, 0)).mean() < 6


@pytest.mark.real_data
def test_broken_dicom_is_explained(real_slides: Path) -> None:
    with pytest.raises(SlideOpenError, match="DICOM file that lacks") as caught:
        open_slide(real_slides / "broken-no-image-type.dcm")
    assert "ImageType VOLUME" in str(caught.value)
    assert caught.value.causes


@pytest.mark.real_data
def test_ome_tiff(real_slides: Path) -> None:
    slide = open_slide(real_slides / "OS-2-ndpi.ome.tif")
    assert slide.mpp_source is MppSource.OME_XML
    assert require_mpp(slide).x == pytest.approx(0.2270972430394695)
    assert slide.mpp_conflict == ""
    assert slide.read(Box(0, 0, 2202, 2202), 0).std() > 10


@pytest.mark.real_data
def test_slide_without_mpp_stays_without(real_slides: Path) -> None:
    slide = open_slide(real_slides / "tcga-cr-7395-01a-01-ts1.svs")
    assert slide.mpp is None
    assert open_slide(slide.path, mpp=1.0).mpp == Mpp(1.0, 1.0)
