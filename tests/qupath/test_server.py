"""What QuPath says of a picture, and where its (0, 0) lies."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from napari_xmag.errors import ProjectError
from napari_xmag.geometry import Box, Mpp
from napari_xmag.qupath.origin import Origin
from napari_xmag.qupath.server import find_origin, open_shown, read_server, uri_parts, uri_path
from napari_xmag.slide.open import open_slide
from tests.qupath.projects import server, write_sections


def test_a_plain_picture(pyramid_slide: Path) -> None:
    image = read_server(server(pyramid_slide, "--series", "2"))
    assert (image.path, image.width, image.height) == (pyramid_slide, 3000, 2000)
    assert (image.series, image.crop, image.problem) == (2, True, "")
    assert image.mpp == Mpp(0.5, 0.5)
    image.require_plain()


@pytest.mark.parametrize(
    ("args", "series"),
    [([], None), (["--series=3"], 3), (["-s", "1", "--no-crop"], 1), (["--series", "-1"], None)],
)
def test_arguments(args: list[str], series: int | None, pyramid_slide: Path) -> None:
    image = read_server(server(pyramid_slide, *args))
    assert (image.series, image.crop) == (series, "--no-crop" not in args)


def wrapped(kind: str, inner: Any, **facts: Any) -> Any:
    return {"builderType": kind, "builder": inner, **facts}


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("rotated", {"rotation": "ROTATE_90"}, "rotated"),
        ("cropped", {"region": {"x": 5}}, "cropped"),
        ("affine", {}, "transformed"),
        ("swapRedBlue", {}, "other colours"),
        ("color", {}, "other colours"),
        ("color_deconvolved", {}, "other colours"),
        ("something new", {}, r"not known here \(something new\)"),
    ],
)
def test_changed_pictures_are_refused(
    kind: str, facts: dict[str, Any], words: str, pyramid_slide: Path
) -> None:
    inside = wrapped("pyramidize", wrapped(kind, server(pyramid_slide), **facts))
    with pytest.raises(ProjectError, match=words):
        read_server(inside).require_plain()


@pytest.mark.parametrize(
    ("args", "words"),
    [(["--rotate", "ROTATE_180"], "rotated"), (["--order=BGR"], "other colours")],
)
def test_pictures_changed_by_arguments_are_refused(
    args: list[str], words: str, pyramid_slide: Path
) -> None:
    with pytest.raises(ProjectError, match=words):
        read_server(server(pyramid_slide, *args)).require_plain()
    read_server(server(pyramid_slide, "--rotate", "ROTATE_NONE", "--order", "RGB")).require_plain()


def test_pictures_of_several_files_and_from_servers() -> None:
    sparse = {"builderType": "sparse", "regions": []}
    with pytest.raises(ProjectError, match="several files"):
        read_server(sparse).require_plain()
    remote = {"builderType": "uri", "uri": "https://example.org/omero/1", "args": []}
    with pytest.raises(ProjectError, match="https"):
        read_server(remote).require_plain()


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    builder = {"builderType": "uri", "uri": tmp_path.as_uri(), "args": []}
    with pytest.raises(ProjectError, match="read from a folder"):
        read_server(builder).require_plain()


@pytest.mark.parametrize("uri", ["", "  ", None, 3])
def test_no_place_is_no_picture(uri: object) -> None:
    with pytest.raises(ValueError, match="names no file"):
        read_server({"builderType": "uri", "uri": uri, "args": []})


@pytest.mark.parametrize("kind", ["pyramidize", "rotated"])
def test_wrapped_but_the_same(kind: str, pyramid_slide: Path) -> None:
    image = read_server(wrapped(kind, server(pyramid_slide), rotation="ROTATE_NONE"))
    image.require_plain()
    assert (image.path, image.width) == (pyramid_slide, 3000)


def test_uris() -> None:
    assert uri_path("file:/slides/a%20b%C3%BC.svs") == Path("/slides/a bü.svs")
    assert uri_path("file:///slides/a.svs") == Path("/slides/a.svs")
    assert uri_path("/slides/a.svs") == Path("/slides/a.svs")
    assert uri_parts("file:/C:/Users/me/a%20b.svs") == PurePosixPath("/C:/Users/me/a b.svs")


@pytest.mark.parametrize(
    ("size", "args", "origin"),
    [
        ((2000, 1500), [], Origin.BOUNDS),
        ((6000, 5000), [], Origin.SLIDE),
        ((6000, 5000), ["--no-crop"], Origin.SLIDE),
        ((0, 0), [], Origin.BOUNDS),
        ((0, 0), ["--no-crop"], Origin.SLIDE),
    ],
)
def test_the_origin_by_size(
    size: tuple[int, int], args: list[str], origin: Origin, bounds_slide: Path
) -> None:
    image = read_server(server(bounds_slide, *args, size=size))
    with open_shown(image) as slide:
        assert find_origin(image, slide) is origin


@pytest.mark.parametrize(
    ("size", "args", "words"),
    [
        ((256, 213), ["--series", "0"], "an image of 2000×1500 or 6000×5000 pixels"),
        ((256, 213), ["--no-crop"], "an image of 6000×5000 pixels"),
        ((2000, 1500), ["--no-crop"], "6000×5000 .* --no-crop shows, but found .* scanned part"),
    ],
)
def test_another_size_is_refused(
    size: tuple[int, int], args: list[str], words: str, bounds_slide: Path
) -> None:
    image = read_server(server(bounds_slide, *args, size=size))
    with open_slide(bounds_slide) as slide, pytest.raises(ProjectError, match=words):
        find_origin(image, slide)


def test_pixel_sizes(no_mpp_slide: Path, pyramid_slide: Path) -> None:
    with open_shown(read_server(server(no_mpp_slide, mpp=0.37))) as slide:
        assert slide.mpp == Mpp(0.37, 0.37)
    with open_shown(read_server(server(pyramid_slide, mpp=0.25))) as slide:
        assert slide.mpp == Mpp(0.5, 0.5)
        assert "QuPath says 0.25" in slide.mpp_conflict


def test_pixels_without_a_unit(no_mpp_slide: Path) -> None:
    builder = server(no_mpp_slide)
    for axis in ("pixelWidth", "pixelHeight"):
        builder["metadata"]["pixelCalibration"][axis] = {"value": 1.0, "unit": "px"}
    assert read_server(builder).mpp is None


def test_the_section_that_qupath_shows(tmp_path: Path) -> None:
    path = write_sections(tmp_path / "a.ome.tiff", (900, 700), (800, 600), (900, 700))
    with open_shown(read_server(server(path, "--series", "1", size=(800, 600)))) as slide:
        assert (slide.levels[0].width, slide.levels[0].height) == (800, 600)
    twice = read_server(server(path, size=(900, 700)))
    with pytest.raises(ProjectError, match="found 2 that it could be"):
        open_shown(twice)


@pytest.mark.parametrize("sized", [True, False])
def test_sections_of_one_size_are_told_by_their_series(sized: bool, tmp_path: Path) -> None:
    sizes = [(900, 700), (800, 600), (900, 700)]
    path = write_sections(tmp_path / "a.ome.tiff", *sizes)
    for series, size in enumerate(sizes):
        shown = size if sized else (0, 0)  # as old projects have it
        image = read_server(server(path, "--series", str(series), size=shown))
        with open_shown(image) as slide:
            pixels = slide.read(Box(0, 0, 8, 8), 0)
        assert np.all(pixels == 200 + series)
    beyond = read_server(server(path, "--series", "7", size=(900, 700)))
    with pytest.raises(ProjectError, match="found 2 that it could be"):
        open_shown(beyond)
