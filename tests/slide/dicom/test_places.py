"""Frames that lie in several files, in several planes, or nowhere."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate

from napari_xmag.errors import SlideOpenError, TileReadError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode, Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from tests.dicom_slides import TILE, Encode, jpeg2000_frame, jpeg_frame, tiles_of, write_dicom
from tests.slide.dicom.test_slide import HEIGHT, OTHER, PICTURE, WHOLE, WIDTH, shade
from tests.slides import Pixels

TILES = -(-WIDTH // TILE) * -(-HEIGHT // TILE)
PARTS = ((0, 4), (4, 7), (7, TILES))


def write_parts(
    folder: Path,
    *,
    planes: Sequence[Pixels] = (PICTURE,),
    parts: Sequence[tuple[int, int]] = PARTS,
    sparse: bool = False,
    change: Callable[[Dataset], None] = lambda dataset: None,
) -> None:
    """Write a concatenation of parts 1.dcm, 2.dcm, ... of these frames."""
    for number, (start, stop) in enumerate(parts, 1):

        def cut(
            dataset: Dataset, number: int = number, start: int = start, stop: int = stop
        ) -> None:
            dataset.ConcatenationUID = "1.2.3.99"
            dataset.InConcatenationNumber = number
            dataset.InConcatenationTotalNumber = len(parts)
            dataset.ConcatenationFrameOffsetNumber = start
            size = TILE * TILE * 3
            dataset.PixelData = dataset.PixelData[start * size : stop * size]
            dataset.NumberOfFrames = stop - start
            if sparse:
                groups = dataset.PerFrameFunctionalGroupsSequence
                dataset.PerFrameFunctionalGroupsSequence = groups[start:stop]
            change(dataset)

        write_dicom(
            folder / f"{number}.dcm", planes, kind="native", change=cut,
            order=range(len(planes) * TILES) if sparse else None,
        )  # fmt: skip


def test_a_concatenation_is_one_level(tmp_path: Path) -> None:
    write_parts(tmp_path)
    (tmp_path / "1.dcm").rename(tmp_path / "4.dcm")
    slide = open_slide(tmp_path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    assert slide.notes == ()


def assert_lost(slide: Slide, lost: Sequence[int]) -> None:
    """Check that exactly these tiles cannot be read, that they are hatched and are no glass."""
    shown = np.asarray(dask_pyramid(slide)[0])
    unreadable = read_overview(slide).unreadable
    for index in range(TILES):
        y, x = (TILE * place for place in divmod(index, -(-WIDTH // TILE)))
        box = Box(x, y, min(TILE, WIDTH - x), min(TILE, HEIGHT - y))
        place = np.s_[y : y + TILE, x : x + TILE]
        middle = tuple(int((a + b / 2) / 16) for a, b in ((y, box.height), (x, box.width)))
        assert unreadable[middle] or index not in lost
        if index not in lost:
            np.testing.assert_array_equal(slide.read(box, 0), PICTURE[place])
            continue
        with pytest.raises(TileReadError):
            slide.read(box, 0)
        assert {tuple(c) for c in shown[place].reshape(-1, 3).tolist()} == {(120,) * 3, (200,) * 3}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_missing_part_is_named_and_never_glass(tmp_path: Path, number: int, sparse: bool) -> None:
    write_parts(tmp_path, sparse=sparse)
    (tmp_path / f"{number}.dcm").unlink()
    slide = open_slide(tmp_path)
    (note,) = slide.notes
    assert note.code is NoteCode.DAMAGED
    assert f"part {number} of 3 is missing" in note.words
    lost = range(*PARTS[number - 1])
    assert f"{100 * len(lost) / TILES:.2g} % of the slide" in note.words
    assert_lost(slide, lost)


def test_a_sparse_part_that_may_be_missing_is_noted(tmp_path: Path) -> None:
    write_parts(
        tmp_path, sparse=True,
        change=lambda dataset: delattr(dataset, "InConcatenationTotalNumber"),
    )  # fmt: skip
    assert open_slide(tmp_path).notes == ()
    (tmp_path / "3.dcm").unlink()
    (note,) = open_slide(tmp_path).notes
    assert note.code is NoteCode.DAMAGED
    assert f"{TILES - 7} of the level of {WIDTH}×{HEIGHT} pixels" in note.words


def test_a_frame_too_few_is_lost(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.NumberOfFrames = TILES - 2
        dataset.PixelData = dataset.PixelData[: (TILES - 2) * TILE * TILE * 3]

    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", change=change)
    slide = open_slide(path)
    (note,) = slide.notes
    assert note.code is NoteCode.DAMAGED
    assert f"{TILES - 2} of the {TILES} frames" in note.words
    assert_lost(slide, (TILES - 2, TILES - 1))


def test_a_part_missing_before_one_that_does_not_state_its_place_is_refused(
    tmp_path: Path,
) -> None:
    write_parts(tmp_path, change=lambda dataset: delattr(dataset, "ConcatenationFrameOffsetNumber"))
    np.testing.assert_array_equal(open_slide(tmp_path).read(WHOLE, 0), PICTURE)
    (tmp_path / "2.dcm").unlink()
    with pytest.raises(SlideOpenError, match="part 2 missing"):
        open_slide(tmp_path)


PLANES = [(TILES * plane, TILES * (plane + 1)) for plane in range(3)]


@pytest.mark.parametrize("sparse", [False, True])
def test_the_middle_plane_is_read_where_the_last_is_missing(tmp_path: Path, sparse: bool) -> None:
    planes = (shade(40), PICTURE, shade(200))
    write_parts(tmp_path, planes=planes, parts=PLANES, sparse=sparse)
    (tmp_path / "3.dcm").unlink()
    slide = open_slide(tmp_path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    assert "part 3 of 3 is missing" in " ".join(note.words for note in slide.notes)


def test_a_neighbour_is_read_where_the_middle_plane_is_missing(tmp_path: Path) -> None:
    write_parts(tmp_path, planes=(PICTURE, shade(40), shade(200)), parts=PLANES)
    (tmp_path / "2.dcm").unlink()
    slide = open_slide(tmp_path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    words = " ".join(note.words for note in slide.notes)
    assert "part 2 of 3 is missing" in words
    assert "only number 1 is read" in words


@pytest.mark.parametrize("planes", [1, 3])
def test_tiles_that_were_focused_one_by_one_are_one_plane(tmp_path: Path, planes: int) -> None:
    def change(dataset: Dataset) -> None:
        for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            place = item.PlanePositionSlideSequence[0]
            depth = 5 * (number // TILES) + 0.3 * (number % TILES)
            place.ZOffsetInSlideCoordinateSystem = f"{depth:g}"

    stack = [shade(40), PICTURE, shade(200)] if planes == 3 else [PICTURE]
    path = write_dicom(
        tmp_path / "a.dcm", stack, kind="native", order=range(planes * TILES), change=change
    )
    slide = open_slide(path)
    assert slide.image.focal_planes == planes
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)


def test_absurdly_many_planes_are_refused(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", [PICTURE], kind="native",
        change=lambda dataset: setattr(dataset, "TotalPixelMatrixFocalPlanes", 2**31),
    )  # fmt: skip
    with pytest.raises(SlideOpenError, match="focal planes"):
        open_slide(path)


@pytest.mark.parametrize("focused", [False, True])
def test_two_frames_at_one_place_are_refused(tmp_path: Path, focused: bool) -> None:
    def change(dataset: Dataset) -> None:
        for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            light = Dataset()
            light.OpticalPathIdentifier = str(number // TILES)
            item.OpticalPathIdentificationSequence = [light]
            depth = number if focused else 0
            item.PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = f"{depth}"

    order = range(2 * TILES)
    path = write_dicom(
        tmp_path / "a.dcm", [PICTURE, OTHER], kind="native", order=order, change=change
    )
    with pytest.raises(SlideOpenError, match="2 optical paths"):
        open_slide(path)


def test_a_second_optical_path_is_no_focal_plane(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.TotalPixelMatrixFocalPlanes = 1
        dataset.OpticalPathSequence = [dataset.OpticalPathSequence[0], Dataset()]

    path = write_dicom(tmp_path / "a.dcm", [PICTURE, OTHER], kind="native", change=change)
    with pytest.raises(SlideOpenError, match="2 optical paths"):
        open_slide(path)


def test_a_picture_that_cannot_be_shown_is_named_beside_others(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native")
    write_dicom(
        tmp_path / "b.dcm", [OTHER], kind="native", series="1.2.3.2",
        change=lambda dataset: setattr(dataset, "NumberOfOpticalPaths", 4),
    )  # fmt: skip
    (note,) = open_slide(tmp_path).notes
    assert note.code is NoteCode.PICTURE_LEFT_OUT
    assert "4 optical paths" in note.words


REGION = [*range(TILES), *(TILES * plane + 4 for plane in (1, 2))]


def test_planes_of_a_region_leave_no_glass_around_it(tmp_path: Path) -> None:
    planes = [PICTURE, shade(40), shade(200)]
    path = write_dicom(tmp_path / "a.dcm", planes, kind="native", order=REGION)
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    (note,) = slide.notes
    assert "only number 1 is read" in note.words
    other = open_slide(path, image="plane z = 3 µm")
    seen = other.read(WHOLE, 0)
    assert (seen[TILE : 2 * TILE, TILE : 2 * TILE] == 200).all()
    np.testing.assert_array_equal(seen[:TILE], PICTURE[:TILE])
    assert f"{TILES - 1} of the level of {WIDTH}×{HEIGHT} pixels" in other.notes[-1].words


def test_planes_of_a_region_in_files_of_their_own_leave_no_glass(tmp_path: Path) -> None:
    for plane, pixels in enumerate((PICTURE, shade(40), shade(200))):
        # as planes of one file state them: the depth of each frame
        first = plane * TILES
        write_dicom(
            tmp_path / f"{plane}.dcm", [pixels] * (plane + 1), kind="native",
            order=[first + 4] if plane else range(TILES),
            change=lambda dataset: setattr(dataset, "TotalPixelMatrixFocalPlanes", 1),
        )  # fmt: skip
    slide = open_slide(tmp_path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    assert [plane.name for plane in slide.planes] == ["plane z = 1.5 µm", "plane z = 3 µm"]
    words = open_slide(tmp_path, image=3).notes[-1].words
    assert f"{TILES - 1} of the level of {WIDTH}×{HEIGHT} pixels" in words
    assert "glass" in words


def test_a_tile_focused_less_often_than_others_is_no_glass(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            item.PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = f"{number}"

    order = [index for index in range(4 * TILES) if index < TILES or index % TILES != 4]
    path = write_dicom(tmp_path / "a.dcm", [PICTURE] * 4, kind="native", order=order, change=change)
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    assert len(slide.notes) == 1


@pytest.mark.parametrize(
    ("kind", "frame", "label"),
    [
        ("jpeg", jpeg_frame, "RGB"),
        ("jpeg2000", partial(jpeg2000_frame, ycbcr=True, transform=False), "RGB"),
        ("jpeg2000", partial(jpeg2000_frame, transform=False), "YBR_ICT"),
    ],
)
def test_colours_are_told_by_the_part_that_is_read(
    tmp_path: Path, kind: str, frame: Encode, label: str
) -> None:
    planes = [shade(40), PICTURE, shade(200)]
    frames = [frame(tile) for plane in planes for tile in tiles_of(plane)]

    def part(dataset: Dataset, start: int) -> None:
        dataset.ConcatenationUID = "1.2.3.99"
        dataset.InConcatenationNumber, dataset.InConcatenationTotalNumber = start // TILES + 1, 3
        dataset.ConcatenationFrameOffsetNumber, dataset.NumberOfFrames = start, TILES
        dataset.PixelData = encapsulate(frames[start : start + TILES])

    for start in (0, TILES, 2 * TILES):
        write_dicom(
            tmp_path / f"{start}.dcm", planes, kind=kind, encode=frame, photometric=label,
            change=partial(part, start=start),
        )  # fmt: skip
    slide = open_slide(tmp_path)
    assert {note.code for note in slide.notes} == {NoteCode.FOCAL_PLANES}
    assert abs(slide.read(WHOLE, 0).astype(int) - PICTURE).mean() < 3


def test_parts_that_are_stored_in_different_ways_are_refused(tmp_path: Path) -> None:
    write_parts(
        tmp_path,
        change=lambda dataset: setattr(
            dataset, "PlanarConfiguration", dataset.InConcatenationNumber % 2
        ),
    )
    with pytest.raises(SlideOpenError, match="stored in different ways"):
        open_slide(tmp_path)
