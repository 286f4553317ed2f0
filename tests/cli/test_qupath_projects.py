"""Results of several projects in one folder: each image keeps its own, and finds it again."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.analyze import SlideResult
from napari_xmag.cli import main
from napari_xmag.review.store import ReviewStore
from napari_xmag.review.worklist import Worklist
from napari_xmag.review.worklist_row import RowStatus
from tests.qupath.projects import entry, server, write_project
from tests.qupath.shapes import annotation, polygon, square, write


def class_of(folder: Path) -> str:
    """Return the class of the regions, which says whose result lies there."""
    return "".join(SlideResult.load(folder).settings["regions"]["classes"])


@pytest.fixture
def analyze(tiny: str, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Analyze a project within a region of a class; say of which class each result is."""

    def run(project: Path, class_name: str, *options: str) -> dict[str, str]:
        area = annotation(polygon(square(1200, 700, 300 + ord(class_name))), class_name)
        regions = write(tmp_path / f"{class_name}.geojson", area)
        command = ["analyze", str(project), "--model", tiny, "--out", str(tmp_path / "out")]
        command += ["--regions", str(regions), "--workers", "0", *options]
        assert main(command) == 0
        found = sorted((tmp_path / "out").glob("*/result.json"))
        return {file.parent.name: class_of(file.parent) for file in found}

    return run


@pytest.mark.parametrize("created", [True, False])
def test_copies_of_a_project_keep_results_of_their_own(
    created: bool, analyze: Callable[..., dict[str, str]], pyramid_slide: Path, tmp_path: Path
) -> None:
    first = write_project(tmp_path / "a" / "project.qpproj", entry(1, server(pyramid_slide)))
    if not created:
        content = json.loads(first.read_text())
        del content["createTimestamp"]
        first.write_text(json.dumps(content))
    second = tmp_path / "b" / "project.qpproj"
    shutil.copytree(first.parent, second.parent)
    assert analyze(first, "A") == {"pyramid": "A"}
    both = {"pyramid": "A", "pyramid-2": "B"}
    assert analyze(second, "B") == both
    assert analyze(first, "A", "--force") == both
    assert analyze(second, "B", "--force") == both


