"""Pixel sizes that are remembered."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from napari_xmag.errors import ExportError
from napari_xmag.folders import config_folder
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import MppSource
from napari_xmag.slide.mpp_store import remember_mpp, remembered_mpp
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section, write_pyramid


def test_it_stays_with_the_slide_even_when_it_is_moved(
    no_mpp_slide: Path, single_level_slide: Path, tmp_path: Path
) -> None:
    assert open_slide(no_mpp_slide).mpp is None
    remember_mpp(no_mpp_slide, Mpp(0.46, 0.47))
    moved = Path(shutil.copy(no_mpp_slide, tmp_path / "umbenannt-ä.tiff"))
    slide = open_slide(moved)
    assert slide.mpp == Mpp(0.46, 0.47)
    assert slide.mpp_source is MppSource.REMEMBERED
    assert remembered_mpp(single_level_slide) is None


def test_pictures_of_a_file_have_their_own(no_mpp_slide: Path) -> None:
    remember_mpp(no_mpp_slide, Mpp(0.5, 0.5), image=2)
    assert remembered_mpp(no_mpp_slide) is None
    assert remembered_mpp(no_mpp_slide, image=2) == Mpp(0.5, 0.5)


def test_the_last_word_counts(no_mpp_slide: Path) -> None:
    remember_mpp(no_mpp_slide, Mpp(0.5, 0.5))
    remember_mpp(no_mpp_slide, Mpp(0.25, 0.25))
    assert remembered_mpp(no_mpp_slide) == Mpp(0.25, 0.25)


@pytest.mark.parametrize("spoilt", ["{", "[]", '{"mpp_x": 0, "mpp_y": 1}', "\0\xff"])
def test_spoilt_memory_is_no_reason_to_fail(no_mpp_slide: Path, spoilt: str) -> None:
    remember_mpp(no_mpp_slide, Mpp(0.5, 0.5))
    (file,) = (path for path in config_folder().rglob("*") if path.is_file())
    file.write_text(spoilt, encoding="latin-1")
    assert open_slide(no_mpp_slide).mpp is None


def test_processes_that_remember_at_once_lose_nothing(tmp_path: Path) -> None:
    slides = [
        write_pyramid(tmp_path / f"{n}.tiff", draw_section(64, 64, seed=n), mpp=None, factors=(1,))
        for n in range(12)
    ]
    code = (
        "import sys; from pathlib import Path; from napari_xmag.geometry import Mpp\n"
        "from napari_xmag.slide.mpp_store import remember_mpp\n"
        "sys.stdin.readline()\n"
        "for path in sys.argv[1:]: remember_mpp(Path(path), Mpp(0.5, 0.5))\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, slides[start::3])], stdin=subprocess.PIPE
        )
        for start in range(3)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
        worker.stdin.close()
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert [remembered_mpp(slide) for slide in slides] == [Mpp(0.5, 0.5)] * 12


def test_a_settings_folder_that_cannot_be_written(
    no_mpp_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(ExportError, match="may write to"):
        remember_mpp(no_mpp_slide, Mpp(0.5, 0.5))
    assert open_slide(no_mpp_slide).mpp is None
