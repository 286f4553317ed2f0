"""DICOM slides: levels, series, planes and colours, as they are and as they are mislabelled."""

import gc
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.fileset import FileSet

from napari_xmag.errors import SlideOpenError, TileReadError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.base import MppSource, NoteCode
from napari_xmag.slide.find import is_slide
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.open import list_images, open_slide
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


def test_spacing_may_be_stated_with_each_frame(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
        del dataset.SharedFunctionalGroupsSequence
        for item in dataset.PerFrameFunctionalGroupsSequence:
            item.PixelMeasuresSequence = measures

    path = tmp_path / "a.dcm"
    write_dicom(path, [PICTURE], mpp=(0.5, 0.6), kind="native", order=range(9), change=change)
    assert open_slide(path).mpp == Mpp(0.5, 0.6)


@pytest.mark.parametrize(("volume", "differs"), [(0.25, True), (0.5, False)])
def test_two_statements_of_scale_are_compared(tmp_path: Path, volume: float, differs: bool) -> None:
    path = write_dicom(tmp_path / "a.dcm", [PICTURE], mpp=0.5, volume_mpp=(volume, volume))
    slide = open_slide(path)
    assert slide.mpp == Mpp(0.5, 0.5)
    assert ("DICOM imaged volume says 0.25 µm per pixel" in slide.mpp_conflict) == differs


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


@pytest.mark.parametrize("how", ["full", "sparse", "shared", "origin", "frames"])
def test_the_middle_focal_plane_is_read_and_said(tmp_path: Path, how: str) -> None:
    planes = [shade(40), PICTURE, shade(200)]
    if how in ("shared", "origin", "frames"):
        order = range(-(-WIDTH // TILE) * -(-HEIGHT // TILE)) if how == "frames" else None
        for number, plane in zip((3, 1, 2), planes, strict=True):
            write_dicom(
                tmp_path / f"{number}.dcm", [plane], kind="native", order=order,
                change=lambda dataset, depth=number: _lift(dataset, depth % 3, how),
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
    assert len(list_images(tmp_path)) == 1
    names = {"full": "plane 1 of 3,plane 3 of 3", "sparse": "plane z = 0 µm,plane z = 3 µm"}
    wanted = names.get(how, "plane z = 0 µm,plane z = 2 µm").split(",")
    assert [plane.name for plane in slide.planes] == wanted
    for plane, pixels in zip(slide.planes, (planes[0], planes[2]), strict=True):
        for choice in (plane.index, plane.name):
            other = open_slide(tmp_path, image=choice)
            assert (other.image, len(other.levels)) == (plane, 1)
            np.testing.assert_array_equal(other.read(WHOLE, 0), pixels)
        assert f"only number {plane.plane} is read" in other.notes[0].words
    for number in (1, 2, 3):
        marks = {slide_fingerprint(p, number) for p in (tmp_path, *tmp_path.iterdir())}
        assert len(marks) == 1
    assert len({slide_fingerprint(tmp_path, number) for number in (1, 2, 3)}) == 3


@pytest.mark.parametrize("stated", [True, False])
def test_a_file_that_shows_something_else_is_no_level(tmp_path: Path, stated: bool) -> None:
    small = shrink(PICTURE, 2)
    for name, pixels, mpp in (("a", PICTURE, 0.5), ("b", small[..., ::-1], 1.0)):
        kept = np.ascontiguousarray(pixels)
        write_dicom(tmp_path / f"{name}.dcm", [kept], kind="native", mpp=mpp if stated else None)
    slide = open_slide(tmp_path)
    assert [level.downsample for level in slide.levels] == [1]
    assert [note.code for note in slide.notes] == [NoteCode.LEVEL_LEFT_OUT]


def _lift(dataset: Dataset, depth: int, how: str) -> None:
    """State the depth of a picture for all its frames, for itself, or for each frame."""
    position = Dataset()
    position.ZOffsetInSlideCoordinateSystem = f"{depth}"
    if how == "shared":
        dataset.SharedFunctionalGroupsSequence[0].PlanePositionSlideSequence = [position]
    elif how == "origin":
        dataset.TotalPixelMatrixOriginSequence = [position]
    else:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            group.PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = f"{depth}"


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
