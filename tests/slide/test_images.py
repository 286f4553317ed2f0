"""Files of several pictures: all are listed, one is opened, and the others are named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag import list_images, open_slide
from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode, SlideImage
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.images import choose_image
from tests.slides import draw_section


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OME-TIFF of a macro picture, a label and three sections; section 2 has two levels."""
    path = tmp_path_factory.mktemp("sections") / "sections.ome.tif"
    pictures = {
        "macro image": (160, 120),
        "section A": (700, 500),
        "section B": (900, 640),
        "label": (200, 200),
        "section C": (640, 800),
    }
    with tifffile.TiffWriter(path, ome=True) as writer:
        for seed, (name, (width, height)) in enumerate(pictures.items()):
            pixels = draw_section(width, height, seed=seed)
            two_levels = name == "section B"
            options = {"photometric": "rgb", "tile": (128, 128), "compression": "zlib"}
            metadata = {
                "axes": "YXS", "Name": name, "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm",
            }  # fmt: skip
            writer.write(pixels, subifds=int(two_levels), metadata=metadata, **options)
            if two_levels:
                writer.write(pixels[::2, ::2], subfiletype=1, **options)
    return path


def test_sections_are_listed_without_macro_and_label(sections: Path) -> None:
    images = list_images(sections)
    assert [image.name for image in images] == ["section A", "section B", "section C"]
    assert [image.index for image in images] == [1, 2, 3]
    assert [(image.width, image.height) for image in images] == [(700, 500), (900, 640), (640, 800)]
    assert all(image.mpp is not None and image.mpp.x == 0.5 for image in images)


@pytest.mark.parametrize("wanted", [2, "2", "section B"])
def test_one_is_opened_by_number_or_name(sections: Path, wanted: int | str) -> None:
    slide = open_slide(sections, image=wanted)
    assert slide.image.name == "section B"
    assert [(level.width, level.height) for level in slide.levels] == [(900, 640), (450, 320)]
    expected = draw_section(900, 640, seed=2)
    np.testing.assert_array_equal(slide.read(Box(0, 0, 900, 640), 0), expected)
    assert slide.notes == ()


def test_the_first_opens_without_a_choice_and_names_the_others(sections: Path) -> None:
    slide = open_slide(sections)
    assert slide.image.index == 1
    (note,) = slide.notes
    assert note.code is NoteCode.OTHER_IMAGES
    assert "3 images" in note.words
    assert "640×800" in note.words
    # Names may be those of patients, and notes are saved with results.
    assert "section" not in note.words


@pytest.mark.parametrize("wanted", [0, 4, "section D", ""])
def test_a_picture_that_is_not_there_is_refused_with_a_list(
    sections: Path, wanted: int | str
) -> None:
    with pytest.raises(SlideOpenError, match="section B"):
        open_slide(sections, image=wanted)


def called(*names: str) -> list[SlideImage]:
    return [SlideImage(n, name, 300, 200 + n, None) for n, name in enumerate(names, 1)]


def test_digits_are_a_number_even_where_a_picture_is_called_so() -> None:
    images = called("0", "1", "same")
    for wanted in (1, "1", " 1 "):
        assert choose_image(Path("a.tif"), images, wanted).name == "0"
    with pytest.raises(SlideOpenError, match=r"#2 1 \(300×202\).* Give the number of one"):
        choose_image(Path("a.tif"), images, "0")
    assert choose_image(Path("a.tif"), images, "same").index == 3


def test_a_name_that_two_pictures_have_is_refused_with_their_numbers() -> None:
    images = called("A", "S", "S")
    with pytest.raises(SlideOpenError, match=r"found #2 S \(300×202\), #3 S \(300×203\)\."):
        choose_image(Path("a.tif"), images, "S")
    assert choose_image(Path("a.tif"), images, 3).height == 203


