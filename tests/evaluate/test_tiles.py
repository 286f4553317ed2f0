"""Labelled tiles: whose, which side, and at the right scale."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_xmag.errors import CohortError, TileReadError
from napari_xmag.evaluate.tasks import PatchTask
from napari_xmag.evaluate.tiles import LabelledTile, at_scale, centered, cut, labelled_tiles
from napari_xmag.slide.picture import read_image_file
from tests.tables import FORMS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("benign", "malignant"):
        (tmp_path / "all" / label).mkdir(parents=True)
        for case in ("A", "B"):
            for number in range(3):
                path = tmp_path / "all" / label / f"Case-{case}-{label[0]}-{number}.png"
                Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    return tmp_path / "all"


def task(folder: Path, **settings: object) -> PatchTask:
    return PatchTask(**{"name": "t", "tiles": folder, "mpp": 0.5, **settings})


def test_folder_of_classes_with_groups_from_names(folder: Path) -> None:
    tiles = labelled_tiles(task(folder, group=r"^Case-(\w)"), seed=0)
    assert len(tiles) == 12
    assert {tile.label for tile in tiles} == {"benign", "malignant"}
    assert {tile.group for tile in tiles} == {"A", "B"}
    assert {tile.mpp for tile in tiles} == {0.5}


def test_without_groups_each_tile_stands_for_itself(folder: Path) -> None:
    assert len({tile.group for tile in labelled_tiles(task(folder), seed=0)}) == 12


def test_table_with_its_own_groups_mpp_and_splits(folder: Path) -> None:
    lines = ["tile,label,group,split,mpp"]
    lines += [f"benign/Case-A-b-{n}.png,benign,P1,train,0.25" for n in range(3)]
    lines += [f"malignant/Case-A-m-{n}.png,malignant,P2,train," for n in range(3)]
    lines += [f"malignant/Case-B-m-{n}.png,malignant,P3,test," for n in range(3)]
    table = folder / "tiles.csv"
    table.write_text("\n".join(lines))
    tiles = labelled_tiles(task(table), seed=0)
    assert [tile.mpp for tile in tiles] == [0.25] * 3 + [0.5] * 6
    assert [tile.split for tile in tiles] == ["train"] * 6 + ["test"] * 3


@pytest.mark.parametrize("form", FORMS)
def test_a_table_may_have_any_form(folder: Path, form: str) -> None:
    """Labels and groups in one form each, as in a table of slides; NA says nothing."""
    rows = [
        ("Tile", "Label", "group", "mpp"),
        ("benign/Case-A-b-0.png", "0", "12", "0,25"),
        ("benign/Case-A-b-1.png", "0.0", "12.0", ""),
        ("malignant/Case-A-m-0.png", "1,0", "13", "NA"),
        ("malignant/Case-B-m-0.png", 1, 14, "0.25"),
    ]
    tiles = labelled_tiles(task(FORMS[form](folder / "forms.csv", rows)), seed=0)
    assert [tile.label for tile in tiles] == ["0", "0", "1", "1"]
    assert [tile.group for tile in tiles] == ["12", "12", "13", "14"]
    assert [tile.mpp for tile in tiles] == [0.25, 0.5, 0.5, 0.25]
    assert all(tile.path.is_file() for tile in tiles)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("tile,label\nabsent.png,benign", "row 2"),
        ("picture,label\na,b", "columns tile and label"),
        ("tile,label", "no rows"),
        ("tile,label\nbenign/Case-A-b-0.png,NA", "row 2"),
        ("tile,label,split\nbenign/Case-A-b-0.png,benign,trian", "row 2"),
        ("tile,label,mpp\nbenign/Case-A-b-0.png,benign,-1", "never guessed"),
        ("tile,label\nbenign/Case-A-b-0.png,benign", "two classes or more"),
        (
            "tile,label,group,split\nbenign/Case-A-b-0.png,benign,P1,train\n"
            "malignant/Case-A-m-0.png,malignant,P2,train\nbenign/Case-A-b-1.png,benign,P1,test",
            "P1 on both sides",
        ),
        (
            "tile,label,split\nbenign/Case-A-b-0.png,benign,train\n"
            "malignant/Case-A-m-0.png,malignant,",
            "splits",
        ),
    ],
)
def test_a_bad_table_is_refused_in_words(folder: Path, lines: str, found: str) -> None:
    table = folder / "tiles.csv"
    table.write_text(lines)
    with pytest.raises(CohortError, match=found):
        labelled_tiles(task(table), seed=0)


def test_missing_mpp_and_groups_that_do_not_match_are_refused(folder: Path) -> None:
    with pytest.raises(CohortError, match="never guessed"):
        labelled_tiles(task(folder, mpp=None), seed=0)
    with pytest.raises(CohortError, match="does not match"):
        labelled_tiles(task(folder, group=r"Case-(\d)"), seed=0)


def test_labels_of_two_sources_are_one_class(folder: Path) -> None:
    """The same classes under other names elsewhere, beside a class that is not asked for."""
    other = folder.parent / "other"
    for name, number in (("colon_n", 2), ("colon_aca", 3), ("lung_n", 4)):
        (other / name).mkdir(parents=True)
        for index in range(number):
            Image.new("RGB", (8, 8), (9, index, number)).save(other / name / f"{index}.png")
    names = {"benign": "benign", "malignant": "malignant"}
    names |= {"colon_n": "benign", "colon_aca": "malignant"}
    tiles = labelled_tiles(task(folder, test=other, classes=names, test_mpp=0.6), seed=0)
    tested = [tile for tile in tiles if tile.split == "test"]
    assert [tile.label for tile in tested] == ["malignant"] * 3 + ["benign"] * 2
    assert {(tile.split, tile.mpp) for tile in tiles} == {("train", 0.5), ("test", 0.6)}
    with pytest.raises(CohortError, match="tiles of malignant"):
        labelled_tiles(task(folder, classes={"benign": "benign", "tumour": "malignant"}), seed=0)


def test_the_field_at_the_centre_is_looked_at() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (12, 20, 3), dtype=np.uint8)
    tile = LabelledTile(Path("a.png"), "x", "a", 0.5, field_um=4.0)
    np.testing.assert_array_equal(centered(picture, tile), picture[2:10, 6:14])
    np.testing.assert_array_equal(centered(picture, replace(tile, field_um=None)), picture)
    with pytest.raises(TileReadError, match=r"at least 7 µm, but found 6\.0 µm in a\.png"):
        centered(picture, replace(tile, field_um=7.0))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no images"):
        labelled_tiles(task(tmp_path), seed=0)


def test_limit_takes_as_many_of_each_class(folder: Path) -> None:
    tiles = labelled_tiles(task(folder, limit=2), seed=0)
    assert sorted(tile.label for tile in tiles) == ["benign"] * 2 + ["malignant"] * 2
    assert tiles == labelled_tiles(task(folder, limit=2), seed=0)


def test_transparency_becomes_white_never_black(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(path)
    assert (read_image_file(path) == 255).all()


def test_a_broken_picture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    with pytest.raises(TileReadError, match=r"broken\.png"):
        read_image_file(path)


def test_scaling_keeps_field_and_averages_fine_stripes() -> None:
    stripes = np.zeros((64, 80, 3), np.uint8)
    stripes[:, ::2] = 200
    coarse = at_scale(stripes, 0.25)
    assert coarse.shape == (16, 20, 3)
    # sampling without averaging would keep 0 or 200
    assert np.abs(coarse[:, 2:-2].astype(int) - 100).max() <= 3


def test_small_picture_is_continued_by_reflection() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 7, 3), dtype=np.uint8)
    (tile,) = cut(picture, 16, "grid")
    np.testing.assert_array_equal(tile[5:11, 4:11], picture)
    np.testing.assert_array_equal(tile[4, 4:11], picture[0])
    np.testing.assert_array_equal(tile[3, 4:11], picture[1])
    assert not (tile == 0).all(axis=-1).any()


def test_grid_covers_all_of_a_large_picture() -> None:
    rows, columns = np.mgrid[0:40, 0:25].astype(np.uint8)
    picture = np.dstack([rows, columns, columns])
    tiles = cut(picture, 16, "grid")
    assert tiles.shape == (3 * 2, 16, 16, 3)
    seen = {tuple(pixel) for pixel in tiles.reshape(-1, 3)}
    assert len(seen) == 40 * 25


def test_center_takes_the_middle() -> None:
    picture = np.dstack([np.mgrid[0:40, 0:24][0].astype(np.uint8)] * 3)
    (tile,) = cut(picture, 16, "center")
    assert tile[0, 0, 0] == 12


def test_a_picture_of_a_tile_is_left_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut(at_scale(picture, 1.0), 16, "grid")[0], picture)
