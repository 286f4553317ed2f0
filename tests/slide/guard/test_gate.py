"""Files that would end or hold up the program: refused in words before a library opens them."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.guard import child, gate
from napari_xmag.slide.guard.tiff_checks import doubts, require_plausible
from napari_xmag.slide.guard.tiff_walk import walk_tiff
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section, write_aperio, write_leica, write_pyramid


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Aperio-like slide of two levels, 512×512 px."""
    path = tmp_path_factory.mktemp("guard") / "plain.svs"
    return write_aperio(path, draw_section(512, 512), factors=(1, 2))


def altered(source: Path, target: Path, tag: int, value: int, page: int = 0) -> Path:
    """Copy a plain little-endian TIFF with another value of one tag, as 32 bits."""
    with tifffile.TiffFile(source) as file:
        found = file.pages[page].aspage().tags[tag]
        place, count = found.offset, found.count
    assert count == 1
    data = bytearray(source.read_bytes())
    data[place + 2 : place + 12] = struct.pack("<HII", 4, 1, value)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        (322, 123_456_784, "tiles of 123,456,784×256 pixels"),
        (323, 2**31 - 16, "tiles of 256×2,147,483,632 pixels"),
        (322, 0, "tiles of 0×256 pixels"),
        (256, 4_000_000_000, "image of 4,000,000,000×512 pixels"),
        (257, 0, "image of 512×0 pixels"),
        (256, 1_500_000, "tiles listed where 11,720 are needed"),
        (257, 1_024, "tiles listed where"),
        (322, 128, "tiles listed where"),
        (277, 60_000, "60,000 samples per pixel"),
    ],
)
@pytest.mark.parametrize("page", [0, 1])
def test_absurd_sizes_are_refused_in_every_directory(
    plain: Path, tmp_path: Path, tag: int, value: int, words: str, page: int
) -> None:
    path = altered(plain, tmp_path / "absurd.svs", tag, value, page)
    words = words if page == 0 else words.replace("512", "256").replace("11,720", "5,860")
    with pytest.raises(SlideOpenError, match=r"TIFF whose declared sizes are possible") as caught:
        open_slide(path)
    assert words in caught.value.found


def test_a_small_file_cannot_declare_a_terabyte(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        pixels = np.zeros((256, 256, 3), np.uint8)
        writer.write(pixels, photometric="rgb", tile=(256, 256), metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        places = [tags[tag].offset for tag in (256, 257)]
    for place in places:
        data[place + 2 : place + 20] = struct.pack("<HQQ", 16, 1, 700_000)
    path.write_bytes(data)
    with pytest.raises(SlideOpenError, match=r"700,000×700,000 pixels \(the limit is"):
        open_slide(path)


def _linked(path: Path, options: dict[str, object], target: int) -> None:
    """Write three directories and let the last name one of them as its next."""
    with tifffile.TiffWriter(path, **options) as writer:
        for _ in range(3):
            writer.write(np.zeros((32, 32, 3), np.uint8), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as file:
        pages = [page.aspage() for page in file.pages]
        wide = bool(options.get("bigtiff"))
        order = "<" if file.byteorder == "<" else ">"
        end = pages[2].offset + (8 if wide else 2) + len(pages[2].tags) * (20 if wide else 12)
        place = pages[target].offset
    data = bytearray(path.read_bytes())
    data[end : end + (8 if wide else 4)] = struct.pack(f"{order}{'Q' if wide else 'I'}", place)
    path.write_bytes(data)


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}], ids=str)
@pytest.mark.parametrize("target", [0, 1, 2])
def test_chains_that_go_in_a_circle_end(
    tmp_path: Path, options: dict[str, object], target: int
) -> None:
    path = tmp_path / "circle.scn"
    _linked(path, options, target)
    with pytest.raises(SlideOpenError, match="circular"):
        open_slide(path)