def test_most_files_hold_one(pyramid_slide: Path, aperio_slide: Path) -> None:
    for path in (pyramid_slide, aperio_slide):
        (image,) = list_images(path)
        assert image.mpp == open_slide(path).mpp
        assert open_slide(path, image=1).notes == ()
        with pytest.raises(SlideOpenError):
            open_slide(path, image=2)


def write_pages(path: Path, *pages: tuple[np.ndarray, dict[str, object]]) -> Path:
    """Write a plain TIFF, a page after another, each with options of its own."""
    with tifffile.TiffWriter(path) as writer:
        for pixels, options in pages:
            kind = "rgb" if pixels.ndim == 3 else "minisblack"
            writer.write(pixels, photometric=kind, metadata=None, **options)
    return path


TILED: dict[str, object] = {"tile": (128, 128), "compression": "adobe_deflate"}


def test_pages_of_a_plain_file_are_pictures(tmp_path: Path) -> None:
    first, second = draw_section(700, 500, seed=1), draw_section(640, 620, seed=2)
    path = write_pages(
        tmp_path / "pages.tif",
        (first, TILED),
        (first[::2, ::2], {**TILED, "subfiletype": 1}),
        (second, TILED),
        (second[::2, ::2], {**TILED, "subfiletype": 1}),
        (draw_section(300, 200), {"description": "label"}),
        (draw_section(320, 100), {}),  # not tiled, beside pictures that are: a thumbnail
    )
    images = list_images(path)
    assert [(image.width, image.height) for image in images] == [(700, 500), (640, 620)]
    for number, picture in ((1, first), (2, second)):
        slide = open_slide(path, image=number)
        height, width = picture.shape[:2]
        np.testing.assert_array_equal(slide.read(Box(0, 0, width, height), 0), picture)
        assert len(slide.levels) == 2
        np.testing.assert_array_equal(slide.read(Box(0, 0, width, height), 1), picture[::2, ::2])


def test_a_smaller_page_is_a_level_only_where_it_says_so(tmp_path: Path) -> None:
    picture = draw_section(800, 600, seed=1)
    stated = [{"resolution": (d, d), "resolutionunit": "CENTIMETER"} for d in (20000, 5000)]
    pages = [(picture, {**TILED, **stated[0]}), (picture[::4, ::4], {**TILED, **stated[1]})]
    slide = open_slide(write_pages(tmp_path / "levels.tif", *pages))
    assert [level.downsample for level in slide.levels] == [1, 4]
    assert len(slide.images) == 1
    # Another section of the same proportions says nothing of the kind.
    other = draw_section(400, 300, seed=2)
    path = write_pages(tmp_path / "sections.tif", (picture, TILED), (other, TILED))
    assert len(list_images(path)) == 2
    np.testing.assert_array_equal(open_slide(path, image=2).read(Box(0, 0, 400, 300), 0), other)


