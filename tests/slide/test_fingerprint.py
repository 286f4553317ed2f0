"""What tells slides apart, and what does not."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from napari_xmag.geometry import Mpp
from napari_xmag.slide import fingerprint
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.mpp_store import remember_mpp
from napari_xmag.slide.open import open_slide
from tests.dicom import write_header
from tests.dicom_slides import write_dicom
from tests.slides import draw_section, write_pyramid

MB = 2**20


def test_it_is_of_the_content_never_of_the_name(pyramid_slide: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(pyramid_slide, tmp_path / "Präparat 2.tif"))
    copy.touch()
    assert slide_fingerprint(copy) == slide_fingerprint(pyramid_slide)
    with copy.open("ab") as stream:
        stream.write(b"\0")
    assert slide_fingerprint(copy) != slide_fingerprint(pyramid_slide)


def test_slides_of_the_same_size_and_ends_differ_by_their_pixels(tmp_path: Path) -> None:
    """Uncompressed, as some converters write them: header and end agree, and so does the size."""
    pixels = draw_section(600, 400, seed=1)
    other = pixels.copy()
    other[200, 300] = 0
    one, two = (
        write_pyramid(tmp_path / f"{name}.tif", picture, mpp=None, factors=(1,), compression=None)
        for name, picture in (("one", pixels), ("two", other))
    )
    first, second = one.read_bytes(), two.read_bytes()
    assert len(first) == len(second)
    assert (first[:65536], first[-65536:]) == (second[:65536], second[-65536:])
    assert slide_fingerprint(one) != slide_fingerprint(two)
    remember_mpp(one, Mpp(0.5, 0.5))
    assert open_slide(two).mpp is None
    assert open_slide(one).mpp == Mpp(0.5, 0.5)


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.77, 1])
def test_large_files_are_sampled_all_over(tmp_path: Path, place: float) -> None:
    """A twentieth of the file differs, wherever it lies: about one tissue piece of a slide."""
    size, part = 40 * MB, 2 * MB
    start = int(place * (size - part))
    for name in "ab":
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size)
            stream.seek(start)
            stream.write(np.random.default_rng(ord(name)).bytes(part))
    assert slide_fingerprint(tmp_path / "a") != slide_fingerprint(tmp_path / "b")
    assert slide_fingerprint(tmp_path / "a") == slide_fingerprint(tmp_path / "a")


def test_little_of_a_large_slide_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.svs"
    with path.open("wb") as stream:
        stream.truncate(10**10)  # a sparse file
    read = []
    blocks = fingerprint._blocks

    def counted(*args: object) -> object:
        for block in blocks(*args):
            read.append(len(block))
            yield block

    monkeypatch.setattr(fingerprint, "_blocks", counted)
    slide_fingerprint(path)
    assert sum(read) < 2 * MB


def test_pictures_of_a_file_are_slides_of_their_own(pyramid_slide: Path) -> None:
    marks = {slide_fingerprint(pyramid_slide, image) for image in (1, 2, 3)}
    assert len(marks) == 3
    assert slide_fingerprint(pyramid_slide) in marks


def test_an_mrxs_is_told_by_its_data_folder(tmp_path: Path) -> None:
    for name, data in (("a", b"A" * 100), ("b", b"B" * 100), ("c", b"A" * 100)):
        (tmp_path / f"{name}.mrxs").write_bytes(b"the same preview")
        (tmp_path / name).mkdir()
        (tmp_path / name / "Slidedat.ini").write_text("[GENERAL]\n")
        (tmp_path / name / "Data0000.dat").write_bytes(data)
    a, b, c = (slide_fingerprint(tmp_path / f"{name}.mrxs") for name in "abc")
    assert a != b
    assert a == c


def test_a_vms_is_told_by_the_pictures_that_it_names(tmp_path: Path) -> None:
    for name, pixels in (("a", b"A" * 100), ("b", b"B" * 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "slide.vms").write_text(
            "[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=slide.jpg\nMapFile=map.jpg\n"
        )
        (tmp_path / name / "slide.jpg").write_bytes(pixels)
    marks = [slide_fingerprint(tmp_path / name / "slide.vms") for name in "ab"]
    assert marks[0] != marks[1]
    (tmp_path / "a" / "unrelated.jpg").write_bytes(b"not of this slide")
    assert slide_fingerprint(tmp_path / "a" / "slide.vms") == marks[0]


def test_a_link_is_what_it_names(pyramid_slide: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tiff"
    try:
        link.symlink_to(pyramid_slide)
    except OSError:
        pytest.skip("links need rights on Windows")
    assert slide_fingerprint(link) == slide_fingerprint(pyramid_slide)


def test_dicom_is_told_by_its_series_from_any_of_its_files(tmp_path: Path) -> None:
    for level, more in (("level0", 5000), ("level1", 100)):
        write_header(tmp_path / "a" / level, series="1.2.3", more=more)
        write_header(tmp_path / "b" / level, series="1.2.4", more=more)
    a, b = slide_fingerprint(tmp_path / "a"), slide_fingerprint(tmp_path / "b")
    assert a != b
    assert {slide_fingerprint(tmp_path / "a" / level) for level in ("level0", "level1")} == {a}
    # a thumbnail that comes later makes no other slide of it
    write_header(tmp_path / "a" / "thumbnail.dcm", series="1.2.3", more=10)
    assert slide_fingerprint(tmp_path / "a") == a


def test_dicom_of_one_series_uid_is_told_by_its_pixels(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_header(tmp_path / name / "level0", instance="1.9", more=5000, fill=name.encode())
    assert slide_fingerprint(tmp_path / "a") != slide_fingerprint(tmp_path / "b")


def test_two_series_in_a_folder_are_two_slides_wherever_they_lie(tmp_path: Path) -> None:
    write_header(tmp_path / "both" / "1.dcm", series="1.2.3", more=100)
    write_header(tmp_path / "both" / "2.dcm", series="1.2.4", more=100)
    first, second = (slide_fingerprint(tmp_path / "both", image) for image in (1, 2))
    assert len({first, second, slide_fingerprint(tmp_path / "both", 3)}) == 3
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "both" / "2.dcm", tmp_path / "alone")
    assert slide_fingerprint(tmp_path / "alone") == second
    assert slide_fingerprint(tmp_path / "both" / "2.dcm") == second


def write_stacks(folder: Path, values: dict[str, int]) -> list[str]:
    """Write a stack of three planes for each name, and return the marks of all planes."""
    for number, (name, value) in enumerate(values.items(), 1):
        planes = [np.full((300, 300, 3), value + 10 * plane, np.uint8) for plane in range(3)]
        write_dicom(
            folder / f"{name}.dcm", planes, kind="native", series=f"1.2.3.{number}", mpp=None
        )
    return [slide_fingerprint(folder, image) for image in range(1, 7)]


def test_a_focal_plane_is_told_by_its_own_slide_however_it_is_opened(tmp_path: Path) -> None:
    marks = write_stacks(tmp_path, {"a": 50, "b": 150})
    assert len(set(marks)) == 6
    for number, name in enumerate("ab"):
        own = [marks[number], *marks[2 + 2 * number : 4 + 2 * number]]
        assert [slide_fingerprint(tmp_path / f"{name}.dcm", image) for image in (1, 2, 3)] == own
    remember_mpp(tmp_path, Mpp(0.5, 0.5), 3)  # the first plane of a
    assert open_slide(tmp_path / "a.dcm", image=2).mpp == Mpp(0.5, 0.5)
    for image in (1, 3):
        assert open_slide(tmp_path / "a.dcm", image=image).mpp is None
        assert open_slide(tmp_path / "b.dcm", image=image).mpp is None
    others = write_stacks(tmp_path, {"a": 51})
    assert [old == new for old, new in zip(marks, others, strict=True)] == [
        False, True, False, False, True, True,
    ]  # fmt: skip


def test_a_focal_plane_in_a_file_of_its_own_is_told_by_that_file(tmp_path: Path) -> None:
    def write(values: tuple[int, ...]) -> list[str]:
        for depth, value in enumerate(values):
            write_dicom(
                tmp_path / f"{depth}.dcm", [np.full((300, 300, 3), value, np.uint8)],
                kind="native", change=partial(lift, depth=depth),
            )  # fmt: skip
        return [slide_fingerprint(tmp_path, image) for image in (1, 2, 3)]

    before, after = write((50, 60, 70)), write((50, 60, 71))
    assert before[1] == after[1]
    assert before[2] != after[2]


def lift(dataset: Dataset, depth: int) -> None:
    """State the depth of a picture, in µm."""
    place = Dataset()
    place.ZOffsetInSlideCoordinateSystem = f"{depth}"
    dataset.SharedFunctionalGroupsSequence[0].PlanePositionSlideSequence = [place]


def test_an_index_lists_slides_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [
        write_header(tmp_path / "DICOM" / name / "I0", series=name, more=100)
        for name in ("1.2.3", "1.2.4")
    ]
    write_header(tmp_path / "DICOMDIR", kind="")
    monkeypatch.setattr("napari_xmag.slide.dicom.instances.listed_files", lambda _: files)
    marks = [slide_fingerprint(file) for file in files]
    assert marks[0] != marks[1]
    for path in (tmp_path, tmp_path / "DICOMDIR"):
        assert [slide_fingerprint(path, image) for image in (1, 2)] == marks


@pytest.mark.real_data
def test_real_slides_all_differ(real_slides: Path) -> None:
    marks = [slide_fingerprint(path) for path in sorted(real_slides.iterdir())]
    assert len(set(marks)) == len(marks)
    folder = real_slides / "dicom-cmu-1-small-region"
    assert {slide_fingerprint(file) for file in folder.iterdir()} == {slide_fingerprint(folder)}
