"""`napari-xmag analyze` as a person types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag import NOTICE
from napari_xmag.analyze import SlideResult
from napari_xmag.cli import CANCELLED, main
from napari_xmag.export.folder import NAMES
from napari_xmag.formatting import percent
from napari_xmag.slide import open as slide_open
from napari_xmag.slide.base import Slide
from tests.slides import draw_section, write_leica, write_pyramid

Captured = pytest.CaptureFixture[str]


HERE = ["--workers", "0"]
"""In this process: what is patched or captured here is not seen in others."""


def results(out: Path) -> set[str]:
    """Return the names of the folders of all results."""
    return {item.name for item in out.iterdir() if item.is_dir()}


def test_one_slide(pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["analyze", str(pyramid_slide), "--model", tiny, "--out", str(tmp_path)]) == 0
    folder = tmp_path / "pyramid"
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES)
    result = SlideResult.load(folder)
    said = capsys.readouterr().out
    assert percent(max(result.probabilities)) in said
    assert all(flag.words in said for flag in result.flags)
    assert str(folder) in said
    assert NOTICE in said


def test_folder_with_a_bad_slide(
    pyramid_slide: Path, no_mpp_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    (slides / "a-broken.svs").write_bytes(b"not a slide")
    shutil.copy(no_mpp_slide, slides / "b-no-mpp.tiff")
    shutil.copy(pyramid_slide, slides / "c-good.tiff")
    (slides / "notes.txt").write_text("no slide")
    out = tmp_path / "out"
    assert main(["analyze", str(slides), "--model", tiny, "--out", str(out), *HERE]) == 1
    assert results(out) == {"c-good"}
    captured = capsys.readouterr()
    assert "1 of 3 slides analyzed" in captured.out
    assert "a-broken.svs: FAILED" in captured.err
    assert "b-no-mpp.tiff: FAILED" in captured.err
    assert "--mpp" in captured.err
    assert "Failed: a-broken.svs, b-no-mpp.tiff" in captured.err


def test_missing_file_fails_alone(
    pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    slides = [str(tmp_path / "nowhere.svs"), str(pyramid_slide)]
    assert main(["analyze", *slides, "--model", tiny, "--out", str(tmp_path), *HERE]) == 1
    assert "nowhere.svs: FAILED" in capsys.readouterr().err
    assert (tmp_path / "pyramid" / "result.json").exists()


def test_same_stem_twice(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    slides = []
    for folder, seed in (("one", 7), ("two", 8)):
        (tmp_path / folder).mkdir()
        pixels = draw_section(1500, 1000, seed=seed)
        slides.append(str(write_pyramid(tmp_path / folder / "case.tiff", pixels)))
    out = tmp_path / "out"
    assert main(["analyze", *slides, "--model", tiny, "--out", str(out), *HERE]) == 0
    assert results(out) == {"case", "case-2"}
    before = {name: SlideResult.load(out / name) for name in results(out)}
    written = {name: (out / name / "result.json").stat().st_mtime_ns for name in before}
    assert len({result.slide["fingerprint"] for result in before.values()}) == 2
    # another run finds the folders of its slides again, in any order
    assert main(["analyze", slides[1], "--model", tiny, "--out", str(out), "--force"]) == 0
    after = {name: SlideResult.load(out / name) for name in results(out)}
    assert (out / "case" / "result.json").stat().st_mtime_ns == written["case"]
    assert (out / "case-2" / "result.json").stat().st_mtime_ns > written["case-2"]
    assert after.keys() == before.keys()
    assert after["case-2"].slide["fingerprint"] == before["case-2"].slide["fingerprint"]


def test_folders_are_searched_below(
    pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    for name in ("uuid-1/a.tiff", "uuid-2/deep/b.btf", ".hidden/c.tiff"):
        (tmp_path / "slides" / name).parent.mkdir(parents=True)
        shutil.copy(pyramid_slide, tmp_path / "slides" / name)
    out = tmp_path / "slides" / "results"
    common = [str(tmp_path / "slides"), "--model", tiny, "--out", str(out), *HERE]
    for _ in range(2):  # the second time its own maps lie there too
        assert main(["analyze", *common]) == 0
        assert results(out) == {"a", "b"}
    captured = capsys.readouterr()
    assert "2 of 2 slides analyzed. " in captured.out
    assert "2 of 2 slides analyzed, 2 of them earlier" in captured.out
    assert "Skipped 1 (hidden)" in captured.err
    assert "Skipped 2 (a heat map that napari-xmag wrote)" in captured.err


@pytest.mark.parametrize("below", ["file", "file/below/it"])
def test_out_that_is_a_file_is_wrong_usage(
    below: str, pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").write_text("mine")
    out = str(tmp_path / below)
    assert main(["analyze", str(pyramid_slide), "--model", tiny, "--out", out]) == 2
    assert "to be a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_nothing_is_written_outside_of_out(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    names = ["..svs", "...tiff", "CON.tiff", "ends..tiff"]
    for name in names:
        shutil.copy(pyramid_slide, slides / name)
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    common = ["--tissue", "whole", "--model", tiny, "--out", str(out), *HERE]
    common += ["--kept-features", "0"]
    assert main(["analyze", *(str(slides / name) for name in names), *common]) == 0
    written = set(tmp_path.rglob("*")) - set(before)
    assert all(path == out or path.is_relative_to(out) for path in written)
    assert results(out) == {"slide", "slide-2", "CON_", "ends"}


def several_pictures(path: Path) -> Path:
    """Write an OME-TIFF of two sections, 0.5 µm per pixel."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for seed, name in ((1, "left"), (2, "right")):
            writer.write(
                draw_section(1200, 900, seed=seed),
                photometric="rgb",
                tile=(256, 256),
                metadata={
                    "axes": "YXS",
                    "Name": name,
                    "PhysicalSizeX": 0.5,
                    "PhysicalSizeXUnit": "µm",
                    "PhysicalSizeY": 0.5,
                    "PhysicalSizeYUnit": "µm",
                },
            )
    return path


