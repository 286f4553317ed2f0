"""Which files are slides, and which of them are found below folders."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

import napari_xmag
from napari_xmag.slide.find import SLIDE_SUFFIXES, FoundSlides, find_slides, is_slide
from tests.dicom import COMPUTED_TOMOGRAPHY, write_header
from tests.slides import draw_section, write_pyramid

ROOT = Path(napari_xmag.__file__).parent
links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(found: FoundSlides, folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found.slides]


def reasons(found: FoundSlides, folder: Path) -> dict[str, str]:
    return {skipped.path.relative_to(folder).as_posix(): skipped.why for skipped in found.skipped}


def test_slides_in_and_below_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "b.svs", "uuid-1/a.ndpi", "uuid-2/deep/er/C.SVS", "table.csv", "uuid-1/x.csv")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["b.svs", "uuid-1/a.ndpi", "uuid-2/deep/er/C.SVS"]
    assert found.others == ((".csv", 2),)
    assert not found.skipped


def test_every_suffix_is_found(tmp_path: Path) -> None:
    make(tmp_path, *(f"slide{suffix}" for suffix in SLIDE_SUFFIXES))
    found = find_slides([tmp_path])
    # broken DICOM files of one folder are one slide, of which opening says what is wrong
    dicom = {".dcm", ".dicom", ".dic"}
    assert {path.suffix for path in found.slides} - dicom == set(SLIDE_SUFFIXES) - dicom
    assert len({path.suffix for path in found.slides} & dicom) == 1


def test_the_window_and_the_manual_know_the_same_suffixes() -> None:
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text(encoding="utf-8"))
    (reader,) = manifest["contributions"]["readers"]
    patterns = [pattern for pattern in reader["filename_patterns"] if pattern[0] == "*"]
    assert patterns == [f"*{suffix}" for suffix in SLIDE_SUFFIXES]
    manual = (ROOT.parent / "docs" / "open.md").read_text(encoding="utf-8")
    assert not [suffix for suffix in SLIDE_SUFFIXES if f"`{suffix}`" not in manual]


def test_hidden_files_and_folders_are_named_not_searched(tmp_path: Path) -> None:
    make(tmp_path, "a.svs", ".trash/b.svs", ".c.svs", "._a.svs", ".DS_Store")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["a.svs"]
    assert reasons(found, tmp_path) == {".trash": "hidden", ".c.svs": "hidden"}
    assert find_slides([tmp_path / ".trash"]).slides == (tmp_path / ".trash" / "b.svs",)


@links
def test_links_are_followed_once_and_circles_end(tmp_path: Path) -> None:
    make(tmp_path, "store/a.svs", "store/b.svs", "slides/c.svs")
    (tmp_path / "slides" / "named-a.svs").symlink_to(tmp_path / "store" / "a.svs")
    (tmp_path / "slides" / "again.svs").symlink_to("c.svs")
    (tmp_path / "slides" / "store").symlink_to(tmp_path / "store")
    (tmp_path / "slides" / "up").symlink_to("..")
    (tmp_path / "slides" / "self").symlink_to("self")
    (tmp_path / "slides" / "gone.svs").symlink_to("nowhere.svs")
    found = find_slides([tmp_path / "slides"])
    resolved = [path.resolve() for path in found.slides if path.exists()]
    assert sorted(path.name for path in resolved) == ["a.svs", "b.svs", "c.svs"]
    # a link to nothing stays, so that opening it says so
    assert tmp_path / "slides" / "gone.svs" in found.slides
    assert tmp_path / "slides" / "c.svs" in found.slides
    assert {skipped.path.name for skipped in found.skipped} >= {"again.svs"}


@links
def test_a_link_to_itself_is_a_slide_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "loop.svs").symlink_to("loop.svs")
    (tmp_path / "a.svs").touch()
    assert find_slides([tmp_path]).slides == (tmp_path / "a.svs", tmp_path / "loop.svs")
    assert find_slides([tmp_path / "loop.svs"]).slides == (tmp_path / "loop.svs",)


@links
def test_a_folder_of_links_alone(tmp_path: Path) -> None:
    make(tmp_path, "store/x/1.svs", "store/y/1.svs")
    (tmp_path / "cohort").mkdir()
    for name in "xy":
        target = tmp_path / "store" / name / "1.svs"
        (tmp_path / "cohort" / f"{name}.svs").symlink_to(target)
    found = find_slides([tmp_path / "cohort"])
    assert names(found, tmp_path / "cohort") == ["x.svs", "y.svs"]
    assert not found.skipped


def test_each_slide_once(tmp_path: Path) -> None:
    make(tmp_path, "a.svs", "below/b.svs")
    paths = [tmp_path / "a.svs", tmp_path, tmp_path / "below", tmp_path / "below" / ".." / "a.svs"]
    assert names(find_slides(paths), tmp_path) == ["a.svs", "below/b.svs"]


def test_unknown_paths_stay(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    paths = (tmp_path / "nowhere.svs", tmp_path / "empty", tmp_path / "notes.txt")
    assert find_slides(paths).slides == paths


def test_own_heat_maps_are_no_slides(tmp_path: Path) -> None:
    slide = write_pyramid(tmp_path / "case.ome.tif", draw_section(300, 200), factors=(1,))
    for name in ("results/case", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        tifffile.imwrite(
            tmp_path / name / "heatmap.ome.tif",
            np.zeros((2, 16, 16), np.float32),
            ome=True,
            software="napari-xmag 0.1.0",
        )
    make(tmp_path, "results/case/result.json", "heatmap.ome.tif")
    found = find_slides([tmp_path])
    # what is only called so stays
    assert found.slides == (slide, tmp_path / "heatmap.ome.tif")
    assert set(reasons(found, tmp_path)) == {
        "results/case/heatmap.ome.tif",
        "elsewhere/heatmap.ome.tif",
    }


def test_the_data_folder_of_a_mirax_slide_is_none(tmp_path: Path) -> None:
    make(tmp_path, "a.mrxs", "a/Slidedat.ini", "a/Data0000.dat", "a/stray.tif")
    make(tmp_path, "lost/Slidedat.ini", "lost/Data0000.dat")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["a.mrxs"]
    assert list(reasons(found, tmp_path)) == ["lost"]
    assert ".mrxs file is not beside it" in found.skipped[0].why


def test_a_folder_of_dicom_files_is_one_path(tmp_path: Path) -> None:
    for series, name in (("1.2.3", "level0"), ("1.2.3", "1.2.840.7"), ("1.2.4", "other.dcm")):
        write_header(tmp_path / "IMAGES" / name, series=series)
    make(tmp_path, "b.svs")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["IMAGES", "b.svs"]
    assert is_slide(tmp_path / "IMAGES")
    assert is_slide(tmp_path / "IMAGES" / "level0")
    assert find_slides([tmp_path / "IMAGES"]).slides == (tmp_path / "IMAGES",)


def test_an_export_with_an_index_is_searched_below_it(tmp_path: Path) -> None:
    write_header(tmp_path / "DICOMDIR", kind="")
    write_header(tmp_path / "DICOM" / "S1" / "I0")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["DICOM/S1"]
    assert not found.skipped


def test_dicom_slides_beside_others_are_one_file_each(tmp_path: Path) -> None:
    make(tmp_path, "a.svs")
    write_header(tmp_path / "small.dcm", series="1.2.3")
    write_header(tmp_path / "large.dcm", series="1.2.3", more=1000)
    write_header(tmp_path / "other", series="1.2.4")
    assert names(find_slides([tmp_path]), tmp_path) == ["a.svs", "large.dcm", "other"]


def test_dicom_of_other_kinds_is_named(tmp_path: Path) -> None:
    write_header(tmp_path / "ct" / "IM0001", kind=COMPUTED_TOMOGRAPHY)
    write_header(tmp_path / "slide" / "1.dcm")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["slide"]
    assert reasons(found, tmp_path) == {"ct/IM0001": "DICOM, but not a whole slide"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.svs")
    os.mkfifo(tmp_path / "pipe")
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == [] or found.slides == (tmp_path,)
    assert reasons(found, tmp_path)["pipe.svs"] == "no file"


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.svs", "locked/b.svs")
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_slides([tmp_path])
    assert names(found, tmp_path) == ["a.svs"]
    assert [(item.path.name, item.why) for item in found.unread] == [
        ("locked", "Permission denied")
    ]


def test_is_slide(tmp_path: Path) -> None:
    assert is_slide("x.SVS")
    assert is_slide("x.ome.tif")
    assert is_slide("x.qptiff")
    assert not is_slide("x.png")
    assert not is_slide(tmp_path)
    (tmp_path / "level.dcm").touch()
    assert is_slide(tmp_path)
