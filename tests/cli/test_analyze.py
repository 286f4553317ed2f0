"""`napari-xmag analyze` as a person types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_xmag import NOTICE
from napari_xmag.analyze import SlideResult
from napari_xmag.cli import CANCELLED, main
from napari_xmag.export.folder import NAMES
from tests.slides import draw_section, write_leica, write_pyramid

Captured = pytest.CaptureFixture[str]


def test_one_slide(pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["analyze", str(pyramid_slide), "--model", tiny, "--out", str(tmp_path)]) == 0
    folder = tmp_path / "pyramid"
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES)
    result = SlideResult.load(folder)
    said = capsys.readouterr().out
    assert f"{100 * max(result.probabilities):.1f} %" in said
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
    assert main(["analyze", str(slides), "--model", tiny, "--out", str(out)]) == 1
    assert [folder.name for folder in out.iterdir()] == ["c-good"]
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
    assert main(["analyze", *slides, "--model", tiny, "--out", str(tmp_path)]) == 1
    assert "nowhere.svs: FAILED" in capsys.readouterr().err
    assert (tmp_path / "pyramid" / "result.json").exists()


def test_same_stem_twice(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    slides = []
    for folder, seed in (("one", 7), ("two", 8)):
        (tmp_path / folder).mkdir()
        pixels = draw_section(1500, 1000, seed=seed)
        slides.append(str(write_pyramid(tmp_path / folder / "case.tiff", pixels)))
    out = tmp_path / "out"
    assert main(["analyze", *slides, "--model", tiny, "--out", str(out)]) == 0
    assert {folder.name for folder in out.iterdir()} == {"case", "case.tiff"}
    # another run finds the folders of its slides again, in any order
    assert main(["analyze", slides[1], "--model", tiny, "--out", str(out)]) == 0
    assert {folder.name for folder in out.iterdir()} == {"case", "case.tiff"}
    prints = {SlideResult.load(folder).slide["fingerprint"] for folder in out.iterdir()}
    assert len(prints) == 2


def test_given_mpp_is_flagged_and_remembered(no_mpp_slide: Path, tiny: str, tmp_path: Path) -> None:
    common = [str(no_mpp_slide), "--model", tiny, "--out", str(tmp_path)]
    assert main(["analyze", *common, "--mpp", "0.5"]) == 0
    first = SlideResult.load(tmp_path / "no-mpp")
    assert first.slide["mpp_x"] == 0.5
    assert "mpp_by_hand" in {flag.code for flag in first.flags}
    assert main(["analyze", *common]) == 0
    second = SlideResult.load(tmp_path / "no-mpp")
    assert second.slide["mpp_x"] == 0.5
    assert "remembered" in second.slide["mpp_source"]


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
        (["--mpp", "-1"], "positive"),
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
        "    time.sleep(60)\n"
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
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == CANCELLED
    assert "Cancelled" in said
    assert "Traceback" not in said
    assert list(out.iterdir()) == []


@pytest.mark.real_data
def test_every_real_slide_does_the_right_thing(
    real_slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["analyze", str(real_slides), "--model", tiny, "--out", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "Failed: broken-no-image-type.dcm, tcga-cr-7395-01a-01-ts1.svs" in captured.err
    done = {folder.name for folder in tmp_path.iterdir() if folder.name != "xmag-home"}
    assert done == {
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