def test_each_picture_of_a_file_is_a_slide(tiny: str, tmp_path: Path, capsys: Captured) -> None:
    path, out = several_pictures(tmp_path / "case.ome.tif"), tmp_path / "out"
    assert main(["analyze", str(path), "--model", tiny, "--out", str(out)]) == 0
    assert {folder.name for folder in out.iterdir()} == {"case.ome", "case.ome#2"}
    results = [SlideResult.load(out / name) for name in ("case.ome", "case.ome#2")]
    assert len({result.slide["fingerprint"] for result in results}) == 2
    assert "2 of 2 slides analyzed" in capsys.readouterr().out


@pytest.mark.parametrize("wanted", ["2", "right"])
def test_one_picture_by_number_or_name(wanted: str, tiny: str, tmp_path: Path) -> None:
    path, out = several_pictures(tmp_path / "case.ome.tif"), tmp_path / "out"
    assert main(["analyze", str(path), "--image", wanted, "--model", tiny, "--out", str(out)]) == 0
    assert [folder.name for folder in out.iterdir()] == ["case.ome#2"]
    # the rest of the file has a result of its own beside it
    assert main(["analyze", str(path), "--image", "1", "--model", tiny, "--out", str(out)]) == 0
    assert {folder.name for folder in out.iterdir()} == {"case.ome", "case.ome#2"}


def test_a_picture_that_is_not_there(
    pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    common = ["--image", "2", "--model", tiny, "--out", str(tmp_path / "out")]
    assert main(["analyze", str(pyramid_slide), *common]) == 1
    assert "the image '2'" in capsys.readouterr().err


def test_whatever_a_reader_raises_the_next_slide_is_analyzed(
    pyramid_slide: Path,
    single_level_slide: Path,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    reader = slide_open.open_any

    def fail_once(path: Path, image: int | str | None) -> Slide:
        if path == pyramid_slide:
            raise ElementTree.ParseError("not well-formed")
        return reader(path, image)

    monkeypatch.setattr(slide_open, "open_any", fail_once)
    slides = [str(pyramid_slide), str(single_level_slide)]
    common = ["--model", tiny, "--out", str(tmp_path / "out"), *HERE]
    assert main(["analyze", *slides, *common]) == 1
    assert results(tmp_path / "out") == {"single"}
    said = capsys.readouterr().err
    assert "pyramid.tiff: FAILED. Expected to analyze pyramid.tiff" in said
    assert "ParseError: not well-formed" in said


def test_given_mpp_is_flagged_and_remembered(no_mpp_slide: Path, tiny: str, tmp_path: Path) -> None:
    common = [str(no_mpp_slide), "--model", tiny, "--out", str(tmp_path)]
    assert main(["analyze", *common, "--mpp", "0,5"]) == 0
    first = SlideResult.load(tmp_path / "no-mpp")
    assert first.slide["mpp_x"] == 0.5
    assert "mpp_by_hand" in {flag.code for flag in first.flags}
    assert main(["analyze", *common]) == 0
    second = SlideResult.load(tmp_path / "no-mpp")
    assert second.slide["mpp_x"] == 0.5
    assert "remembered" in second.slide["mpp_source"]


def test_mpp_fills_gaps_only(
    no_mpp_slide: Path, pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    slides = [str(no_mpp_slide), str(pyramid_slide)]
    common = ["--model", tiny, "--out", str(tmp_path / "out"), *HERE]
    assert main(["analyze", *slides, "--mpp", "1.0", *common]) == 0
    sizes = {
        name: SlideResult.load(tmp_path / "out" / name).slide["mpp_x"]
        for name in ("no-mpp", "pyramid")
    }
    assert sizes == {"no-mpp": 1.0, "pyramid": pytest.approx(0.5)}
    said = capsys.readouterr().err
    assert "pyramid.tiff: The file states 0.5 µm per pixel" in said
    assert "no-mpp.tiff:" not in said


def test_override_mpp_is_recorded(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    common = [str(pyramid_slide), "--model", tiny, "--out", str(tmp_path)]
    assert main(["analyze", *common, "--override-mpp", "1.0"]) == 0
    result = SlideResult.load(tmp_path / "pyramid")
    assert result.slide["mpp_x"] == 1.0
    assert result.slide["mpp_source"] == "entered by the user, overriding the file"
    assert {"mpp_by_hand", "mpp_conflict"} <= {flag.code for flag in result.flags}
    assert main(["analyze", *common]) == 0
    assert SlideResult.load(tmp_path / "pyramid").slide["mpp_x"] == pytest.approx(0.5)


def test_settings_that_cannot_be_written_are_a_warning(
    no_mpp_slide: Path,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "file" / "home"))
    common = ["--model", tiny, "--out", str(tmp_path / "out"), "--mpp", "0.5"]
    assert main(["analyze", str(no_mpp_slide), *common]) == 0
    assert "could not be remembered for next time" in capsys.readouterr().err
    assert SlideResult.load(tmp_path / "out" / "no-mpp").slide["mpp_x"] == 0.5


@pytest.mark.parametrize("origin", ["bounds", "slide"])
def test_regions_count_from_the_stated_origin(origin: str, tiny: str, tmp_path: Path) -> None:
    offset = (1501, 2003)
    path = write_leica(tmp_path / "slide.scn", draw_section(3000, 2200), offset=offset)
    # the middle of the section, in level-0 pixels of the scanned part
    x, y, side = 1300, 900, 600
    if origin == "slide":
        x, y = x + offset[0], y + offset[1]
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    regions = tmp_path / "regions.geojson"
    regions.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry}))
    arguments = ["--tissue", str(regions), "--qupath-origin", origin, "--out", str(tmp_path)]
    assert main(["analyze", str(path), "--model", tiny, *arguments]) == 0
    result = SlideResult.load(tmp_path / "slide")
    assert result.settings["tissue"] == "regions"
    middle_x = (result.patches.x + result.patches.width / 2).mean() - offset[0]
    middle_y = (result.patches.y + result.patches.height / 2).mean() - offset[1]
    np.testing.assert_allclose([middle_x, middle_y], [1600, 1200], atol=128)
    exported = json.loads((tmp_path / "slide" / "tiles.geojson").read_text())
    assert exported["napari_xmag"]["origin"] == origin


