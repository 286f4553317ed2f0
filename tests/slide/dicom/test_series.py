"""Which files of a DICOM series are one slide, and which are several."""

import shutil
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from pydicom import Dataset

from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode
from napari_xmag.slide.find import find_slides
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.open import list_images, open_slide
from tests.dicom_slides import write_dicom
from tests.slide.dicom.test_slide import HEIGHT, OTHER, PICTURE, WHOLE, WIDTH
from tests.slides import Pixels, shrink


def at(x: float, y: float, z: float | None = None) -> Callable[[Dataset], None]:
    """Return a change that states where a picture lies on the glass, in mm and µm."""

    def change(dataset: Dataset) -> None:
        origin = Dataset()
        origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = (
            f"{x}",
            f"{y}",
        )
        if z is not None:
            origin.ZOffsetInSlideCoordinateSystem = f"{z}"
        dataset.TotalPixelMatrixOriginSequence = [origin]

    return change


def assert_apart(folder: Path, pictures: dict[str, Pixels], levels: int = 1) -> None:
    """Check that a folder holds these pictures, by number and by the name of a file."""
    images = list_images(folder)
    assert [(i.width, i.height) for i in images] == [p.shape[1::-1] for p in pictures.values()]
    marks = set()
    for number, (name, picture) in enumerate(pictures.items(), 1):
        for slide in (open_slide(folder, image=number), open_slide(folder / name)):
            box = Box(0, 0, picture.shape[1], picture.shape[0])
            np.testing.assert_array_equal(slide.read(box, 0), picture)
            assert len(slide.levels) == levels
            assert slide.notes == ()
            marks.add(slide_fingerprint(slide.path, slide.image.index))
    assert len(marks) == len(pictures)


@pytest.mark.parametrize("place", [None, (20.0, 15.0)])
@pytest.mark.parametrize("levels", [1, 2])
def test_pictures_of_one_size_in_a_series_are_slides_of_their_own(
    tmp_path: Path, levels: int, place: tuple[float, float] | None
) -> None:
    for name, picture in (("a", PICTURE), ("b", OTHER)):
        where = at(10, 5) if name == "a" or place is None else at(*place)
        change = where if place else lambda dataset: None
        for factor in (1, 2)[:levels]:
            # the coarse levels come in the other order
            pixels = shrink(picture, factor) if factor > 1 else picture
            path = tmp_path / (f"{name}.dcm" if factor == 1 else f"{'zy'['ab'.index(name)]}.dcm")
            write_dicom(path, [pixels], kind="native", mpp=0.5 * factor, change=change)
    assert_apart(tmp_path, {"a.dcm": PICTURE, "b.dcm": OTHER}, levels)
    if levels > 1:
        np.testing.assert_array_equal(open_slide(tmp_path / "z.dcm").read(WHOLE, 0), PICTURE)
        np.testing.assert_array_equal(open_slide(tmp_path / "y.dcm").read(WHOLE, 0), OTHER)


def test_a_search_takes_each_picture_of_a_series(tmp_path: Path) -> None:
    for name, picture in (("a", PICTURE), ("b", OTHER)):
        write_dicom(tmp_path / f"{name}.dcm", [picture], kind="native")
    assert find_slides([tmp_path]).slides == (tmp_path,)
    (tmp_path / "other.svs").touch()
    names = [path.name for path in find_slides([tmp_path]).slides]
    assert names == ["a.dcm", "b.dcm", "other.svs"]


