"""Nothing that is written names a patient, a user or a machine; every output is opened for it.

A slide's file name and what stands in a table are kept, as docs/privacy.md says: the seeds lie in
folders, headers, label and macro pictures, and in what the system knows of user and machine.
"""

import base64
import getpass
import gzip
import io
import json
import logging
import platform
import re
import socket
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_xmag.cli import main
from napari_xmag.export import export_all
from napari_xmag.review.reopen import adopt, reopen
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.verdicts import PlaceReview, Verdict
from napari_xmag.slide.open import open_slide
from tests.slides import TILE, draw_section, shrink

USER, HOST, PATIENT, BARCODE = "u.quastenflosser", "ward7-quarz", "Quellhuber", "BC77120391"
SEEDS = (USER, HOST, PATIENT, BARCODE)
NAMES = "abcdef"
SPLITS = ("train", "train", "validation", "validation", "test", "test")
BLOCK = 24


def marked(width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture of two colours that no stain and no map has, in squares."""
    y, x = np.mgrid[:height, :width] // BLOCK
    odd = ((x + y) % 2)[..., None].astype(bool)
    return np.where(odd, np.uint8([255, 0, 255]), np.uint8([0, 255, 0]))


def shows_mark(pixels: NDArray[np.uint8]) -> bool:
    """Return whether both colours are there, each in more than a few pixels."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    first = (red > 200) & (green < 80) & (blue > 200)
    second = (red < 80) & (green > 200) & (blue < 80)
    return bool(min(first.sum(), second.sum()) > 20)


def write_slide(path: Path, seed: int) -> None:
    """Write an Aperio slide whose header, label and macro tell whose it is."""
    pixels = draw_section(1100, 800, seed=seed)
    about = f"|AppMag = 20|MPP = 0.5000|Barcode = {BARCODE}|Patient = Xaver {PATIENT}|User = {USER}"
    library = "Aperio Image Library v11.2.1\n"
    with tifffile.TiffWriter(path) as writer:

        def write(page: NDArray[np.uint8], words: str, **layout: object) -> None:
            writer.write(
                page, photometric="rgb", metadata=None, description=library + words, **layout
            )

        tiled = {"tile": (TILE, TILE), "compression": "jpeg"}
        write(pixels, f"1100x800 JPEG/RGB Q=70{about}", **tiled)
        write(shrink(pixels, 4), "1100x800 -> 275x200 - ")
        write(shrink(pixels, 4), f"275x200 JPEG/RGB Q=70{about}", subfiletype=1, **tiled)
        write(marked(360, 300), f"label 360x300 {BARCODE}", subfiletype=1, compression="lzw")
        write(marked(600, 300), "macro 600x300", subfiletype=9, compression="jpeg")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study in a user's home, below a folder called after a patient."""
    study = tmp_path / "home" / USER / f"Xaver {PATIENT}" / "study"
    (study / "slides").mkdir(parents=True)
    lines = ["slide,label,split"]
    for seed, (name, split) in enumerate(zip(NAMES, SPLITS, strict=True)):
        write_slide(study / "slides" / f"{name}.svs", seed)
        lines.append(f"slides/{name}.svs,{('benign', 'malignant')[seed % 2]},{split}")
    (study / "cohort.csv").write_text("\n".join(lines))
    (study / "annotations").mkdir()
    (study / "annotations" / "a.geojson").write_text(json.dumps(annotations()))
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.setattr(getpass, "getuser", lambda: USER)
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.clinic.example")
    monkeypatch.setattr(platform, "node", lambda: f"{HOST}.clinic.example")
    monkeypatch.chdir(study)
    return study


def annotations() -> dict[str, object]:
    def square(left: int, top: int, name: str) -> dict[str, object]:
        ring = [[left, top], [left + 250, top], [left + 250, top + 250], [left, top + 250]]
        shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        about = {"objectType": "annotation", "classification": {"name": name}}
        return {"type": "Feature", "geometry": shape, "properties": about}

    features = [square(300, 250, "Tumor"), square(700, 250, "Stroma")]
    return {"type": "FeatureCollection", "features": features}


def test_what_is_looked_for_is_found(study: Path) -> None:
    """The slides hold all of it, and the search sees through every packing."""
    with openslide.OpenSlide(str(study / "slides" / "a.svs")) as slide:
        assert {BARCODE, PATIENT} <= set(
            re.findall(r"[\w.]+", slide.properties["openslide.comment"])
        )
        label = slide.associated_images["label"].convert("RGB")
        macro = slide.associated_images["macro"].convert("RGB")
    for picture in (label, macro, label.resize((90, 75)), macro.resize((150, 75))):
        assert shows_mark(np.asarray(picture))
    packed = study / "packed"
    packed.mkdir()
    words = f"… {BARCODE} …".encode()
    (packed / "a.gz").write_bytes(gzip.compress(words))
    with zipfile.ZipFile(packed / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.gz", gzip.compress(words))
    stream = base64.a85encode(zlib.compress(words)) + b"~>"
    (packed / "c.pdf").write_bytes(pdf(b"/Filter [ /ASCII85Decode /FlateDecode ]", stream))
    tifffile.imwrite(packed / "d.tif", np.zeros((9, 9), np.uint8), description=BARCODE)
    for file in sorted(packed.iterdir()):
        assert found_in(file) == {BARCODE}, file.name
    png = io.BytesIO()
    label.resize((120, 100)).save(png, "PNG")
    page = b'<img src="data:image/png;base64,' + base64.b64encode(png.getvalue()) + b'">'
    (packed / "e.html").write_bytes(page)
    raw = zlib.compress(label.resize((120, 100)).tobytes())
    (packed / "f.pdf").write_bytes(pdf(b"/Width 120 /Height 100 /Filter /FlateDecode", raw))
    label.resize((120, 100)).save(packed / "g.tif")
    for name in ("e.html", "f.pdf", "g.tif"):
        assert any(map(shows_mark, pictures_in(packed / name))), name


def pdf(head: bytes, stream: bytes) -> bytes:
    return b"%PDF-1.4\n1 0 obj\n<< " + head + b" >>\nstream\n" + stream + b"\nendstream\n"


def test_no_output_names_a_patient_a_user_or_a_machine(
    study: Path,
    tiny: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = {file for file in study.rglob("*") if file.is_file()}
    caplog.set_level(logging.INFO)
    commands(tiny)
    reviewed(study)
    written = [file for file in study.rglob("*") if file.is_file() and file not in before]
    written += [file for file in (tmp_path / "xmag-home").rglob("*") if file.is_file()]
    kinds = {"".join(file.suffixes[-2:]) for file in written}
    assert {
        ".json",
        ".csv",
        ".png",
        ".ome.tif",
        ".geojson.gz",
        ".html",
        ".pdf",
        ".md",
        ".npy",
    } <= kinds
    assert any(file.suffix == ".safetensors" for file in written)
    assert any("tfevents" in file.name for file in written)
    assert {file.name: found_in(file) for file in written if found_in(file)} == {}
    assert [file for file in written if found(file.name.encode())] == []
    pictures = [(file.name, pixels) for file in written for pixels in pictures_in(file)]
    assert len(pictures) > 20
    assert [name for name, pixels in pictures if shows_mark(pixels)] == []
    said = capfd.readouterr()
    lines = [*caplog.text.splitlines(), *said.out.splitlines(), *said.err.splitlines()]
    assert [line for line in lines if found(line.encode())] == []


def commands(model: str) -> None:
    """Run what writes most, from the folder of the study."""
    common = ["--model", model, "--tissue", "whole", "--workers", "0", "--engine", "torch"]
    assert main(["-v", "analyze", "slides", *common, "--out", "results"]) == 0
    assert main(["-v", "report", *map(str, sorted(Path("results").glob("[a-f]")))]) == 0
    assert main(["-v", "features", "slides", *common, "--out", "features"]) == 0
    listing = ["worklist", "list.json", "slides", "--results", "results"]
    assert main(["-v", *listing, "--summary", "list.csv"]) == 0
    settings = ["--epochs", "2", "--set", "hidden=8"]
    assert main(["-v", "train", "cohort.csv", "--encoder", model, "--out", "run", *settings]) == 0
    teaching = ["--annotations", "annotations", "--encoder", model, "--out", "taught"]
    assert (
        main(["-v", "teach", "slides/a.svs", "--name", "taught", *teaching, "--areas", "areas.csv"])
        == 0
    )


def reviewed(study: Path) -> None:
    """Say something of a place, as the window does, and export it."""
    result = reopen(study / "results" / "a", [study / "slides"])
    store = ReviewStore(str(result.result.slide["fingerprint"]))
    adopt(result, store)
    store.record(PlaceReview(result.result.patches.box(0), verdict=Verdict.RIGHT, comment="a fold"))
    with open_slide(result.slide) as slide:
        export_all(slide, result.result, study / "exported", reviews=store.reviews())


def found(content: bytes) -> set[str]:
    """Return the seeds in bytes, as UTF-8 or UTF-16, in any letters."""
    low = content.lower()
    return {s for s in SEEDS if s.lower().encode() in low or s.lower().encode("utf-16-le") in low}


def found_in(file: Path) -> set[str]:
    """Return the seeds in a file, however it is packed."""
    return set().union(*map(found, unpacked(file.read_bytes())))


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield bytes, and what is packed in them."""
    yield content
    if content[:2] == b"\x1f\x8b":
        yield from unpacked(gzip.decompress(content))
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from unpacked(archive.read(name))
    elif content[:4] == b"%PDF":
        yield from (stream for _, stream in pdf_streams(content))
    elif content[:4] in (b"II*\0", b"MM\0*", b"II+\0"):
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            for page in tiff.pages:
                yield "\n".join(str(tag.value) for tag in page.tags).encode()
                yield page.asarray().tobytes()
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        with Image.open(io.BytesIO(content)) as picture:
            yield str(picture.info).encode()
    for part in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content):
        yield from unpacked(base64.b64decode(part))


def pdf_streams(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield what is said of each stream of a PDF, and its content."""
    pattern = rb"<<([^<]{0,2000}?)>>\s*stream\r?\n(.*?)endstream"
    for head, packed in re.findall(pattern, content, re.DOTALL):
        body = packed
        if b"ASCII85" in head:
            body = base64.a85decode(body.strip().removesuffix(b"~>"))
        if b"FlateDecode" in head:
            body = zlib.decompressobj().decompress(body)
        yield head, body


def pictures_in(file: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures in a file, each uint8 (H, W, 3)."""
    content = file.read_bytes()
    parts = [
        content,
        *(base64.b64decode(p) for p in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)),
    ]
    if content[:4] == b"%PDF":
        for head, body in pdf_streams(content):
            size = [re.search(rb"/%s (\d+)" % side, head) for side in (b"Height", b"Width")]
            sides = [int(match[1]) for match in size if match]
            if len(sides) == 2 and len(body) == 3 * sides[0] * sides[1]:
                yield np.frombuffer(body, np.uint8).reshape(*sides, 3)
            elif len(sides) == 2:
                parts.append(body)
    for part in parts:
        if part[:3] == b"\xff\xd8\xff" or part[:4] in (b"\x89PNG", b"II*\0", b"MM\0*"):
            try:
                picture = Image.open(io.BytesIO(part))
            except OSError:  # of floating-point numbers, as maps are
                continue
            yield np.asarray(picture.convert("RGB"))