def test_a_circle_below_a_directory_ends(tmp_path: Path) -> None:
    path = tmp_path / "below.tif"
    pixels = np.zeros((64, 64, 3), np.uint8)
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, photometric="rgb", metadata=None, subifds=2)
        for _ in range(2):
            writer.write(pixels[:32, :32], photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as file:
        first, second = (page.offset for page in file.pages.first.pages)
        entries = len(file.pages.first.pages[1].tags)
    data = bytearray(path.read_bytes())
    end = second + 2 + 12 * entries
    data[end : end + 4] = struct.pack("<I", second)
    path.write_bytes(data)
    assert first != second
    with pytest.raises(SlideOpenError, match="circular"):
        open_slide(path)


def test_sound_slides_raise_no_doubt(plain: Path, tmp_path: Path) -> None:
    leica = write_leica(tmp_path / "sound.scn", draw_section(600, 500), factors=(1, 2))
    tiles = write_pyramid(tmp_path / "sound.tif", draw_section(600, 500), compression="lzw")
    for path in (plain, leica, tiles):
        walk = walk_tiff(path)
        require_plausible(path, walk)
        assert doubts(walk) == ""


@pytest.mark.real_data
def test_real_slides_raise_no_doubt(real_data: Path) -> None:
    found = [p for p in real_data.rglob("*") if p.suffix in (".tif", ".tiff", ".svs")]
    assert len(found) > 50
    for path in found:
        walk = walk_tiff(path)
        require_plausible(path, walk)
        assert doubts(walk) == "", path.name


def test_a_place_of_64_bits_is_followed_in_ndpi(tmp_path: Path) -> None:
    """NDPI of more than 4 GiB keeps the classic header and writes places as 64 bits."""
    path, place = tmp_path / "large.ndpi", 2**32 + 64
    entries = [(256, 4, 1, 64), (257, 4, 1, 64), (65420, 4, 1, 1)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    with path.open("wb") as file:
        file.write(b"II*\0" + struct.pack("<Q", place))
        file.seek(place)
        file.write(directory + struct.pack("<Q", 0) + bytes(64))
    walk = walk_tiff(path)
    assert walk.is_ndpi
    assert walk.complete
    assert [one.number(256) for one in walk.directories] == [64]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file was tried yet."""
    child._problem.cache_clear()


def test_a_doubtful_slide_is_opened_by_a_child_first_and_once(
    tmp_path: Path, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_leica(tmp_path / "cut.scn", draw_section(600, 500), factors=(1,))
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].aspage().tags[532].offset
    data[place + 8 : place + 12] = struct.pack("<I", 2**31)  # values beyond the end
    path.write_bytes(data)
    assert doubts(walk_tiff(path)) == "values beyond the end of the file"
    started: list[str] = []
    run = subprocess.run

    def count(command: tuple[str, ...], **options: object) -> object:
        started.append(command[-1])
        return run(command, **options)

    monkeypatch.setattr(child.subprocess, "run", count)
    for _ in range(2):
        open_slide(path).close()
    assert started == [str(path)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", "crashed"),
        ("import sys; sys.exit('out of memory')", "crashed (out of memory)"),
        ("import time; time.sleep(60)", "did not finish within"),
    ],
)
def test_a_file_on_which_the_child_dies_or_hangs_is_refused(
    code: str, words: str, tmp_path: Path, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(child, "_SECONDS", 0.5 if "sleep" in code else 60.0)
    path = tmp_path / "slide.mrxs"
    path.write_bytes(b"anything")
    with pytest.raises(SlideOpenError) as caught:
        open_slide(path)
    assert words in caught.value.found
    assert "slide.mrxs" in caught.value.expected


def test_the_child_imports_nothing_from_the_folder_of_the_slides(
    tmp_path: Path, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openslide.py").write_text("import os; os.abort()", encoding="utf-8")
    (tmp_path / "slide.mrxs").write_bytes(b"anything")
    monkeypatch.chdir(tmp_path)
    gate.require_harmless(tmp_path / "slide.mrxs")


@pytest.mark.parametrize("name", ["a\0b.svs", "x" * 300 + ".svs", "a\nb.svs"])
def test_names_that_no_system_takes_are_refused_in_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlideOpenError) as caught:
        open_slide(tmp_path / name)
    assert "\0" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_is_no_slide() -> None:
    with pytest.raises(SlideOpenError, match="neither a file nor a folder"):
        open_slide("/dev/zero")


def test_a_file_cut_while_it_is_open_is_damaged_and_ends_nothing(tmp_path: Path) -> None:
    """Mapped, it would end the process with SIGBUS."""
    path = tmp_path / "strips.tif"
    pixels = draw_section(1024, 2048)
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None)
    code = (
        "import os, sys\n"
        "from napari_xmag.errors import TileReadError\n"
        "from napari_xmag.geometry import Box\n"
        "from napari_xmag.slide.open import open_slide\n"
        "slide = open_slide(sys.argv[1])\n"
        "assert slide.read(Box(0, 0, 64, 64), 0).mean() > 0\n"
        "os.truncate(sys.argv[1], 4096)\n"
        "try:\n    slide.read(Box(0, 1900, 64, 64), 0)\n"
        "except TileReadError as error:\n    print(error.found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "strips.tif that cannot be decoded" in done.stdout


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.dtype(">u2")], ids=str)
def test_plain_samples_are_read_where_they_lie(
    tmp_path: Path, planar: str, kind: np.dtype[np.uint8]
) -> None:
    from napari_xmag.geometry import Box

    pixels = np.random.default_rng(0).integers(0, 256, (80, 500, 3)).astype(np.uint8)
    stored = pixels if kind == np.uint8 else pixels.astype(np.uint16) * 257
    stored = stored if planar == "contig" else np.moveaxis(stored, 2, 0)
    path = tmp_path / "plain.tif"
    with tifffile.TiffWriter(path, byteorder=">") as writer:
        writer.write(stored, photometric="rgb", planarconfig=planar, metadata=None)
    with open_slide(path) as slide:
        for x, y, width, height in ((3, 5, 40, 30), (0, 0, 500, 80), (100, 7, 390, 1)):
            expected = pixels[y : y + height, x : x + width]
            np.testing.assert_array_equal(slide.read(Box(x, y, width, height), 0), expected)


def test_a_tile_that_declares_far_more_than_its_place_is_damage(tmp_path: Path) -> None:
    from napari_xmag.errors import TileReadError
    from napari_xmag.geometry import Box

    path = write_pyramid(tmp_path / "bomb.tif", draw_section(1024, 512), factors=(1,))
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.dataoffsets[1]
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0", place)
    data[frame + 5 : frame + 9] = struct.pack(">HH", 16_000, 16_000)
    path.write_bytes(data)
    with open_slide(path) as slide:
        with pytest.raises(TileReadError, match="declares 256,000,000"):
            slide.read(Box(256, 0, 256, 256), 0)
        slide.read(Box(0, 0, 256, 256), 0)


def test_a_tile_smaller_than_its_place_is_damage_not_glass(tmp_path: Path) -> None:
    from napari_xmag.errors import TileReadError
    from napari_xmag.geometry import Box

    path = write_pyramid(tmp_path / "small.tif", draw_section(1024, 512), factors=(1,))
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.dataoffsets[1]
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0", place)
    data[frame + 5 : frame + 9] = struct.pack(">HH", 256, 128)
    path.write_bytes(data)
    with open_slide(path) as slide, pytest.raises(TileReadError, match="128×256 pixels in a tile"):
        slide.read(Box(256, 0, 256, 256), 0)


@pytest.mark.parametrize("tag", [322, 323])
def test_tiles_without_any_size_are_refused(plain: Path, tmp_path: Path, tag: int) -> None:
    path = altered(plain, tmp_path / "one.svs", tag, 0)
    path = altered(path, tmp_path / "both.svs", 645 - tag, 0)
    with pytest.raises(SlideOpenError, match="tiles of 0×0"):
        open_slide(path)


def test_a_leica_slide_whose_pages_are_others_than_described_is_refused(tmp_path: Path) -> None:
    """OpenSlide takes pages by their numbers: it would show one level in another's place."""
    path = write_leica(tmp_path / "slide.scn", draw_section(600, 500), factors=(1, 2))
    data = path.read_bytes()
    assert data.count(b'sizeY="250"') == 1
    path.write_bytes(data.replace(b'sizeY="250"', b'sizeY="251"'))
    with pytest.raises(SlideOpenError, match="to have 300×251 pixels, but found a page of another"):
        open_slide(path)