def test_whole_slide(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    arguments = ["--tissue", "whole", "--model", tiny, "--out", str(tmp_path)]
    assert main(["analyze", str(pyramid_slide), *arguments]) == 0
    result = SlideResult.load(tmp_path / "pyramid")
    assert len(result.patches) == result.grid_shape[0] * result.grid_shape[1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--mpp", "-1"], "µm per pixel"),
        (["--mpp", "40"], "µm per pixel"),
        (["--mpp", "0.5", "--override-mpp", "0.5"], "not allowed with"),
        (["--model", "unheard-of"], "unheard-of"),
        (["--device", "abacus"], "abacus"),
        (["--tissue", "nowhere.geojson"], "nowhere.geojson"),
        (["--batch-size", "0"], "batch_size"),
        (["--min-tissue", "2"], "min_tissue"),
        (["--qupath-origin", "elsewhere"], "elsewhere"),
    ],
)
def test_wrong_usage(
    wrong: list[str], said: str, pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    arguments = ["analyze", str(pyramid_slide), "--model", tiny, "--out", str(out), *wrong]
    try:
        status: object = main(arguments)
    except SystemExit as stop:  # argparse
        status = stop.code
    assert status == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_leaves_nothing_half_written(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import signal, sys, time\n"
        # A shell that runs the tests in its background lets them ignore the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import napari_xmag.export.folder as folder\n"
        "def slow(*args, **more):\n"
        "    print('exporting', flush=True)\n"
        "    time.sleep(3600)\n"
        "folder.write_overlay = slow\n"
        "from napari_xmag.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["analyze", str(pyramid_slide), "--model", tiny, "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "exporting"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    assert process.returncode == CANCELLED
    assert "Cancelled" in said
    assert "Traceback" not in said
    assert list(out.iterdir()) == []


@pytest.mark.real_data
def test_every_real_slide_does_the_right_thing(
    real_slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    common = ["--model", tiny, "--out", str(tmp_path), *HERE]
    assert main(["analyze", str(real_slides), *common]) == 1
    captured = capsys.readouterr()
    assert "Failed: broken-no-image-type.dcm, tcga-cr-7395-01a-01-ts1.svs" in captured.err
    assert results(tmp_path) - {"xmag-home"} == {
        "CMU-1-Small-Region",
        "OS-2-ndpi.ome",
        "dicom-cmu-1-small-region",
        "lung-squamous-cell-carcinoma__HE3",
    }
    slide = SlideResult.load(tmp_path / "CMU-1-Small-Region")
    dicom = SlideResult.load(tmp_path / "dicom-cmu-1-small-region")
    # the same tissue in two formats
    assert slide.slide["mpp_x"] == pytest.approx(dicom.slide["mpp_x"], rel=1e-3)
    assert len(slide.patches) == pytest.approx(len(dicom.patches), rel=0.1)
