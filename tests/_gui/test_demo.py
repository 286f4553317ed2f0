"""The demo, as ``make demo`` runs it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from PIL import Image

from napari_xmag import NOTICE
from napari_xmag._gui.demo import SCREENSHOT, main, report, run_demo
from napari_xmag.errors import MppMissingError

pytestmark = [pytest.mark.window, pytest.mark.usefixtures("models")]
MakeViewer = Callable[..., Viewer]
EXPORTS = {
    "result.json",
    "tiles.csv",
    "heatmap.ome.tif",
    "qupath.geojson.gz",
    "tiles.geojson",
    "overlay.png",
}


def test_it_analyses_exports_and_takes_a_picture(
    make_napari_viewer: MakeViewer, pyramid_slide: Path, tmp_path: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    session = run_demo(viewer, pyramid_slide, tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {*EXPORTS, SCREENSHOT}
    picture = np.asarray(Image.open(tmp_path / "out" / SCREENSHOT).convert("RGB"))
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 20
    words = report(session, tmp_path / "out")
    assert str(tmp_path / "out") in words
    assert f"prediction  {session.result.headline}" in words
    assert session.result.abstained
    assert all(reason in words for reason in session.result.abstained)
    assert "tiles.geojson" in words
    assert NOTICE in words


def test_a_missing_pixel_size_is_asked_for(
    make_napari_viewer: MakeViewer, no_mpp_slide: Path, tmp_path: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    with pytest.raises(MppMissingError):
        run_demo(viewer, no_mpp_slide, tmp_path / "out")


def test_a_pixel_size_can_be_given(
    make_napari_viewer: MakeViewer, no_mpp_slide: Path, tmp_path: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    session = run_demo(viewer, no_mpp_slide, tmp_path / "out", mpp=0.5)
    assert session.result is not None
    assert tuple(session.layer.scale) == (0.5, 0.5)


def test_a_file_that_cannot_be_read_ends_with_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "missing.svs"), "--out", str(tmp_path)]) == 1
    assert "missing.svs" in capsys.readouterr().err
