"""Files of several pictures: all are listed, one is opened, and the others are named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag import list_images, open_slide
from napari_xmag.errors import SlideOpenError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import NoteCode
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
    assert "3 pictures" in note.words
    assert "640×800" in note.words
    # Names may be those of patients, and notes are saved with results.
    assert "section" not in note.words


@pytest.mark.parametrize("wanted", [0, 4, "section D", ""])
def test_a_picture_that_is_not_there_is_refused_with_a_list(
    sections: Path, wanted: int | str
) -> None:
    with pytest.raises(SlideOpenError, match="section B"):
        open_slide(sections, image=wanted)


def test_most_files_hold_one(pyramid_slide: Path, aperio_slide: Path) -> None:
    for path in (pyramid_slide, aperio_slide):
        (image,) = list_images(path)
        assert image.mpp == open_slide(path).mpp
        assert open_slide(path, image=1).notes == ()
        with pytest.raises(SlideOpenError):
            open_slide(path, image=2)
