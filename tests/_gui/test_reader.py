"""Slides through napari's reader: which files are taken, and what becomes of them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, read
from numpy.typing import NDArray

from napari_xmag._gui.reader import get_reader, read_slides
from napari_xmag.errors import SlideOpenError
from napari_xmag.layer_data import METADATA_KEY, LayerData
from tests.dicom import COMPUTED_TOMOGRAPHY, WHOLE_SLIDE, write_header
from tests.slides import draw_section, write_pyramid


@pytest.fixture(scope="module", autouse=True)
def _manifests() -> None:
    PluginManager.instance().discover()


def open_with_napari(path: Path) -> LayerData:
    """Open a file as napari does, through the installed manifest."""
    (layer,) = read([str(path)], stack=False, plugin_name="napari-xmag")
    return layer


@pytest.mark.parametrize(
    ("slide", "mpp"),
    [
        ("pyramid_slide", 0.5),
        ("aperio_slide", 0.25),
        ("alpha_slide", 0.5),
        ("single_level_slide", 0.5),
    ],
)
def test_a_slide_becomes_one_calibrated_pyramid(
    slide: str, mpp: float, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(slide)
    levels, arguments, kind = open_with_napari(path)
    assert kind == "image"
    assert arguments["rgb"]
    assert arguments["multiscale"]
    assert arguments["scale"] == pytest.approx((mpp, mpp))
    assert arguments["units"] == ("um", "um")
    assert arguments["name"] == path.name
    assert list(arguments["metadata"]) == [METADATA_KEY]
    assert {level.dtype for level in levels} == {np.dtype(np.uint8)}
    assert {level.shape[2] for level in levels} == {3}
    assert max(levels[-1].shape) <= 1024
    sizes = [level.shape[0] for level in levels]
    assert sizes == sorted(sizes, reverse=True)


def test_scale_is_exact_for_each_axis(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "oblong.tiff", draw_section(1200, 900), mpp=(0.5, 0.25))
    assert open_with_napari(path)[1]["scale"] == pytest.approx((0.25, 0.5))


def test_a_slide_without_mpp_opens_in_pixels(no_mpp_slide: Path) -> None:
    arguments = open_with_napari(no_mpp_slide)[1]
    assert arguments["scale"] == (1.0, 1.0)
    assert arguments["units"] == ("pixel", "pixel")


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    pixels = draw_section(1500, 1100)
    path = write_pyramid(tmp_path / "exact.tiff", pixels, compression="adobe_deflate", factors=(1,))
    levels = open_with_napari(path)[0]
    np.testing.assert_array_equal(levels[0][300:700, 900:1500].compute(), pixels[300:700, 900:1500])


def test_several_slides_become_several_layers(pyramid_slide: Path, aperio_slide: Path) -> None:
    paths = [str(pyramid_slide), str(aperio_slide)]
    reader = get_reader(paths)
    assert reader is not None
    assert [layer[1]["name"] for layer in reader(paths)] == ["pyramid.tiff", "aperio.svs"]


def plain(folder: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    path = folder / "picture.tif"
    tifffile.imwrite(path, pixels, **options)
    return path


def dicom(folder: Path, kind: str, name: str = "picture.dcm") -> Path:
    return write_header(folder / name, kind=kind)


def text(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("no picture at all")
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: plain(folder, np.zeros((300, 400, 3), np.uint8), photometric="rgb"),
        lambda folder: plain(folder, np.zeros((600, 600), np.uint16), tile=(256, 256)),
        lambda folder: plain(folder, np.zeros((5, 300, 300), np.uint8)),
        lambda folder: text(folder, "words.tif"),
        lambda folder: text(folder, "words.txt"),
        lambda folder: text(folder, "words.dcm").parent,
        lambda folder: dicom(folder, COMPUTED_TOMOGRAPHY),
        lambda folder: folder,
        lambda folder: folder / "missing.svs",
    ],
    ids=[
        "small",
        "fluorescence",
        "stack",
        "no tiff",
        "text",
        "no dicom",
        "CT",
        "folder",
        "missing",
    ],
)
def test_what_is_no_slide_is_left_to_other_readers(make: object, tmp_path: Path) -> None:
    assert get_reader(str(make(tmp_path))) is None


@pytest.mark.parametrize("name", ["picture.dcm", "level0", "1.2.840.7"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_dicom_slides_are_taken(kind: str, name: str, tmp_path: Path) -> None:
    path = dicom(tmp_path, WHOLE_SLIDE, name)
    assert get_reader(str(path if kind == "file" else tmp_path)) is read_slides


@pytest.mark.parametrize("root", ["1.2.840.10008", "1.3.6.1.4.1", "2.25"])
def test_a_file_that_is_called_by_its_uid_is_offered_to_the_reader(root: str) -> None:
    name = f"/scans/{root}.31415926535.897932"
    readers = PluginManager.instance().iter_compatible_readers([name])
    assert "napari-xmag" in {reader.plugin_name for reader in readers}


def test_a_large_plain_tiff_is_taken(tmp_path: Path) -> None:
    path = plain(tmp_path, np.zeros((64, 5000, 3), np.uint8), photometric="rgb")
    assert get_reader(path) is read_slides


def test_a_broken_slide_says_why(tmp_path: Path) -> None:
    path = text(tmp_path, "broken.svs")
    with pytest.raises(SlideOpenError, match=r"broken\.svs.*complete") as caught:
        open_with_napari(path)
    assert caught.value.causes
    assert notification_manager.records[-1].message == str(caught.value)


def test_opening_reads_no_pixels_of_a_single_level_slide(
    single_level_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_xmag.slide.tiff.slide import TiffSlide

    def read(*_: object) -> None:
        pytest.fail("pixels were read while opening")

    monkeypatch.setattr(TiffSlide, "read", read)
    assert len(open_with_napari(single_level_slide)[0]) > 1


def test_reading_loads_neither_torch_nor_the_models(pyramid_slide: Path) -> None:
    script = (
        "import sys; from napari_xmag._gui.reader import get_reader; path = sys.argv[1]; "
        "data = get_reader(path)(path)[0][0]; data[-1].compute(); "
        "sys.exit(bool({'torch', 'timm', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(pyramid_slide)]
    assert subprocess.run(command, env=dict(os.environ), check=False).returncode == 0


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "size", "mpp"),
    [
        ("CMU-1-Small-Region.svs", (2967, 2220), 0.499),
        ("dicom-cmu-1-small-region", (2967, 2220), 0.499),
        ("tcga-cr-7395-01a-01-ts1.svs", (3567, 4443), None),
        ("lung-squamous-cell-carcinoma__HE3.tiff", (16091, 17883), 0.263),
        ("OS-2-ndpi.ome.tif", (2202, 2202), ...),
    ],
)
def test_real_slides(
    real_slides: Path, name: str, size: tuple[int, int], mpp: float | None
) -> None:
    levels, arguments, _ = open_with_napari(real_slides / name)
    assert levels[0].shape == (*size, 3)
    assert max(levels[-1].shape) <= 1024
    assert np.asarray(levels[-1]).std() > 5
    if mpp is None:
        assert arguments["units"] == ("pixel", "pixel")
    elif mpp is not ...:
        assert arguments["scale"] == pytest.approx((mpp, mpp), rel=2e-3)


@pytest.mark.real_data
def test_a_real_broken_dicom_says_why(real_slides: Path) -> None:
    with pytest.raises(SlideOpenError, match="DICOM"):
        open_with_napari(real_slides / "broken-no-image-type.dcm")


def write_sections(path: Path) -> Path:
    """Write an OME-TIFF of a macro picture and two sections."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, width in (("macro", 100), ("section 1", 640), ("section 2", 700)):
            writer.write(
                draw_section(width, 500), photometric="rgb", tile=(256, 256),
                metadata={"axes": "YXS", "Name": name, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
            )  # fmt: skip
    return path


def test_each_picture_of_a_file_is_a_layer_and_the_first_is_visible(tmp_path: Path) -> None:
    path = write_sections(tmp_path / "case.ome.tif")
    first, second = read([str(path)], stack=False, plugin_name="napari-xmag")
    assert first[1]["name"] == "case.ome #1"
    assert second[1]["name"] == "case.ome #2"
    assert first[1].get("visible", True)
    assert second[1]["visible"] is False
    assert [layer[0][0].shape[1] for layer in (first, second)] == [640, 700]
    assert [layer[1]["metadata"][METADATA_KEY]["image"] for layer in (first, second)] == [1, 2]
    assert "2 images" in notification_manager.records[-1].message


def test_an_image_that_cannot_be_opened_does_not_hold_up_the_others(tmp_path: Path) -> None:
    path = tmp_path / "case.tif"
    with tifffile.TiffWriter(path) as writer:
        for width in (640, 700):
            section = draw_section(width, 500, seed=width)
            writer.write(section, photometric="rgb", tile=(256, 256), metadata=None)
    with tifffile.TiffFile(path) as file:
        end = file.pages[1].dataoffsets[0]
    path.write_bytes(path.read_bytes()[:end])
    (layer,) = read([str(path)], stack=False, plugin_name="napari-xmag")
    assert layer[0][0].shape[1] == 640
    assert any("image #2 cannot be opened" in r.message for r in notification_manager.records)


def test_damage_is_told_in_the_window(single_level_slide: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    data = single_level_slide.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    levels = open_with_napari(path)[0]
    assert levels[0].shape == (2600, 3000, 3)
    record = notification_manager.records[-1]
    assert str(record.severity) == "warning"
    assert "damaged" in record.message
    assert "cut.tif" in record.message


def test_deep_colours_are_taken(tmp_path: Path) -> None:
    deep = draw_section(600, 500).astype(np.uint16) * 257
    path = plain(tmp_path, deep, tile=(256, 256), photometric="rgb")
    levels = open_with_napari(path)[0]
    np.testing.assert_array_equal(np.asarray(levels[0]), draw_section(600, 500))


def test_directories_in_a_circle_are_refused_in_words(tmp_path: Path) -> None:
    path = plain(tmp_path, draw_section(300, 200), tile=(256, 256), photometric="rgb")
    data = path.read_bytes()
    end = 8 + 2 + 12 * int.from_bytes(data[8:10], "little")
    path.write_bytes(data[:end] + (8).to_bytes(4, "little") + data[end + 4 :])
    with pytest.raises(SlideOpenError, match="circular"):
        open_with_napari(path)


def test_the_other_focal_planes_are_hidden_layers(tmp_path: Path) -> None:
    stack = np.stack([draw_section(512, 512, seed=seed) for seed in range(3)])
    path = tmp_path / "z.ome.tif"
    tifffile.imwrite(
        path, stack, ome=True, photometric="rgb", tile=(128, 128), metadata={"axes": "ZYXS"}
    )
    layers = read_slides(path)
    assert [arguments["name"] for _, arguments, _ in layers] == [
        "z.ome.tif", "z.ome.tif plane 1 of 3", "z.ome.tif plane 3 of 3",
    ]  # fmt: skip
    assert [arguments.get("visible", True) for _, arguments, _ in layers] == [True, False, False]
    for (levels, _, _), plane in zip(layers, stack[[1, 0, 2]], strict=True):
        np.testing.assert_array_equal(np.asarray(levels[0]), plane)