def dense(mpp: float) -> dict[str, object]:
    return {**TILED, "resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}


def write_ome(path: Path, *pages: tuple[np.ndarray, str, float]) -> Path:
    """Write an OME-TIFF of pictures with their names and pixel sizes."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for pixels, name, mpp in pages:
            size = {f"PhysicalSize{axis}": mpp for axis in "XY"}
            metadata = {"axes": "YXS", "Name": name, **size}
            writer.write(pixels, photometric="rgb", metadata=metadata, **TILED)
    return path


@pytest.mark.parametrize("seed", [9, 10])
def test_another_section_of_half_the_size_is_no_level(tmp_path: Path, seed: int) -> None:
    first, second = draw_section(800, 600, seed=1), draw_section(400, 300, seed=seed)
    ome = [(first, "Image:0", 0.5), (second, "Image:1", 1.0)]
    for path in (
        write_pages(tmp_path / "two.tif", (first, dense(0.5)), (second, dense(1.0))),
        write_ome(tmp_path / "two.ome.tif", *ome),
    ):
        assert len(list_images(path)) == 2
        slide = open_slide(path)
        assert [level.downsample for level in slide.levels] == [1]
        assert [note.code for note in slide.notes] == [NoteCode.OTHER_IMAGES]
        seen = open_slide(path, image=2).read(Box(0, 0, 400, 300), 0)
        np.testing.assert_array_equal(seen, second)


@pytest.mark.parametrize("order", [(1, 2, 4), (4, 2, 1), (2, 1, 4)])
def test_pixels_show_which_pages_are_levels(tmp_path: Path, order: tuple[int, ...]) -> None:
    picture = draw_section(800, 600, seed=1)
    pages = [(picture[::step, ::step], TILED) for step in order]
    slide = open_slide(write_pages(tmp_path / "silent.tif", *pages))
    assert len(slide.images) == 1
    assert [level.downsample for level in slide.levels] == [1, 2, 4]
    np.testing.assert_array_equal(slide.read(Box(0, 0, 800, 600), 2), picture[::4, ::4])


def test_a_reduced_page_may_come_first(tmp_path: Path) -> None:
    picture = draw_section(800, 600, seed=1)
    small = (picture[::4, ::4], {**dense(2.0), "subfiletype": 1})
    slide = open_slide(write_pages(tmp_path / "first.tif", small, (picture, dense(0.5))))
    assert len(slide.images) == 1
    assert [level.downsample for level in slide.levels] == [1, 4]


def test_a_thumbnail_between_a_slide_and_its_levels_takes_none_of_them(tmp_path: Path) -> None:
    picture = draw_section(800, 600, seed=1)
    pages = []
    for kind, step in (("Full", 1), ("Thumbnail", 4), ("Reduced", 2), ("Reduced", 8)):
        name = kind if kind == "Thumbnail" else f"{kind}Resolution"
        text = f"<PerkinElmer-QPI-ImageDescription><ImageType>{name}</ImageType>"
        options = {"subfiletype": int(kind == "Reduced"), "description": text}
        tiled = TILED if kind != "Thumbnail" else {}
        pages.append((picture[::step, ::step], {**options, **tiled}))
    slide = open_slide(write_pages(tmp_path / "slide.qptiff", *pages))
    assert [level.downsample for level in slide.levels][:2] == [1, 2]
    assert slide.levels[-1].downsample == 8
    assert (len(slide.images), slide.notes) == (1, ())


def test_reduced_pages_that_tifffile_describes_are_levels(tmp_path: Path) -> None:
    picture, path = draw_section(900, 700, seed=1), tmp_path / "shaped.tif"
    small = np.pad(picture[::4, ::4], ((0, 81), (0, 31), (0, 0)), constant_values=255)
    with tifffile.TiffWriter(path, shaped=True) as writer:
        writer.write(picture, photometric="rgb", **dense(0.5))
        writer.write(small, photometric="rgb", subfiletype=1, **dense(2.0))
    slide = open_slide(path)
    assert len(slide.images) == 1
    assert [(level.width, level.downsample) for level in slide.levels] == [(900, 1), (225, 4)]


def test_a_large_striped_picture_beside_a_tiled_one_is_kept(tmp_path: Path) -> None:
    pages = [(draw_section(800, 600, seed=1), {}), (draw_section(700, 500, seed=2), TILED)]
    path = write_pages(tmp_path / "mixed.tif", *pages)
    assert [image.width for image in list_images(path)] == [800, 700]


TELLING = ("Macrometastasis", "CD68 macrophages", "Labelled-PCNA", "Barcoded region",
           "overview cut 2", "Previewed")  # fmt: skip


def test_sections_with_telling_names_are_kept(tmp_path: Path) -> None:
    names = ("Section 1", *TELLING, "Label 3", "macro_image", "Slide image")
    pages = [(draw_section(400, 300 + index, seed=index), name, 0.5)
             for index, name in enumerate(names)]  # fmt: skip
    pages.append((draw_section(180, 100), "overview of case 7", 0.5))
    path = write_ome(tmp_path / "names.ome.tif", *pages)
    assert [image.name for image in list_images(path)] == ["Section 1", *TELLING]


def test_a_small_section_of_the_same_pixel_size_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "small.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for width, mpp in ((2600, 0.5), (300, 0.5), (280, 12.0)):
            size = {f"PhysicalSize{axis}": mpp for axis in "XY"}
            writer.write(
                draw_section(width, width), photometric="rgb", tile=(256, 256),
                compression="adobe_deflate", metadata={"axes": "YXS", **size},
            )  # fmt: skip
    # The one of coarse pixels shows the glass as a whole.
    assert [image.width for image in list_images(path)] == [2600, 300]


def test_a_small_section_that_is_tiled_like_the_others_is_a_picture(tmp_path: Path) -> None:
    first, second = draw_section(1200, 1000, seed=1), draw_section(200, 220, seed=2)
    path = write_pages(tmp_path / "small.tif", (first, TILED), (second, TILED))
    assert [(image.width, image.height) for image in list_images(path)] == [
        (1200, 1000),
        (200, 220),
    ]
    np.testing.assert_array_equal(open_slide(path, image=2).read(Box(0, 0, 200, 220), 0), second)


@pytest.mark.parametrize(
    "page",
    [
        (draw_section(200, 220), {}),
        (draw_section(200, 220), {**TILED, "tile": (64, 64)}),
        (draw_section(700, 800)[..., 0], TILED),
    ],
    ids=["striped", "other tiles", "grey"],
)
def test_a_picture_that_is_left_out_is_named(
    tmp_path: Path, page: tuple[np.ndarray, dict[str, object]]
) -> None:
    path = write_pages(tmp_path / "aside.tif", (draw_section(1200, 1000, seed=1), TILED), page)
    slide = open_slide(path)
    assert len(slide.images) == 1
    (note,) = slide.notes
    assert note.code is NoteCode.PICTURE_LEFT_OUT
    assert f"{page[0].shape[1]}×{page[0].shape[0]}" in note.words


def test_a_label_goes_without_saying(tmp_path: Path) -> None:
    label = draw_section(200, 220), {"description": "label"}
    path = write_pages(tmp_path / "label.tif", (draw_section(1200, 1000, seed=1), TILED), label)
    assert open_slide(path).notes == ()


def test_pictures_without_a_name_for_their_axis(tmp_path: Path) -> None:
    stack = np.stack([draw_section(400, 300, seed=seed) for seed in range(3)])
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, photometric="rgb", tile=(128, 128))
    assert len(list_images(path)) == 3
    for number in (1, 2, 3):
        seen = open_slide(path, image=number).read(Box(0, 0, 400, 300), 0)
        np.testing.assert_array_equal(seen, stack[number - 1])


@pytest.mark.parametrize("kind", ["ome", "imagej", "planes of colours"])
def test_the_middle_focal_plane_is_read_and_said(tmp_path: Path, kind: str) -> None:
    stack = np.stack([np.full((300, 400, 3), value, np.uint8) for value in (10, 60, 110, 160, 210)])
    stack[2] = draw_section(400, 300)
    path = tmp_path / "z.ome.tif"
    if kind == "imagej":
        tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYXS"})
    elif kind == "ome":
        tifffile.imwrite(path, stack, ome=True, photometric="rgb", metadata={"axes": "ZYXS"})
    else:
        planes = np.moveaxis(stack, 3, 1)
        tifffile.imwrite(path, planes, ome=True, metadata={"axes": "ZCYX"})
    slide = open_slide(path)
    assert slide.image.focal_planes == 5
    assert [note.code for note in slide.notes] == [NoteCode.FOCAL_PLANES]
    np.testing.assert_array_equal(slide.read(Box(0, 0, 400, 300), 0), stack[2])
    assert len(list_images(path)) == 1
    assert [plane.name for plane in slide.planes] == [f"plane {n} of 5" for n in (1, 2, 4, 5)]
    for plane in slide.planes:
        for choice in (plane.index, plane.name):
            seen = open_slide(path, image=choice).read(Box(0, 0, 400, 300), 0)
            np.testing.assert_array_equal(seen, stack[plane.plane - 1])
    assert len({slide_fingerprint(path, n) for n in range(1, 6)}) == 5


def test_focal_planes_of_an_aperio_slide(tmp_path: Path) -> None:
    planes = [draw_section(700, 500, seed=seed) for seed in range(3)]
    path = tmp_path / "z.svs"
    with tifffile.TiffWriter(path) as writer:
        for factor in (1, 4):
            for plane in planes:
                writer.write(
                    plane[::factor, ::factor], photometric="rgb", metadata=None, **TILED,
                    description="Aperio Image Library v12\n700x500 (128x128)|AppMag = 20|MPP = 0.5",
                )  # fmt: skip
    slide = open_slide(path)
    assert slide.image.focal_planes == 3
    assert "middle" in slide.notes[0].words
    for level, factor in enumerate((1, 4)):
        seen = slide.read(Box(0, 0, 700, 500), level)
        np.testing.assert_array_equal(seen, planes[1][::factor, ::factor])
        for number, plane in ((2, planes[0]), (3, planes[2])):
            seen = open_slide(path, image=number).read(Box(0, 0, 700, 500), level)
            np.testing.assert_array_equal(seen, plane[::factor, ::factor])


def test_focal_planes_of_several_pictures_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "z.ome.tif"
    stacks = [[draw_section(400, 300 + 20 * n, seed=3 * n + z) for z in range(3)] for n in (0, 1)]
    with tifffile.TiffWriter(path, ome=True) as writer:
        for stack in stacks:
            writer.write(np.stack(stack), photometric="rgb", metadata={"axes": "ZYXS"}, **TILED)
    slide = open_slide(path)
    assert [image.index for image in slide.images] == [1, 2]
    names = [f"#{picture} plane {plane} of 3" for picture in (1, 2) for plane in (1, 3)]
    assert [(plane.index, plane.name) for plane in slide.planes] == list(enumerate(names, 3))
    other = open_slide(path, image="#2 plane 3 of 3")
    np.testing.assert_array_equal(other.read(other.bounds, 0), stacks[1][2])
    assert "(#3 to #4)" in slide.notes[1].words
    with pytest.raises(SlideOpenError, match="#7"):
        open_slide(path, image="#7")


def test_channels_of_a_qptiff_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fluorescence.qptiff"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(4):
            writer.write(
                np.zeros((300, 400), np.uint8), photometric="minisblack", tile=(128, 128),
                metadata=None, software="PerkinElmer-QPI",
                description="<PerkinElmer-QPI-ImageDescription><ImageType>FullResolution"
                "</ImageType></PerkinElmer-QPI-ImageDescription>",
            )  # fmt: skip
    with pytest.raises(SlideOpenError, match="4 grey images of one size"):
        open_slide(path)


@pytest.mark.parametrize(("stated", "words"), [(6, "rotated by 90° clockwise"), (2, "mirrored")])
def test_a_picture_to_be_turned_is_read_as_stored_with_a_note(
    tmp_path: Path, stated: int, words: str
) -> None:
    pixels, path = draw_section(512, 400), tmp_path / "turned.tif"
    options = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
    tifffile.imwrite(path, pixels, **options, extratags=[(274, "H", 1, stated, True)])
    with open_slide(path) as slide:
        (note,) = slide.notes
        np.testing.assert_array_equal(slide.read(slide.bounds, 0), pixels)
    assert (note.code, words in note.words) == (NoteCode.ORIENTATION, True)
    tifffile.imwrite(path, pixels, **options, extratags=[(274, "H", 1, 1, True)])
    with open_slide(path) as slide:
        assert slide.notes == ()