def test_a_moved_project_finds_its_results_and_its_copies_do_not(
    analyze: Callable[..., dict[str, str]],
    pyramid_slide: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = write_project(tmp_path / "a" / "project.qpproj", entry(1, server(pyramid_slide)))
    analyze(first, "A")
    moved, copied = tmp_path / "b" / first.name, tmp_path / "c" / first.name
    shutil.move(first.parent, moved.parent)
    shutil.copytree(moved.parent, copied.parent)
    capsys.readouterr()
    assert analyze(moved, "A") == {"pyramid": "A"}
    # whichever of the two comes first has what lay there
    assert analyze(copied, "C") == {"pyramid": "A", "pyramid-2": "C"}
    # saved at its new place
    content = json.loads(moved.read_text())
    moved.write_text(json.dumps({**content, "uri": moved.as_uri()}))
    assert analyze(moved, "B") == {"pyramid": "B", "pyramid-2": "C"}


def test_each_image_of_each_project_is_a_row_with_its_own_result(
    tiny: str, pyramid_slide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [entry(n, server(pyramid_slide), imageName=name) for n, name in enumerate("LR", 1)]
    first = write_project(tmp_path / "a" / "project.qpproj", *images)
    second = tmp_path / "b" / first.name
    shutil.copytree(first.parent, second.parent)
    out, listed = tmp_path / "out", tmp_path / "list.json"
    for project in (first, second):
        (project.parent / "regions").mkdir()
        for name in "LR":
            area = annotation(polygon(square(1200, 700, 300)), f"{project.parent.name}{name}")
            write(project.parent / "regions" / f"{name}.geojson", area)
        options = ["--regions", str(project.parent / "regions"), "--out", str(out)]
        assert main(["analyze", str(project), "--model", tiny, "--workers", "0", *options]) == 0
    own = {class_of(file.parent) for file in out.glob("*/result.json")}
    assert own == {"aL", "aR", "bL", "bR"}

    def shown() -> list[str]:
        """Return of which class the result of each row is."""
        rows = Worklist.load(listed).rows
        store = ReviewStore(rows[0].fingerprint)
        return [class_of(store.result_folder(row.result)) if row.result else "" for row in rows]

    assert main(["worklist", str(listed), str(first)]) == 0
    assert shown() == ["", ""]
    assert main(["worklist", str(listed), "--results", str(out)]) == 0
    assert shown() == ["aL", "aR"]
    assert "not of the image in the list" in capsys.readouterr().err
    assert main(["worklist", str(listed), str(second), "--results", str(out)]) == 0
    assert shown() == ["aL", "aR", "bL", "bR"]
    assert "0 added" in ran(capsys, ["worklist", str(listed), str(first), str(second)])

    # the slide itself takes what is of no image in the list, as it always did
    plain = tmp_path / "plain.json"
    assert main(["worklist", str(plain), str(pyramid_slide), "--results", str(out)]) == 0
    (row,) = Worklist.load(plain).rows
    assert (row.key, row.status is RowStatus.WAITING) == ((pyramid_slide, 1), False)


def ran(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    assert main(command) == 0
    return capsys.readouterr().out


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("command", ["analyze", "features"])
def test_a_failure_stands_until_that_image_succeeds(
    command: str, tiny: str, pyramid_slide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = server(pyramid_slide)
    lost["uri"] = (tmp_path / "lost.tiff").as_uri()
    builders = {"a": lost, "b": server(pyramid_slide), "c": lost}
    projects = [
        write_project(tmp_path / name / "project.qpproj", entry(1, builder, imageName="scan"))
        for name, builder in builders.items()
    ]
    options = ["--model", tiny, "--out", str(tmp_path / "out"), "--workers", "0"]

    def failed_of(*given: Path, code: int) -> list[tuple[str, str, str]]:
        assert main([command, *map(str, given), *options]) == code
        found = rows(tmp_path / "out" / "failed.csv")
        return [(row["slide"], row["image"], row["project"]) for row in found]

    both = [("scan", "ID 1", f"../{name}/project.qpproj") for name in "ac"]
    assert failed_of(*projects, code=1) == both
    said = capsys.readouterr().err.splitlines()[-1]
    assert all(str(project) in said for project in (projects[0], projects[2]))
    assert failed_of(*projects, code=1) == both
    if command == "analyze":
        (row,) = rows(tmp_path / "out" / "summary.csv")
        assert row["project"] == "../b/project.qpproj"
    # put back, and renamed in QuPath
    shutil.copy(pyramid_slide, tmp_path / "lost.tiff")
    write_project(projects[0], entry(1, lost, imageName="renamed"))
    assert failed_of(projects[0], code=0) == both[1:]
    # moved
    shutil.move(projects[2].parent, tmp_path / "d")
    assert failed_of(tmp_path / "d" / "project.qpproj", code=0) == []


def test_a_mended_slide_is_found_under_whatever_name_it_is_given(
    tiny: str, pyramid_slide: Path, tmp_path: Path
) -> None:
    slides = [tmp_path / "slides" / name / "s.tiff" for name in "ab"]
    for slide in slides:
        slide.parent.mkdir(parents=True)
        slide.write_bytes(b"II*\0 cut off")
    out = tmp_path / "out"
    options = ["--model", tiny, "--out", str(out), "--workers", "0"]
    for slide in slides:
        assert main(["features", str(slide), *options]) == 1
    files = [f"../slides/{name}/s.tiff" for name in "ab"]
    assert [row["file"] for row in rows(out / "failed.csv")] == files
    shutil.copy(pyramid_slide, slides[0])
    assert main(["features", str(tmp_path / "slides"), *options]) == 1
    assert [row["file"] for row in rows(out / "failed.csv")] == files[1:]


def test_features_of_each_image_and_choice_stay_beside_the_others(
    tiny: str, pyramid_slide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [entry(n, server(pyramid_slide), imageName=name) for n, name in enumerate("LR", 1)]
    project = write_project(tmp_path / "a" / "project.qpproj", *images)
    (tmp_path / "regions").mkdir()
    for name, side in zip("LR", (300, 600), strict=True):
        area = annotation(polygon(square(1200, 700, side)), name)
        write(tmp_path / "regions" / f"{name}.geojson", area)
    store, regions = tmp_path / "store", ["--regions", str(tmp_path / "regions")]
    whole = ["--tissue", "whole", "--model", tiny, "--out", str(store), "--workers", "0"]

    def listed() -> dict[str, int]:
        """Return the rows by slide and regions; each says of its folder what is there."""
        found = rows(store / "index.csv")
        for row in found:
            array = np.load(store / row["folder"] / "features.npy")
            assert array.shape == (int(row["patches"]), int(row["dimensions"]))
        assert {row["folder"] for row in found} == {
            path.name for path in store.iterdir() if path.is_dir()
        }
        return {row["slide"] + row["regions"]: int(row["patches"]) for row in found}

    assert main(["features", str(pyramid_slide), *whole]) == 0
    plain = listed()
    assert main(["features", str(project), *regions, *whole]) == 0
    own = listed()
    assert own.keys() == {*plain, "LL.geojson", "RR.geojson"}
    assert 0 < own["LL.geojson"] < own["RR.geojson"] < own[pyramid_slide.name]
    for more in (["--force"], []):
        assert main(["features", str(project), *regions, *whole, *more]) == 0
        assert listed() == own
    assert "2 of them earlier" in capsys.readouterr().out
    # images that show all of the slide share what is there
    assert main(["features", str(project), *whole]) == 0
    assert listed() == own | {"L": own[pyramid_slide.name], "R": own[pyramid_slide.name]}
    assert "2 of them earlier" in capsys.readouterr().out
    # less tissue chosen: what was encoded before stays
    assert main(["features", str(pyramid_slide), *whole, "--tissue", "auto"]) == 0
    assert len(rows(store / "index.csv")) == 6
    listed()


def test_copies_of_a_slide_keep_folders_of_their_own_where_low_numbers_are_taken(
    tiny: str, pyramid_slide: Path, tmp_path: Path
) -> None:
    slides = [tmp_path / "slides" / name / "s.tiff" for name in ("d1", "d2")]
    for slide in slides:
        slide.parent.mkdir(parents=True)
        shutil.copy(pyramid_slide, slide)
    out = tmp_path / "out"
    for taken in ("s", "s-2"):
        (out / taken).mkdir(parents=True)
        (out / taken / "notes.txt").write_text("another's")

    def analyze(given: Path) -> dict[str, str]:
        options = ["--model", tiny, "--out", str(out), "--workers", "0"]
        assert main(["analyze", str(given), *options]) == 0
        return {row["slide"]: row["folder"] for row in rows(out / "summary.csv")}

    analyze(slides[0])
    assert (out / "s-3" / "result.json").is_file()
    both = {"d1/s.tiff": "s-3", "d2/s.tiff": "s-4"}
    assert analyze(tmp_path / "slides") == both
    before = {file: file.stat().st_mtime_ns for file in out.glob("*/result.json")}
    assert analyze(tmp_path / "slides") == both
    assert {file: file.stat().st_mtime_ns for file in out.glob("*/result.json")} == before