def test_two_exports_of_one_picture_are_two(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        write_dicom(tmp_path / name, [PICTURE], kind="native")
    assert_apart(tmp_path, {"a.dcm": PICTURE, "b.dcm": PICTURE})


@pytest.mark.parametrize("uid", ["1.2.3.4.5", ""])
def test_files_of_one_uid_with_other_contents_are_slides_of_their_own(
    tmp_path: Path, uid: str
) -> None:
    for name, picture in (("a", PICTURE), ("b", OTHER)):
        write_dicom(
            tmp_path / f"{name}.dcm", [picture], kind="native",
            change=lambda dataset: setattr(dataset, "SOPInstanceUID", uid),
        )  # fmt: skip
    assert_apart(tmp_path, {"a.dcm": PICTURE, "b.dcm": OTHER})
    shutil.copy(tmp_path / "b.dcm", tmp_path / "copy of b.dcm")
    assert_apart(tmp_path, {"a.dcm": PICTURE, "b.dcm": OTHER})
    assert_apart(tmp_path, {"a.dcm": PICTURE, "copy of b.dcm": OTHER})


def test_levels_of_one_uid_are_levels(tmp_path: Path) -> None:
    for factor in (1, 2):
        pixels = shrink(PICTURE, factor) if factor > 1 else PICTURE
        write_dicom(
            tmp_path / f"{factor}.dcm", [pixels], kind="native", mpp=0.5 * factor,
            change=lambda dataset: setattr(dataset, "SOPInstanceUID", "1.2.3.4.5"),
        )  # fmt: skip
    slide = open_slide(tmp_path)
    assert (len(slide.images), len(slide.levels)) == (1, 2)
    assert slide.notes == ()


def test_a_smaller_region_of_the_same_pixels_is_a_slide_of_its_own(tmp_path: Path) -> None:
    part = np.ascontiguousarray(OTHER[:300, :350])
    write_dicom(tmp_path / "a.dcm", [part], kind="native")
    write_dicom(tmp_path / "b.dcm", [PICTURE], kind="native")
    assert_apart(tmp_path, {"a.dcm": part, "b.dcm": PICTURE})


def test_a_region_elsewhere_is_no_level(tmp_path: Path) -> None:
    small = shrink(OTHER, 2)
    write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", change=at(1, 1))
    write_dicom(tmp_path / "b.dcm", [small], kind="native", mpp=1.0, change=at(20, 15))
    assert_apart(tmp_path, {"a.dcm": PICTURE, "b.dcm": small})


@pytest.mark.parametrize("wrong", ["spacing", "origin"])
def test_a_level_that_states_a_wrong_place_is_known_by_its_pixels(
    tmp_path: Path, wrong: str
) -> None:
    write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", change=at(1, 1))
    write_dicom(
        tmp_path / "b.dcm", [shrink(PICTURE, 2)], kind="native",
        mpp=0.5 if wrong == "spacing" else 1.0,
        change=at(20, 15) if wrong == "origin" else at(1, 1),
    )  # fmt: skip
    slide = open_slide(tmp_path)
    assert len(slide.images) == 1
    assert [level.downsample for level in slide.levels] == [1, 2]


def test_a_file_that_is_left_out_does_not_open_another(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native")
    write_dicom(tmp_path / "b.dcm", [shrink(OTHER, 2)], kind="native", mpp=1.0)
    (note,) = open_slide(tmp_path / "a.dcm").notes
    assert note.code is NoteCode.LEVEL_LEFT_OUT
    with pytest.raises(SlideOpenError, match="350×300"):
        open_slide(tmp_path / "b.dcm")


def test_a_second_file_of_one_level_that_shows_something_else_is_no_copy(tmp_path: Path) -> None:
    small = shrink(OTHER, 2)
    write_dicom(tmp_path / "c.dcm", [PICTURE], kind="native")
    write_dicom(tmp_path / "d.dcm", [shrink(PICTURE, 2)], kind="native", mpp=1.0)
    write_dicom(tmp_path / "b.dcm", [small], kind="native", mpp=1.0)
    assert [(image.width, image.height) for image in list_images(tmp_path)] == [
        (350, 300),
        (WIDTH, HEIGHT),
    ]
    assert len(open_slide(tmp_path / "c.dcm").levels) == 2
    np.testing.assert_array_equal(
        open_slide(tmp_path / "b.dcm").read(Box(0, 0, 350, 300), 0), small
    )


def test_levels_of_few_pixels_need_no_note(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (600, 700, 3), np.uint8)
    write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native")
    for factor in (64, 128):
        pixels = noise[: HEIGHT // factor, : WIDTH // factor]
        write_dicom(tmp_path / f"{factor}.dcm", [pixels], kind="native", mpp=0.5 * factor)
    slide = open_slide(tmp_path)
    assert len(slide.images) == 1
    assert slide.notes == ()
    np.testing.assert_array_equal(open_slide(tmp_path / "128.dcm").read(WHOLE, 0), PICTURE)


def blurred(pixels: Pixels, radius: float) -> Pixels:
    """Return a picture out of focus."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


@pytest.mark.parametrize("place", [None, (0.0, 0.0)])
def test_sections_with_a_focus_of_their_own_are_no_focal_planes(
    tmp_path: Path, place: tuple[float, float] | None
) -> None:
    for name, picture, depth in (("a", PICTURE, 31.2), ("b", OTHER, 28.9)):
        change = at(*place, depth) if place else partial(lift_all, depth=depth)
        write_dicom(tmp_path / f"{name}.dcm", [picture], kind="native", change=change)
        write_dicom(
            tmp_path / f"{name}2.dcm", [shrink(picture, 2)], kind="native", mpp=1.0, change=change
        )
    assert_apart(tmp_path, {"a.dcm": PICTURE, "b.dcm": OTHER}, levels=2)


def test_planes_out_of_focus_are_planes(tmp_path: Path) -> None:
    planes = [blurred(PICTURE, 6), PICTURE, blurred(PICTURE, 10)]
    for depth, pixels in enumerate(planes):
        write_dicom(tmp_path / f"{depth}.dcm", [pixels], kind="native", change=at(1, 1, depth))
    slide = open_slide(tmp_path)
    assert len(slide.images) == 1
    assert slide.image.focal_planes == 3
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)


@pytest.mark.parametrize("height", [0, 12])
def test_planes_whose_frames_tell_them_apart_may_share_an_origin(
    tmp_path: Path, height: int
) -> None:
    def change(dataset: Dataset, depth: int) -> None:
        at(10, 5, height)(dataset)
        dataset.TotalPixelMatrixFocalPlanes = 1
        for item in dataset.PerFrameFunctionalGroupsSequence:
            item.PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = f"{depth}"

    for depth, pixels in ((2, PICTURE), (4, blurred(PICTURE, 4)), (0, blurred(PICTURE, 3))):
        write_dicom(
            tmp_path / f"{depth}.dcm", [pixels], kind="native", order=range(9),
            change=partial(change, depth=depth),
        )  # fmt: skip
    slide = open_slide(tmp_path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    assert [plane.name for plane in slide.planes] == ["plane z = 0 µm", "plane z = 4 µm"]


def lift_all(dataset: Dataset, depth: float) -> None:
    """State the depth of all frames together, in µm, and no place on the glass."""
    position = Dataset()
    position.ZOffsetInSlideCoordinateSystem = f"{depth}"
    dataset.SharedFunctionalGroupsSequence[0].PlanePositionSlideSequence = [position]


@pytest.mark.parametrize("cuts", [(0, 4, 9), (0, 4, 7, 9)])
def test_parts_that_no_concatenation_joins_are_one_picture(
    tmp_path: Path, cuts: tuple[int, ...]
) -> None:
    # converters begin a new file after so many bytes, for each level by itself
    for start, end in pairwise(cuts):
        name = tmp_path / f"{start}.dcm"
        write_dicom(name, [PICTURE], kind="native", order=range(start, end))
    coarse = {"mpp": 1.0, "kind": "native", "order": range(4)}
    write_dicom(tmp_path / "coarse.dcm", [shrink(PICTURE, 2)], **coarse)
    assert [path.name for path in find_slides([tmp_path]).slides] == [tmp_path.name]
    for path in (tmp_path, *sorted(tmp_path.iterdir())):
        slide = open_slide(path)
        assert (len(slide.images), len(slide.levels), slide.notes) == (1, 2, ())
        np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)


def test_tiles_of_several_slides_are_never_put_together(tmp_path: Path) -> None:
    for name, picture in (("a", PICTURE), ("b", OTHER)):
        for start, end in ((0, 4), (4, 9)):
            path = tmp_path / f"{name}{start}.dcm"
            write_dicom(path, [picture], kind="native", order=range(start, end))
    assert len(list_images(tmp_path)) == 4


def test_files_of_one_plane_may_state_how_many_there_are_in_all(tmp_path: Path) -> None:
    for number in range(3):

        def change(dataset: Dataset, depth: float = 2.0 * number) -> None:
            at(10, 5, depth)(dataset)
            dataset.TotalPixelMatrixFocalPlanes = 3

        picture = np.clip(PICTURE.astype(int) - 15 * number, 0, 255).astype(np.uint8)
        write_dicom(tmp_path / f"{number}.dcm", [picture], kind="native", change=change)
    slide = open_slide(tmp_path)
    assert slide.image.focal_planes == 3
    assert [plane.name for plane in slide.planes] == ["plane z = 0 µm", "plane z = 4 µm"]
