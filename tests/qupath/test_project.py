"""Projects: slides, labels, and notes written back."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from napari_xmag.batch.targets import find_targets
from napari_xmag.errors import (
    CohortError,
    EmptyProjectError,
    ExportError,
    ProjectError,
)
from napari_xmag.qupath.cohort import read_project_cohort
from napari_xmag.qupath.metadata import (
    image_description,
    image_metadata,
    with_description,
    with_metadata,
)
from napari_xmag.qupath.project import Project, read_project
from napari_xmag.qupath.write_back import EntryNote, write_back
from tests.analyze.test_result import make_result
from tests.qupath.projects import (
    entry,
    server,
    unusable_images,
    write_project,
    write_sections,
)

NOTE = EntryNote(
    {"XMAG prediction": "malignant", "XMAG malignant": "0.980"},
    "XMAG: malignant. Research use only. Not for diagnosis.",
)


@pytest.fixture
def project(tmp_path: Path, pyramid_slide: Path, bounds_slide: Path) -> Project:
    first = entry(
        1,
        server(pyramid_slide),
        imageName="a.tiff",
        metadata={
            "label": " Malignant",
            "patient": "P1",
            "XMAG stroma": "0.900",
            "XMAG classes": '{"XMAG stroma": "0.900", "XMAG label": "B"}',
            "XMAG label": "A",
            "XMAG share": "0.500",
        },
        description="free text\nsecond line",
    )
    second = entry(2, server(bounds_slide), metadata={"label": "Benign"}, tags=["train"])
    return read_project(write_project(tmp_path / "project" / "project.qpproj", first, second))


def test_entries(project: Project, pyramid_slide: Path) -> None:
    first, second = project.entries
    assert (first.key, first.name, first.image.path) == ("1", "a.tiff", pyramid_slide)
    assert first.description == "free text\nsecond line"
    assert second.metadata == {"label": "Benign"}


@pytest.mark.real_data
def test_the_project_that_qupath_wrote(qupath_files: Path) -> None:
    first, second = read_project(qupath_files / "project.qpproj").entries
    assert first.name == "CMU-1-Small-Region.svs"
    assert first.metadata["label"] == "Malignant"
    assert (first.image.width, first.image.series) == (2304, 0)
    assert (second.image.width, second.image.height, second.image.series) == (2000, 1500, 1)
    assert second.metadata["patient"] == "P3"


@pytest.mark.parametrize(
    ("old", "slide"),
    [
        ("file:/old/place/project/project.qpproj", "file:/old/place/slides/a.tiff"),
        ("file:/C:/me/project/project.qpproj", "file:/C:/me/slides/a.tiff"),
        ("file:/old/%C3%BC%20x/project/project.qpproj", "file:/old/%C3%BC%20x/slides/a.tiff"),
        ("file:/old/project.qpproj", "file:/old/inside/a.tiff"),
        ("file:////nas/share/project/project.qpproj", "file:////nas/share/slides/a.tiff"),
        ("file:////nas/share/project/project.qpproj", "file://nas/share/slides/a.tiff"),
        ("file://localhost/old/project.qpproj", "file:/old/inside/a.tiff"),
    ],
)
def test_a_project_moved_with_its_slides(old: str, slide: str, tmp_path: Path) -> None:
    inside = "inside" in slide
    now = tmp_path / "new" / ("inside" if inside else "slides") / "a.tiff"
    now.parent.mkdir(parents=True)
    now.write_bytes(b"a slide")
    builder = {"builderType": "uri", "uri": slide, "args": []}
    home = tmp_path / "new" / ("" if inside else "project")
    path = write_project(home / "project.qpproj", entry(1, builder), uri=old)
    assert read_project(path).entries[0].image.path == now


def test_a_slide_that_is_nowhere_keeps_its_path(tmp_path: Path) -> None:
    builder = {"builderType": "uri", "uri": "file:/old/slides/a.svs", "args": []}
    old = "file:/old/project/project.qpproj"
    path = write_project(tmp_path / "project.qpproj", entry(1, builder), uri=old)
    assert read_project(path).entries[0].image.path == Path("/old/slides/a.svs")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": [{"serverBuilder": {}}]}', "\0"])
def test_what_is_no_project_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "project.qpproj"
    path.write_text(text)
    with pytest.raises(ProjectError, match=r"project\.qpproj"):
        read_project(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [("[]", "not laid out as QuPath"), ("{}", "has no images"), ('{"images": 5}', "not laid out"),
     ("{", "not JSON at line 1"), ('{"images": [{"imageName": "a"}]}', "has an entryID")],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "project.qpproj"
    path.write_text(text)
    with pytest.raises(ProjectError, match=words) as said:
        read_project(path)
    assert not re.search("object|'|Error", str(said.value))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"args": ["--series", "x"]}, "shows the series x"),
        ({"metadata": {"width": "w"}}, "w pixels"),
        ({"args": 5}, "not laid out"),
    ],
)
def test_what_is_wrong_with_one_image_is_said_in_words(
    change: dict[str, Any], words: str, tmp_path: Path, pyramid_slide: Path
) -> None:
    path = tmp_path / "server.json"
    path.write_text(json.dumps({**server(pyramid_slide), **change}))
    with pytest.raises(ProjectError, match=words) as said:
        find_targets([path])
    assert not re.search(r"object|'|literal|convert", str(said.value))


def test_what_is_no_text_stays_as_the_file_has_it(tmp_path: Path, pyramid_slide: Path) -> None:
    builder = server(pyramid_slide)
    odd = entry(1, builder, imageName=["x"], description={"mine": [True, None]})
    no_id = entry(True, builder, description="mine")
    listed = entry(3, builder, metadata=["mine"])
    path = write_project(tmp_path / "project.qpproj", odd, no_id, listed, entry(4, builder))
    project = read_project(path)
    assert [item.key for item in project.entries] == ["1", "", "", "4"]
    assert project.entries[0].name == '["x"]'
    write_back(project, dict.fromkeys(("1", "True", "", "3", "4"), NOTE))
    images = loaded(project)["images"]
    assert images[0]["description"].splitlines()[0] == '{"mine":[true,null]}'
    assert images[1:3] == [no_id, listed]
    assert "XMAG prediction" in images[3]["metadata"]


def test_one_odd_picture_hides_no_other(tmp_path: Path, pyramid_slide: Path) -> None:
    odd = [entry(1, None), entry(2, {"builderType": "uri"}), entry(3, server(pyramid_slide))]
    entries = read_project(write_project(tmp_path / "project.qpproj", *odd)).entries
    assert [bool(item.image.problem) for item in entries] == [True, True, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["serverBuilder"].update(args=["--series"]),
        lambda item: item["serverBuilder"]["metadata"].update(width=float("inf")),
        lambda item: item["serverBuilder"]["metadata"].update(height=float("nan")),
        lambda item: item.pop("entryID"),
        lambda item: item.update(entryID=None),
    ],
)
def test_an_image_that_cannot_be_told_hides_no_other(
    change: Callable[[dict[str, Any]], object], tmp_path: Path, pyramid_slide: Path
) -> None:
    odd = entry(1, server(pyramid_slide))
    change(odd)
    good = entry(3, server(pyramid_slide))
    project = read_project(write_project(tmp_path / "project.qpproj", odd, good, None))
    assert [bool(item.image.problem) for item in project.entries] == [True, False, True]
    write_back(project, {"3": NOTE})
    noted = json.loads(project.path.read_text())["images"]
    assert [bool(item and item["metadata"]) for item in noted] == [False, True, False]


def test_two_images_of_one_id_are_refused(tmp_path: Path, pyramid_slide: Path) -> None:
    same = [entry(number, server(pyramid_slide)) for number in (1, 4, 4)]
    with pytest.raises(ProjectError, match=r"project\.qpproj, but found the ID 4 on more than one"):
        read_project(write_project(tmp_path / "project.qpproj", *same))


# ---- cohort


def test_a_cohort(project: Project) -> None:
    cohort = read_project_cohort(project.path, label_key="label", patient_key="patient")
    assert [(row.label, row.named_patient) for row in cohort.rows] == [
        ("Malignant", "P1"),
        ("Benign", ""),
    ]


def test_unusable_images_are_left_out_by_name(
    tmp_path: Path, pyramid_slide: Path, bounds_slide: Path
) -> None:
    good = [
        entry(number, server(slide), metadata={"label": f"L{number}", "patient": f"{number}"})
        for number, slide in enumerate((pyramid_slide, bounds_slide), 1)
    ]
    bad = unusable_images(pyramid_slide, tmp_path)
    path = write_project(tmp_path / "project.qpproj", *bad, *good)
    cohort = read_project_cohort(path, label_key="label", patient_key="patient")
    assert [(row.slide, row.name) for row in cohort.rows] == [
        (pyramid_slide, "image 1"),
        (bounds_slide, "image 2"),
    ]
    assert cohort.problems == ()
    words = [str(problem) for problem in cohort.left_out]
    starts = [f"image {number}: left out: " for number in range(11, 11 + len(bad))]
    assert [word[: len(start)] for word, start in zip(words, starts, strict=True)] == starts
    assert "rotated in QuPath" in words[0]
    assert "no such file" in words[1]
    none = write_project(tmp_path / "none.qpproj", *bad)
    with pytest.raises(CohortError, match=r"none\. image 11: .*image 18: "):
        read_project_cohort(none, label_key="label")


def test_problems_are_listed_by_image(
    tmp_path: Path, pyramid_slide: Path, bounds_slide: Path
) -> None:
    path = write_project(
        tmp_path / "project.qpproj",
        entry(1, server(pyramid_slide), metadata={"label": "A", "patient": "P"}),
        entry(2, server(bounds_slide), metadata={}),
        entry(3, server(pyramid_slide), metadata={"label": "B", "patient": "P"}),
    )
    cohort = read_project_cohort(path, label_key="label", patient_key="patient")
    words = " ".join(map(str, cohort.problems))
    assert "image 2: no label" in words
    assert "image 2: no patient" in words
    assert "image 3: pyramid.tiff is already in image 1" in words
    assert "image 3: patient P has 2 labels" in words
    assert "row" not in words


def test_a_picture_that_training_would_not_read_is_listed(tmp_path: Path) -> None:
    slide = write_sections(tmp_path / "two.ome.tiff", (900, 700), (800, 600))
    shown = [(800, 600), (900, 700), (500, 400)]
    entries = [
        entry(number, server(slide, size=size), metadata={"label": "A", "patient": str(number)})
        for number, size in enumerate(shown, 1)
    ]
    path = write_project(tmp_path / "project.qpproj", *entries)
    cohort = read_project_cohort(path, label_key="label", patient_key="patient")
    found = {problem.row: problem.words for problem in cohort.left_out}
    assert "expected the first image of two.ome.tiff" in found[1]
    assert 2 not in found
    assert "500×400" in found[3]
    assert [row.row for row in cohort.rows] == [2]


def test_a_project_without_images(tmp_path: Path) -> None:
    with pytest.raises(EmptyProjectError, match="images in the project empty"):
        read_project(write_project(tmp_path / "empty.qpproj"))


def test_numbers_that_are_none_are_kept_as_java_writes_them(project: Project) -> None:
    text = project.path.read_text().replace('"isRGB": true', '"isRGB": true, "magnification": NaN')
    project.path.write_text(text)
    read = read_project(project.path)
    assert [item.image.problem for item in read.entries] == ["", ""]
    write_back(read, {"1": NOTE})
    assert project.path.read_text().count('"magnification": NaN') == 2


@pytest.mark.parametrize(("on_disk", "in_project"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_a_moved_project(on_disk: str, in_project: str, tmp_path: Path) -> None:
    now = tmp_path / normalize(on_disk, "Gewebe ä") / normalize(on_disk, "Müller.tiff")
    now.parent.mkdir()
    now.write_bytes(b"a slide")
    for place in (tmp_path, Path("/old/place")):
        slide = place / normalize(in_project, "Gewebe ä") / normalize(in_project, "Müller.tiff")
        builder = {"builderType": "uri", "uri": slide.as_uri(), "args": []}
        old = (place / "project.qpproj").as_uri()
        path = write_project(tmp_path / "project.qpproj", entry(1, builder), uri=old)
        assert read_project(path).entries[0].image.path == now


def test_a_key_that_no_image_has(project: Project) -> None:
    with pytest.raises(CohortError, match=r"diagnosis.*XMAG label, XMAG share, .* patient"):
        read_project_cohort(project.path, label_key="diagnosis")


def test_the_pixel_size_that_qupath_was_given(tmp_path: Path, no_mpp_slide: Path) -> None:
    path = write_project(
        tmp_path / "project.qpproj",
        entry(1, server(no_mpp_slide, mpp=0.37), metadata={"label": "A"}),
    )
    (row,) = read_project_cohort(path, label_key="label").rows
    assert row.mpp == pytest.approx(0.37)


# ---- writing back


def loaded(project: Project) -> Any:
    return json.loads(project.path.read_text(encoding="utf-8"))


def test_only_metadata_and_description_change(project: Project) -> None:
    before = loaded(project)
    backup = write_back(project, {"1": NOTE})
    after = loaded(project)
    assert backup is not None
    assert backup.name == "project.qpproj.backup"
    assert json.loads(backup.read_text()) == before
    image = after["images"][0]
    # the user's stays, what an earlier run left is gone
    mine = {"label": " Malignant", "patient": "P1", "XMAG label": "A", "XMAG share": "0.500"}
    listed = {"XMAG classes": '{"XMAG malignant":"0.980"}'}
    assert image["metadata"] == {**mine, **NOTE.metadata, **listed}
    assert image["description"] == f"free text\nsecond line\n{NOTE.description}"
    for changed in (before["images"][0], image):
        del changed["metadata"], changed["description"]
    assert after == before
    assert sorted(project.path.parent.iterdir()) == [project.path, backup]


def test_a_project_saved_meanwhile_is_left_alone(project: Project) -> None:
    project.path.write_text(project.path.read_text().replace("a.tiff", "b.tiff"))
    before = project.path.read_bytes()
    with pytest.raises(ProjectError, match="another program has saved since"):
        write_back(project, {"1": NOTE})
    assert project.path.read_bytes() == before
    assert [item.name for item in project.path.parent.iterdir()] == ["project.qpproj"]


def test_a_project_that_is_gone(project: Project) -> None:
    shutil.rmtree(project.path.parent)
    with pytest.raises(ProjectError, match="Nothing was written back"):
        write_back(project, {"1": NOTE})


def test_a_backup_that_cannot_be_written(project: Project) -> None:
    (project.path.parent / "project.qpproj.backup").mkdir()
    before = project.path.read_bytes()
    with pytest.raises(ExportError):
        write_back(project, {"1": NOTE})
    assert project.path.read_bytes() == before


def test_what_is_written_of_a_result() -> None:
    metadata = image_metadata(make_result())
    assert metadata["XMAG prediction"] == "malignant"
    assert metadata["XMAG malignant"] == "0.600"
    assert metadata["XMAG notice"] == "Research use only. Not for diagnosis."
    assert "given by hand" in metadata["XMAG warnings"]
    nothing = image_metadata(make_result(0))
    assert nothing["XMAG prediction"] == "No reliable prediction"
    assert "XMAG malignant" not in nothing
    assert set(image_metadata(make_result(classes=("model", "a")))) >= {"XMAG class model"}


def test_a_description_keeps_the_users_words() -> None:
    line = image_description(make_result())
    assert line.startswith("XMAG: malignant (benign 0.400, malignant 0.600), by Tiny.")
    once = with_description("mine", line)
    assert with_description(once, line) == once == f"mine\n{line}"
    assert with_description("", line) == line
    assert image_description(make_result(0)).startswith("XMAG: No reliable prediction")


def test_a_failure_takes_the_place_of_an_earlier_answer() -> None:
    note = EntryNote.of_failure(ProjectError(expected="a", found="b", hint="c"))
    stale = {"XMAG prediction": "malignant", "XMAG malignant": "0.980", "mine": "1"}
    kept = with_metadata(stale, note.metadata)
    assert "malignant" not in str(kept)
    assert kept["mine"] == "1"
    assert "failed" in kept["XMAG prediction"]
    assert "b" in kept["XMAG warnings"]
    assert "malignant" not in with_description(NOTE.description, note.description)


def test_a_key_of_the_users_stays_whatever_its_value() -> None:
    mine = {"XMAG quality": "0.500", "XMAG benign": "1.000", "XMAG class benign": "0.250"}
    first = with_metadata(mine, {"XMAG prediction": "benign", "XMAG benign": "0.900"})
    assert first == first | mine | {"XMAG class benign 2": "0.900"}
    # another model with other classes; what the user wrote over a value of ours is theirs
    second = with_metadata(first, {"XMAG prediction": "a", "XMAG a": "0.600", "XMAG b": "0.400"})
    assert set(second) == {*mine, "XMAG prediction", "XMAG a", "XMAG b", "XMAG classes"}
    theirs = with_metadata({**second, "XMAG a": "0.700"}, {"XMAG prediction": "c"})
    assert theirs == {**mine, "XMAG a": "0.700", "XMAG prediction": "c"}
    empty = {"XMAG a": None, "XMAG classes": "{}"}
    assert with_metadata(empty, {}) == {"XMAG a": None}
    broken = with_metadata({"XMAG classes": "[", "XMAG a": "0.700"}, {})
    assert broken == {"XMAG a": "0.700"}


def test_no_class_takes_the_key_of_another() -> None:
    new = {"XMAG prediction": "A", "XMAG A": "0.500", "XMAG class A": "0.400"}
    found = with_metadata({"XMAG A": "mine"}, new)
    assert found == found | {"XMAG A": "mine", "XMAG class A 2": "0.500", "XMAG class A": "0.400"}
    # nor a class that is called as one of our own keys
    classes = ("model", "class model")
    result = replace(make_result(), classes=classes, probabilities=(0.7, 0.3))
    shares = {key: value for key, value in image_metadata(result).items() if value[:2] == "0."}
    assert shares == {"XMAG class model 2": "0.700", "XMAG class model": "0.300"}


def test_what_a_version_that_listed_nothing_wrote_goes() -> None:
    line = image_description(make_result())
    old = {**image_metadata(make_result()), "XMAG quality": "0.500"}
    assert with_metadata(old, {}, f"mine\n{line}") == {"XMAG quality": "0.500"}


@pytest.mark.parametrize(
    "old", ["", "\n\nmine", "mine\n\n", "a\r\nb\r\n", "a\fb\u2028c", "XMAG: my own words", " XMAG "]
)
def test_a_description_is_kept_byte_for_byte(old: str) -> None:
    noted = with_description(old, NOTE.description)
    assert noted == (f"{old}\n{NOTE.description}" if old else NOTE.description)
    assert with_description(noted, "") == old
    other = NOTE.description.replace("malignant", "benign")
    assert with_description(noted, other) == (f"{old}\n{other}" if old else other)


def test_the_backup_is_the_project_before_the_first_note(project: Project) -> None:
    untouched = project.path.read_bytes()
    project.path.chmod(0o600)
    backup = write_back(project, {"1": NOTE})
    assert backup is not None
    noted = project.path.read_bytes()
    # the same again changes nothing, not even the backup
    assert write_back(read_project(project.path), {"1": NOTE}) is None
    assert (project.path.read_bytes(), backup.read_bytes()) == (noted, untouched)
    another = EntryNote({"XMAG prediction": "benign"}, NOTE.description.replace("malig", "be"))
    assert write_back(read_project(project.path), {"1": another, "2": NOTE}) == backup
    assert backup.read_bytes() == untouched
    if os.name == "posix":
        assert {item.stat().st_mode & 0o777 for item in (backup, project.path)} == {0o600}
    # what was saved in QuPath since is kept in its place
    project.path.write_text(project.path.read_text().replace("free text", "other text"))
    saved = project.path.read_bytes()
    assert write_back(read_project(project.path), {"1": NOTE}) == backup
    assert backup.read_bytes() == saved


def test_half_characters_are_written_back(project: Project) -> None:
    text = project.path.read_text().replace("a.tiff", "a\\ud800.tiff")
    project.path.write_text(text)
    write_back(read_project(project.path), {"1": NOTE})
    assert read_project(project.path).entries[0].name == "a\ud800.tiff"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_linked_project_stays_a_link(project: Project, tmp_path: Path) -> None:
    link = tmp_path / "project.qpproj"
    link.symlink_to(project.path)
    backup = write_back(read_project(link), {"1": NOTE})
    assert link.is_symlink()
    assert backup == project.path.with_name("project.qpproj.backup")
    assert backup.is_file()
    assert "XMAG prediction" in read_project(project.path).entries[0].metadata
