"""Files of GeoJSON, packed or not: read, or refused in words about the file."""

import gzip
import json
import os
import zipfile
from pathlib import Path

import pytest

from napari_xmag.errors import TissueError
from napari_xmag.qupath.geojson_file import read_geojson
from tests.qupath.shapes import annotation, polygon, square

TEXT = json.dumps(annotation(polygon(square(0, 0, 9)), "Tumör"), ensure_ascii=False)


def refused(path: Path) -> TissueError:
    with pytest.raises(TissueError) as said:
        list(read_geojson(path))
    return said.value


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            packed.writestr(name, TEXT)
    return path


@pytest.mark.parametrize("count", [2, 5])
def test_an_archive_of_several_slides_is_no_file_of_one(count: int, tmp_path: Path) -> None:
    names = [f"slide {number}.geojson" for number in range(count - 1)]
    said = refused(archive(tmp_path / "a.zip", *names, "x/slide 9.json.gz"))
    first = "slide 0.geojson, x/slide 9.json.gz" if count == 2 else ", ".join([*names[:3], "…"])
    assert said.found == f"a.zip, which is an archive of {count} GeoJSON files ({first})"
    assert said.hint == "Unpack it and name the one file of this slide."


def test_one_file_in_an_archive_is_read_whatever_lies_beside_it(tmp_path: Path) -> None:
    names = ("b.geojson/", "./in/a.geojson", "__MACOSX/._a.geojson", ".b.geojson", "readme.txt")
    assert list(read_geojson(archive(tmp_path / "a.zip", *names))) == [json.loads(TEXT)]


def test_an_archive_without_geojson(tmp_path: Path) -> None:
    for name, members in (("a.zip", ["readme.txt"]), ("b.zip", [])):
        said = refused(archive(tmp_path / name, *members))
        assert said.found == f"{name}, which is an archive with no .geojson in it"


def test_a_damaged_archive_cannot_be_unpacked(tmp_path: Path) -> None:
    """`zipfile` tells some kinds of damage by errors that are said of numbers, too."""
    whole = archive(tmp_path / "a.zip", "a.geojson").read_bytes()
    words = set()
    for place in range(4, len(whole)):  # the first four bytes say that it is an archive
        (tmp_path / "b.zip").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            list(read_geojson(tmp_path / "b.zip"))
        except TissueError as error:
            words.add(error.found.partition("which ")[2].partition(" (")[0])
    assert "cannot be unpacked" in words
    assert not any("digits" in said for said in words)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_unicode_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    for packed in (bytes, gzip.compress):
        path.write_bytes(packed(TEXT.encode(encoding)))
        assert list(read_geojson(path)) == [json.loads(TEXT)]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (TEXT.encode("latin-1"), "is no text in UTF-8 or UTF-16"),
        (b"\xff\xfe[", "is no text in UTF-8 or UTF-16"),
        (b'[{"type": 1},\n {"type"', "is not JSON, or is cut off (line 2, column 9)"),
        (b'[{"type": 1}] more', "is not JSON, or is cut off (line 1, column 13)"),
        (b"{type: 1}", "is not JSON, or is cut off (line 1, column 2)"),
        (b"[" + b"9" * 5000 + b"]", "holds a number of thousands of digits"),
        (b'{"a":' * 100_000, "is nested too deeply"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"\x1f\x8b\x08", "cannot be unpacked"),
        (b"PK\x03\x04", "cannot be unpacked"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words(raw: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(raw)
    assert refused(path).found.startswith(f"a.geojson, which {words}")


@pytest.mark.skipif(os.name != "posix", reason="Windows allows no such name")
def test_a_name_that_commands_a_terminal_is_written_out(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31ma.geojson"
    path.write_text("")
    assert refused(path).found == r"\x1b[31ma.geojson, which is empty"
