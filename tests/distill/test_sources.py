"""What is meant by the slides, folders and tables that are named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_xmag.distill.sources import find_sources, parts
from napari_xmag.errors import CohortError, ConfigError, MppMissingError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.slide.picture import PictureSlide
from tests.tables import FORMS


def picture(path: Path, side: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), "pink").save(path)
    return path


def test_a_folder_gives_its_pictures_and_their_sub_folders_are_cases(tmp_path: Path) -> None:
    for name in ("p2/b.png", "p1/a.jpg", "p1/.hidden.png", "loose.tif", "p1/notes.txt"):
        path = tmp_path / name
        picture(path) if path.suffix != ".txt" else path.write_text("x")
    found = find_sources([tmp_path], tiles_mpp=0.6)
    assert {(s.name, s.case, s.mpp) for s in found} == {
        ("loose.tif", "loose", 0.6),
        ("p1/a.jpg", "p1", 0.6),
        ("p2/b.png", "p2", 0.6),
    }


def test_the_case_comes_from_the_name_of_slides_and_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "tiles" / "x" / "Case-7-a.png")
    slide = tmp_path / "Case-9__HE1.svs"
    found = find_sources([slide, tmp_path / "tiles"], tiles_mpp=1, case=r"(Case-\d+)")
    assert [source.case for source in found] == ["Case-9", "Case-7"]
    with pytest.raises(ConfigError, match=r"Case-9__HE1\.svs"):
        find_sources([slide], case=r"Patient")


def test_pictures_without_pixel_size_are_refused_by_name(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "sub" / "b.png")
    with pytest.raises(MppMissingError, match=r"a\.png, sub/b\.png.*--tiles-mpp"):
        find_sources([tmp_path])


def test_a_table_says_mpp_and_case_of_each(tmp_path: Path) -> None:
    table = tmp_path / "tiles.csv"
    table.write_text("tile,mpp,case\na.png,0.25,k1\nb/c.png,,\n")
    found = find_sources([table], tiles_mpp=0.5)
    assert [(s.name, s.mpp, s.case) for s in found] == [
        ("a.png", 0.25, "k1"),
        ("b/c.png", 0.5, "c"),
    ]
    table.write_text("tile,mpp\na.png,coarse\n")
    with pytest.raises(MppMissingError, match=r"a\.png"):
        find_sources([table], tiles_mpp=0.5)


@pytest.mark.parametrize("form", FORMS)
def test_a_table_may_have_any_form(form: str, tmp_path: Path) -> None:
    rows = [("Tile", "mpp", "case"), ("größe.png", "0,25", "k1"), ("b.png", "NA", "n/a")]
    table = FORMS[form](tmp_path / "tiles.csv", rows)
    found = find_sources([table], tiles_mpp=0.5)
    assert [(source.path, source.mpp, source.case) for source in found] == [
        (tmp_path / "größe.png", 0.25, "k1"),
        (tmp_path / "b.png", 0.5, "b"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", "picture,mpp\na.png,1\n", "columns tile"),
        ("t.csv", "tile,mpp\n", "none"),
        ("t.csv", "tile,mpp\na.png,1\nNA,1\n", "row 3"),
        ("t.ods", "PK", r"\.ods"),
    ],
)
def test_a_table_that_names_no_pictures_is_refused(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((ConfigError, CohortError), match=words):
        find_sources([tmp_path / name], tiles_mpp=1)


def test_each_source_is_taken_once_and_none_has_the_key_of_another(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b/a.png"):
        picture(tmp_path / name)
    found = find_sources([tmp_path, tmp_path / "a.png"], tiles_mpp=1)
    assert len({source.key for source in found}) == len(found) == 3


def test_keys_are_whole_in_the_webdataset_layout(tmp_path: Path) -> None:
    (source,) = find_sources([tmp_path / "TCGA-01.9f {x}.svs"])
    assert "." not in source.key
    assert source.key.startswith("TCGA-01_9f_x_-")


def test_a_folder_of_slides_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.svs").touch()
    with pytest.raises(ConfigError, match=r"\*\.svs"):
        find_sources([tmp_path], tiles_mpp=1)


def test_slides_are_parts_of_their_own_and_pictures_share_them(tmp_path: Path) -> None:
    for number in range(70):
        picture(tmp_path / "t" / f"{number:02d}.png", 2)
    sources = find_sources([tmp_path / "t", tmp_path / "s.svs"], tiles_mpp=1)
    found = parts(sources)
    assert [len(part.sources) for part in found] == [1, 64, 6]
    assert len({part.key for part in found}) == 3
    assert parts(sources) == found


def test_a_picture_goes_on_beyond_its_edges_as_its_outermost_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / "p.png"
    Image.fromarray(pixels).save(path)
    slide = PictureSlide(path, 0.5)
    assert slide.mpp == Mpp(0.5, 0.5)
    assert np.array_equal(slide.read(Box(1, 2, 3, 2), 0), pixels[2:4, 1:4])
    wide = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge")
    assert np.array_equal(slide.read(Box(-2, -2, 11, 9), 0), wide)
