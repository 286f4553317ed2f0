"""A slide is rebuilt from Deep Zoom tiles, in the window that a coarser edition shows."""

import argparse
import contextlib
import io
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import atlas_cohort
import atlas_windows
import numpy as np
import pytest
import tifffile
from atlas_slide import DeepZoom, Repository, same_window, within, write
from PIL import Image

from napari_xmag.geometry import Box
from napari_xmag.slide.open import open_slide

MPP, TILE = 0.5, 256
WIDTH, HEIGHT = 1800, 1500
ABOUT = (
    f"<image Format='png' Overlap='0' TileSize='{TILE}'>"
    f"<Size Width='{WIDTH}' Height='{HEIGHT}'/></image>"
)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Blots of many sizes, so that no place looks like another."""
    draw = np.random.default_rng(7)
    pixels = np.zeros((HEIGHT, WIDTH, 3))
    for side in (5, 20, 60, 200):
        coarse = Image.fromarray(draw.integers(0, 256, (side, side, 3), np.uint8))
        pixels += np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def clone(picture: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the picture as Deep Zoom tiles, which states no pixel size."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "HE.dzi").write_text(ABOUT)
    top = math.ceil(math.log2(max(picture.size)))
    for level in range(top + 1):
        factor = 2 ** (top - level)
        image = picture.resize((-(-WIDTH // factor), -(-HEIGHT // factor)), Image.Resampling.BOX)
        tiles = folder / "HE_files" / str(level)
        tiles.mkdir(parents=True)
        for x in range(0, image.width, TILE):
            for y in range(0, image.height, TILE):
                box = (x, y, min(x + TILE, image.width), min(y + TILE, image.height))
                image.crop(box).save(tiles / f"{x // TILE}_{y // TILE}.png", compress_level=1)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "tiles"]):
        subprocess.run([*git, *words], check=True)
    return folder


@pytest.fixture
def scan(clone: Path) -> Iterator[DeepZoom]:
    """The image of the clone, with a pixel size that is given."""
    with Repository(clone) as repository:
        yield DeepZoom(repository, "HE.dzi", assumed_mpp=MPP)


def edition(picture: Image.Image, box: tuple[int, int, int, int], path: Path) -> Path:
    """Write a box of the picture at 2.0 µm/px, as JPEG, with its pixel size."""
    x, y, width, height = box
    small = picture.crop((x, y, x + width, y + height)).resize((width // 4, height // 4))
    stream = io.BytesIO()
    small.save(stream, "jpeg", quality=75)
    pixels = np.asarray(Image.open(stream))
    tifffile.imwrite(path, pixels, resolution=(5000, 5000), resolutionunit="CENTIMETER")
    return path


@pytest.mark.parametrize("box", [(612, 404, 1000, 800), (0, 0, WIDTH, HEIGHT)])
def test_the_window_is_what_the_edition_shows(
    picture: Image.Image, scan: DeepZoom, tmp_path: Path, box: tuple[int, int, int, int]
) -> None:
    found = same_window(scan, edition(picture, box, tmp_path / "edition.tiff"))

    assert np.abs(np.subtract(found, within(scan, box))).max() <= 16

    path = tmp_path / "slide.tiff"
    write(scan, path, found)
    with contextlib.closing(open_slide(path)) as written:
        assert written.mpp.x == pytest.approx(MPP, rel=1e-3)
        there = written.read(Box(100, 120, 300, 200), 0)
    x, y = found[0] + 100, found[1] + 120
    assert np.abs(there - np.asarray(picture.crop((x, y, x + 300, y + 200)), float)).mean() < 4


def test_an_edition_of_another_image_is_refused(scan: DeepZoom, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    other = Image.fromarray(noise).resize((1200, 1200), Image.Resampling.BICUBIC)

    with pytest.raises(SystemExit, match="does not show this image"):
        same_window(scan, edition(other, (0, 0, 1200, 1200), tmp_path / "edition.tiff"))


def test_a_coarser_level_may_be_the_finest(
    clone: Path, picture: Image.Image, tmp_path: Path
) -> None:
    (tmp_path / "case").symlink_to(clone)
    commit = subprocess.check_output(["git", "-C", str(clone), "rev-parse", "HEAD"], text=True)
    row = {"slide": "case__HE", "commit": commit[:12], "mpp": "0.25"}
    row |= {"x": "512", "y": "256", "width": "1024", "height": "800"}
    path = tmp_path / "case__HE.tiff"

    atlas_windows.rebuild(row, argparse.Namespace(clones=tmp_path, mpp=0.5), path)

    with contextlib.closing(open_slide(path)) as written:
        assert written.mpp.x == pytest.approx(0.5, rel=1e-3)
        level = written.levels[0]
        assert (level.width, level.height) == (512, 400)
        there = written.read(Box(0, 0, 512, 400), 0)
    there_too = picture.crop((512, 256, 1536, 1056)).resize((512, 400), Image.Resampling.BOX)
    assert np.abs(there - np.asarray(there_too, float)).mean() < 4

    other = row | {"commit": "0" * 12}
    with pytest.raises(SystemExit, match="expected commit 000000000000"):
        atlas_windows.rebuild(other, argparse.Namespace(clones=tmp_path, mpp=0.5), path)


def test_missing_clones_are_named_before_anything_is_written(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").symlink_to(clone)
    table = tmp_path / "table.csv"
    header = "slide,repository,commit,mpp,x,y,width,height,source_mpp,label,patient\n"
    lines = [f"{n}__HE,pathologyatlas/{n},,0.5,0,0,512,512,0.5,a,b\n" for n in ("here", "z", "far")]
    table.write_text(header + "".join(lines))
    for recipe in (atlas_windows, atlas_cohort):
        out = tmp_path / recipe.__name__
        words = [recipe.__name__, str(tmp_path), str(table), str(out)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit, match=r"lacks the clones of 2 cases: far, z\."):
            recipe.main()
        assert not list(out.glob("*"))


def test_a_scan_without_pixel_size_has_none(clone: Path) -> None:
    with Repository(clone) as repository:
        assert DeepZoom(repository, "HE.dzi").mpp is None
