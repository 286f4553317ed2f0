"""Each slide gets its own annotations or none."""

from pathlib import Path
from unicodedata import normalize

import pytest

from napari_xmag.errors import TissueError
from napari_xmag.qupath.annotation_files import AnnotatedSlide, AnnotationFiles

A = AnnotatedSlide(Path("x/B.svs"), "A.svs", "1")
B = AnnotatedSlide(Path("x/A.svs"), "B.svs", "2")


def _found(folder: Path, slides: list[AnnotatedSlide], *names: str) -> list[str | None]:
    for name in names:
        (folder / name).write_text("")
    files = AnnotationFiles.of(slides)
    found = [files.find(slide, folder) for slide in slides]
    return [file and file.name for file in found]


def test_the_name_of_the_image_comes_before_that_of_its_file(tmp_path: Path) -> None:
    both = ["A.svs.geojson", "B.geojson"]
    assert _found(tmp_path, [A, B], *both) == both


def test_a_file_named_after_another_image_is_never_taken(tmp_path: Path) -> None:
    assert _found(tmp_path, [A, B], "B.svs.geojson") == [None, "B.svs.geojson"]


def test_the_file_behind_an_image_names_it_where_nothing_else_does(tmp_path: Path) -> None:
    image = AnnotatedSlide(Path("x/s.tiff"), "biopsy 17", "1")
    assert _found(tmp_path, [image], "s.geojson") == ["s.geojson"]
    assert _found(tmp_path, [image], "biopsy 17.geojson.gz") == ["biopsy 17.geojson.gz"]


def test_a_dot_in_a_name_is_no_suffix(tmp_path: Path) -> None:
    cases = [AnnotatedSlide(Path(f"{i}.svs"), f"Case 1.{i}", str(i)) for i in (2, 3)]
    assert _found(tmp_path, cases, "Case 1.geojson") == [None, None]


@pytest.mark.parametrize("name", ["s.ome.tif", "s.OME.TIFF"])
def test_a_file_is_named_after_an_ome_tiff_as_qupath_names_it(name: str, tmp_path: Path) -> None:
    slide, image = AnnotatedSlide(Path(name)), AnnotatedSlide(Path("x.svs"), name, "1")
    assert _found(tmp_path, [slide], "s.geojson") == ["s.geojson"]
    assert _found(tmp_path, [image], "s.geojson") == ["s.geojson"]
    full = f"{Path(name).stem}.geojson"
    assert _found(tmp_path, [slide], full) == [full]


@pytest.mark.parametrize(
    ("slides", "file"),
    [
        ([AnnotatedSlide(Path("s.ome.tif")), AnnotatedSlide(Path("s.svs"))], "s.geojson"),
        ([AnnotatedSlide(Path(f"{i}.svs"), "same", str(i)) for i in (1, 2)], "same.geojson"),
        ([AnnotatedSlide(Path("a/s.tiff")), AnnotatedSlide(Path("b/s.tiff"))], "s.geojson"),
        ([AnnotatedSlide(Path("s.svs")), AnnotatedSlide(Path("s.tiff"))], "s.json"),
        ([AnnotatedSlide(Path("f.czi"), f"f - {i}", str(i)) for i in (1, 2)], "f.geojson"),
    ],
)
def test_a_file_that_could_be_of_two_slides_is_refused(
    slides: list[AnnotatedSlide], file: str, tmp_path: Path
) -> None:
    with pytest.raises(TissueError, match="Name the files apart"):
        _found(tmp_path, slides, file)


def test_images_of_one_name_are_told_apart_by_their_id(tmp_path: Path) -> None:
    images = [AnnotatedSlide(Path(f"{i}.svs"), "a/b", str(i)) for i in (1, 2)]
    files = [f"a_b [ID {i}].geojson" for i in (1, 2)]
    assert _found(tmp_path, images, *files) == files


def test_suffixes_tell_slides_of_one_stem_apart(tmp_path: Path) -> None:
    slides = [AnnotatedSlide(Path("s.svs")), AnnotatedSlide(Path("s.tiff"))]
    assert _found(tmp_path, slides, "s.svs.geojson", "s.geojson") == ["s.svs.geojson", "s.geojson"]


@pytest.mark.parametrize(("of_file", "of_image"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_are_the_same_in_either_form(of_file: str, of_image: str, tmp_path: Path) -> None:
    image = AnnotatedSlide(Path("1.svs"), normalize(of_image, "Börse é.svs"), "1")
    other = AnnotatedSlide(Path(normalize(of_image, "Müller.tiff")))
    names = [normalize(of_file, name) for name in ("Börse é.geojson", "Müller.tiff.geojson")]
    found = _found(tmp_path, [image, other], *names)
    assert [normalize("NFC", str(name)) for name in found] == [normalize("NFC", n) for n in names]
    by_id = normalize(of_file, "Börse é.svs [ID 1].geojson")
    assert normalize("NFC", str(_found(tmp_path, [image], by_id)[0])) == normalize("NFC", by_id)


def test_the_name_of_a_file_is_that_of_its_first_picture(tmp_path: Path) -> None:
    first = AnnotatedSlide(Path("x/a.tif"), "a.tif - 1", "1")
    second = AnnotatedSlide(Path("x/a.tif"), "a.tif - 2", "2", further=True)
    assert _found(tmp_path, [first, second], "a.geojson") == ["a.geojson", None]
    assert _found(tmp_path, [second], "a.tif.geojson") == [None]
    own = ["a.tif - 1.geojson", "a.tif - 2.geojson"]
    assert _found(tmp_path, [first, second], *own) == own


def test_a_further_picture_has_its_own_file(tmp_path: Path) -> None:
    slide = AnnotatedSlide(Path("s.scn"))
    files = AnnotationFiles.of([slide])
    (tmp_path / "s.geojson").write_text("")
    assert files.find(slide, tmp_path, "#2") is None
    (tmp_path / "s#2.geojson").write_text("")
    assert files.find(slide, tmp_path, "#2") == tmp_path / "s#2.geojson"


def test_advice_names_a_file_that_can_be_made(tmp_path: Path) -> None:
    two = [AnnotatedSlide(tmp_path / "s.svs", "a/b: c", str(key)) for key in (1, 2)]
    (tmp_path / "a_b_ c.geojson").write_text("{}")
    with pytest.raises(TissueError, match=r'"a_b_ c \[ID 1\]\.geojson"'):
        AnnotationFiles.of(two).find(two[0], tmp_path)


def test_images_of_two_projects_that_nothing_tells_apart(tmp_path: Path) -> None:
    (tmp_path / "image.geojson").write_text("{}")
    slides = [AnnotatedSlide(tmp_path / f"{name}.svs", "image", "1") for name in "ab"]
    with pytest.raises(TissueError, match="two images named image with the ID 1"):
        AnnotationFiles.of(slides).find(slides[0], tmp_path)
