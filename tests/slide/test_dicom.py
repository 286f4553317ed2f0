"""DICOM slides: levels, series, planes and colours, as they are and as they are mislabelled."""

import gc
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.fileset import FileSet

from napari_xmag.errors import SlideOpenError, TileReadError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import MppSource, NoteCode, Slide
from napari_xmag.slide.find import is_slide
from napari_xmag.slide.open import list_images, open_slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from tests.dicom_slides import TILE, jpeg2000_frame, to_ycbcr, write_dicom
from tests.slide.test_scale import assert_in_place, marked, padded
from tests.slides import Pixels, draw_section, shrink

WIDTH, HEIGHT = 700, 600
PICTURE = draw_section(WIDTH, HEIGHT, seed=8)
OTHER = draw_section(WIDTH, HEIGHT, seed=9)
WHOLE = Box(0, 0, WIDTH, HEIGHT)


def shade(value: int, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Return a plane of one grey, which tells it from other planes."""
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "lossy", "rle", "native"])
def test_every_syntax_gives_the_picture(tmp_path: Path, kind: str) -> None:
    slide = open_slide(write_dicom(tmp_path / "a.dcm", [PICTURE], kind=kind))
    seen = slide.read(WHOLE, 0).astype(int)
    assert np.abs(seen - PICTURE).mean() < (3 if kind == "jpeg" else 1e-9)
    assert slide.mpp == Mpp(0.5, 0.5)
    assert slide.mpp_source is MppSource.DICOM
    assert slide.objective_power == 20
    assert slide.tile_size == (TILE, TILE)
    assert slide.notes == ()


def test_spacing_is_kept_for_each_axis(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], mpp=(0.5, 0.25))
    assert open_slide(path).mpp == Mpp(0.5, 0.25)


@pytest.mark.parametrize("stated", ["PixelSpacing", "ImagedVolume"])
def test_padded_levels_keep_places(tmp_path: Path, stated: str) -> None:
    for factor in (1, 2, 4):
        pixels = marked() if factor == 1 else padded(shrink(marked(), factor))
        mpp = 0.5 * factor
        spacing = {"mpp": mpp} if stated == "PixelSpacing" else {"mpp": None}
        write_dicom(
            tmp_path / f"{factor}.dcm", [pixels], kind="native", volume_mpp=(mpp, mpp), **spacing
        )
    slide = open_slide(tmp_path)
    assert [level.downsample for level in slide.levels] == [1, 2, 4]
    assert [(level.width, level.height) for level in slide.levels[1:]] == [(1050, 700), (525, 350)]
    assert_in_place(slide)


def test_two_slides_in_a_folder_are_never_mixed(tmp_path: Path) -> None:
    for number, picture in enumerate((PICTURE, OTHER), 1):
        for factor in (1, 2):
            pixels = shrink(picture, factor) if factor > 1 else picture
            write_dicom(
                tmp_path / f"level{factor}-{number}.dcm", [pixels], kind="native",
                series=f"1.2.3.{number}", mpp=0.5 * factor,
            )  # fmt: skip
    images = list_images(tmp_path)
    assert [(image.index, image.width, image.name) for image in images] == [
        (1, WIDTH, "series 1"),
        (2, WIDTH, "series 2"),
    ]
    for image, picture in zip(images, (PICTURE, OTHER), strict=True):
        slide = open_slide(tmp_path, image=image.index)
        assert len(slide.levels) == 2
        np.testing.assert_array_equal(slide.read(WHOLE, 0), picture)
        np.testing.assert_array_equal(slide.read(WHOLE, 1), shrink(picture, 2))
    (note,) = open_slide(tmp_path).notes
    assert note.code is NoteCode.OTHER_IMAGES
    one = open_slide(tmp_path / "level2-2.dcm")
    assert len(one.images) == 1
    np.testing.assert_array_equal(one.read(WHOLE, 0), OTHER)


def test_two_containers_in_one_series_are_two_slides(tmp_path: Path) -> None:
    for name, picture in (("A", PICTURE), ("B", OTHER)):
        write_dicom(tmp_path / f"{name}.dcm", [picture], kind="native", container=name)
    assert len(list_images(tmp_path)) == 2
    np.testing.assert_array_equal(open_slide(tmp_path, image=2).read(WHOLE, 0), OTHER)


def test_label_and_overview_are_no_slides(tmp_path: Path) -> None:
    write_dicom(tmp_path / "slide.dcm", [PICTURE], kind="native")
    for flavor in ("LABEL", "OVERVIEW", "THUMBNAIL"):
        write_dicom(tmp_path / f"{flavor}.dcm", [OTHER], flavor=flavor)
    slide = open_slide(tmp_path)
    assert len(slide.images) == 1
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    (tmp_path / "slide.dcm").unlink()
    with pytest.raises(SlideOpenError, match="levels of a DICOM whole slide"):
        open_slide(tmp_path)


def test_files_without_suffix(tmp_path: Path) -> None:
    folder = tmp_path / "IMAGES"
    folder.mkdir()
    write_dicom(folder / "level0", [PICTURE], kind="native")
    write_dicom(folder / "1.2.840.1", [shrink(PICTURE, 2)], kind="native", mpp=1.0)
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "README").write_text("not DICOM either")
    assert is_slide(folder)
    assert is_slide(folder / "level0")
    assert not is_slide(folder / "README")
    for path in (folder, folder / "level0"):
        slide = open_slide(path)
        assert len(slide.levels) == 2
        np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)


def test_a_dicomdir_opens_what_it_lists(tmp_path: Path) -> None:
    source = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", change=_identify)
    folder = tmp_path / "disc"
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # it leaves its own folder to the collector
        files = FileSet()
        files.add(source)
        files.write(folder)
        del files
        gc.collect()
    assert is_slide(folder)
    for path in (folder, folder / "DICOMDIR"):
        np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


def _identify(dataset: Dataset) -> None:
    """Add what a DICOMDIR needs of each file."""
    dataset.PatientID, dataset.PatientName, dataset.StudyID = "1", "X", "1"
    dataset.StudyDate, dataset.StudyTime, dataset.InstanceNumber = "20260101", "120000", 1


def test_companions_are_sought_beside_a_link_s_target(tmp_path: Path) -> None:
    real, links = tmp_path / "real", tmp_path / "links"
    real.mkdir()
    links.mkdir()
    write_dicom(real / "level0.dcm", [PICTURE], kind="native")
    write_dicom(real / "level1.dcm", [shrink(PICTURE, 2)], kind="native", mpp=1.0)
    link = links / "slide.dcm"
    link.symlink_to(real / "level0.dcm")
    slide = open_slide(link)
    assert slide.path == link
    assert len(slide.levels) == 2
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)


@pytest.mark.parametrize("how", ["full", "sparse", "files"])
def test_the_middle_focal_plane_is_read_and_said(tmp_path: Path, how: str) -> None:
    planes = [shade(40), PICTURE, shade(200)]
    if how == "files":
        for number, plane in enumerate(planes):
            write_dicom(
                tmp_path / f"{number}.dcm", [plane], kind="native",
                change=lambda dataset, depth=number: _lift(dataset, depth),
            )  # fmt: skip
    else:
        tiles = 3 * (-(-WIDTH // TILE) * -(-HEIGHT // TILE))
        order = None if how == "full" else np.random.default_rng(1).permutation(tiles).tolist()
        write_dicom(tmp_path / "z.dcm", planes, kind="native", order=order)
    slide = open_slide(tmp_path)
    assert slide.image.focal_planes == 3
    np.testing.assert_array_equal(slide.read(WHOLE, 0), PICTURE)
    (note,) = slide.notes
    assert note.code is NoteCode.FOCAL_PLANES
    assert "3 focal planes" in note.words


@pytest.mark.parametrize("stated", [True, False])
def test_a_file_that_shows_something_else_is_no_level(tmp_path: Path, stated: bool) -> None:
    small = shrink(PICTURE, 2)
    for name, pixels, mpp in (("a", PICTURE, 0.5), ("b", small[..., ::-1], 1.0)):
        kept = np.ascontiguousarray(pixels)
        write_dicom(tmp_path / f"{name}.dcm", [kept], kind="native", mpp=mpp if stated else None)
    slide = open_slide(tmp_path)
    assert [level.downsample for level in slide.levels] == [1]
    assert [note.code for note in slide.notes] == [NoteCode.LEVEL_LEFT_OUT]


def _lift(dataset: Dataset, depth: int) -> None:
    position = Dataset()
    position.ZOffsetInSlideCoordinateSystem = f"{depth}"
    dataset.SharedFunctionalGroupsSequence[0].PlanePositionSlideSequence = [position]


def test_copies_of_a_level_are_named(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        write_dicom(tmp_path / name, [PICTURE], kind="native")
    (note,) = open_slide(tmp_path).notes
    assert note.code is NoteCode.LEVEL_LEFT_OUT
    assert note.words.startswith("1 more of 700×600")


def test_the_same_file_twice_is_one(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native")
    shutil.copy(path, tmp_path / "copy.dcm")
    assert open_slide(tmp_path).notes == ()


def test_sparse_tiles_leave_glass_where_nothing_was_scanned(tmp_path: Path) -> None:
    columns, rows = -(-WIDTH // TILE), -(-HEIGHT // TILE)
    order = [index for index in range(columns * rows) if index % columns != 1][::-1]
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", order=order)
    slide = open_slide(path)
    seen = slide.read(WHOLE, 0)
    np.testing.assert_array_equal(seen[:, :TILE], PICTURE[:, :TILE])
    assert (seen[:, TILE : 2 * TILE] == 255).all()
    scanned = slide.scanned(WHOLE, 0)  # type: ignore[attr-defined]
    assert not scanned[:, TILE : 2 * TILE].any()
    assert scanned[:, :TILE].all()


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


def test_two_frames_at_one_place_are_refused(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            light = Dataset()
            light.OpticalPathIdentifier = str(number // TILES)
            item.OpticalPathIdentificationSequence = [light]
            item.PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = "0"

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


@pytest.mark.parametrize("photometric", ["YBR_ICT", "YBR_RCT", "YBR_FULL_422", "YBR_FULL", "RGB"])
@pytest.mark.parametrize("stored", ["YCbCr", "RGB", "transformed"])
def test_jpeg_2000_by_its_stream_and_its_glass(
    tmp_path: Path, photometric: str, stored: str
) -> None:
    def encode(tile: Pixels) -> bytes:
        return jpeg2000_frame(tile, ycbcr=stored == "YCbCr", transform=stored == "transformed")

    path = write_dicom(
        tmp_path / "a.dcm", [PICTURE], kind="lossy", photometric=photometric, encode=encode
    )
    seen = open_slide(path).read(WHOLE, 0).astype(int)
    assert np.abs(seen - PICTURE).max() <= 3


def test_jpeg_that_is_called_rgb(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], photometric="RGB")
    assert np.abs(open_slide(path).read(WHOLE, 0).astype(int) - PICTURE).mean() < 3


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_ycbcr_without_compression(tmp_path: Path, photometric: str) -> None:
    def encode(tile: Pixels) -> bytes:
        ycbcr = to_ycbcr(tile)
        if photometric == "YBR_FULL":
            return ycbcr.tobytes()
        pairs = np.dstack([ycbcr[:, ::2, 0], ycbcr[:, 1::2, 0], ycbcr[:, ::2, 1:]])
        return pairs.tobytes()

    path = write_dicom(
        tmp_path / "a.dcm", [PICTURE], kind="native", photometric=photometric, encode=encode
    )
    seen = open_slide(path).read(WHOLE, 0).astype(int)
    assert np.abs(seen - PICTURE).mean() < (1.5 if photometric == "YBR_FULL" else 8)
    assert np.abs(seen[:8, :8] - 243).max() < 10


@pytest.mark.parametrize("bits", [16, 12])
def test_deeper_bits_are_scaled(tmp_path: Path, bits: int) -> None:
    deep = np.rint(PICTURE / 255 * (2**bits - 1)).astype(np.uint16)

    def change(dataset: Dataset) -> None:
        dataset.BitsStored, dataset.HighBit = bits, bits - 1

    path = write_dicom(tmp_path / "a.dcm", [deep], kind="native", change=change)  # type: ignore[list-item]
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


def test_planar_colours(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", [PICTURE], kind="native",
        encode=lambda tile: np.moveaxis(tile, 2, 0).tobytes(),
        change=lambda dataset: setattr(dataset, "PlanarConfiguration", 1),
    )  # fmt: skip
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


@pytest.mark.parametrize("table", ["basic", "none", "extended"])
def test_frames_are_found_with_and_without_a_table(tmp_path: Path, table: str) -> None:
    from pydicom.encaps import encapsulate, encapsulate_extended

    def change(dataset: Dataset) -> None:
        from pydicom.encaps import generate_frames

        frames = list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))
        if table == "extended":
            data, offsets, lengths = encapsulate_extended(frames)
            dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
        else:
            # Without a table frames of several fragments are told apart by how they begin.
            data = encapsulate(frames, fragments_per_frame=2, has_bot=table == "basic")
        dataset.PixelData = data

    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="jpeg2000", change=change)
    np.testing.assert_array_equal(open_slide(path).read(WHOLE, 0), PICTURE)


@pytest.mark.parametrize("kind", ["jpeg2000", "native"])
def test_a_file_that_was_cut_opens_and_says_so(tmp_path: Path, kind: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind=kind)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    slide = open_slide(path)
    (note,) = slide.notes
    assert note.code is NoteCode.DAMAGED
    np.testing.assert_array_equal(slide.read(Box(0, 0, 256, 256), 0), PICTURE[:256, :256])
    with pytest.raises(TileReadError):
        slide.read(Box(512, 512, 100, 80), 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: setattr(d, "NumberOfOpticalPaths", 4), "4 optical paths"),
        (lambda d: setattr(d, "PhotometricInterpretation", "PALETTE COLOR"), "PALETTE COLOR"),
        (lambda d: setattr(d, "BitsAllocated", 32), "32 bits"),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "lacks"),
        (lambda d: delattr(d, "ImageType"), "lacks"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(
    tmp_path: Path, change: object, words: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], kind="native", change=change)  # type: ignore[arg-type]
    with pytest.raises(SlideOpenError, match=words):
        open_slide(path)
