"""QuPath's files and its script on the command line."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_xmag.analyze import SlideResult
from napari_xmag.cli import main
from napari_xmag.cohort.cohort import read_cohort
from napari_xmag.errors import ProjectError
from napari_xmag.qupath.install import MENU, SCRIPTS, install, script_folder
from napari_xmag.qupath.project import read_project
from napari_xmag.qupath.write_back import EntryNote
from tests.qupath.projects import entry, server, write_project, write_sections
from tests.qupath.shapes import annotation, collection, polygon, square, write
from tests.train.cohorts import tiny_encoder, write_slides

pytestmark = pytest.mark.usefixtures("blank_plots")

Captured = pytest.CaptureFixture[str]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# ---- regions


def test_regions_of_a_class(
    pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    content = collection(
        annotation(polygon(square(1200, 700, 600)), "Tumor"),
        annotation(polygon(square(0, 0, 2000)), "Stroma"),
        annotation(polygon(square(1200, 700, 600), plane={"z": 3, "t": 0}), "Tumor"),
    )
    path = write(tmp_path / "a.geojson.gz", content)
    options = ["--regions", str(path), "--regions-class", "Tumor", "--out", str(tmp_path / "out")]
    assert main(["analyze", str(pyramid_slide), "--model", tiny, *options]) == 0
    result = SlideResult.load(tmp_path / "out" / "pyramid")
    assert result.settings["regions"] == {
        "file": "a.geojson.gz",
        "classes": {"Tumor": 1},
        "left_out": {"of class Stroma": 1, "on focal plane z = 3": 1},
    }
    assert 1200 - 256 < result.patches.x.min() <= result.patches.x.max() < 1800
    assert any("focal plane z = 3" in flag.words for flag in result.flags)
    assert "1 Tumor of a.geojson.gz; left out: 1 of class Stroma" in capsys.readouterr().out


def test_a_folder_of_regions(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    slides, regions = tmp_path / "slides", tmp_path / "regions"
    slides.mkdir()
    regions.mkdir()
    for name in ("a", "b"):
        shutil.copy(pyramid_slide, slides / f"{name}.tiff")
    write(regions / "a.geojson.gz", polygon(square(1200, 700, 300)))
    write(regions / "b.tiff.geojson", polygon(square(1200, 700, 900)))
    options = ["--model", tiny, "--regions", str(regions)]
    for name in ("a", "b"):
        out = ["--out", str(tmp_path / f"out-{name}")]
        assert main(["analyze", str(slides / f"{name}.tiff"), *options, *out]) == 0
    counts = [len(SlideResult.load(tmp_path / f"out-{n}" / n).patches) for n in ("a", "b")]
    assert 0 < counts[0] < counts[1]
    (regions / "b.tiff.geojson").unlink()
    assert main(["analyze", str(slides / "b.tiff"), *options, "--out", str(tmp_path / "c")]) == 1


def test_each_picture_has_regions_of_its_own(tiny: str, tmp_path: Path, capsys: Captured) -> None:
    slide = write_sections(tmp_path / "case.ome.tiff", (3000, 2000), (3000, 2000))
    regions = tmp_path / "regions"
    regions.mkdir()
    one = write(regions / "case.ome.geojson", polygon(square(1200, 700, 300)))
    write(regions / "case.ome#2.geojson", polygon(square(1200, 700, 900)))
    out = tmp_path / "out"
    options = ["analyze", str(slide), "--model", tiny, "--out", str(out), "--tissue", "whole"]
    assert main([*options, "--regions", str(one)]) == 1
    assert "--image" in capsys.readouterr().err
    assert main([*options, "--regions", str(regions)]) == 0
    counts = [len(SlideResult.load(folder).patches) for folder in sorted(out.iterdir())]
    assert len(counts) == 2
    assert counts[0] < counts[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--regions", "nowhere.geojson"], "nowhere.geojson"),
        (["--regions-class", "Tumor"], "--regions with --regions-class"),
        (["--regions", "FILE"], "alone for 2 slides"),
        (["--write-back"], "project.qpproj"),
    ],
)
def test_wrong_usage(
    options: list[str], said: str, pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    path = write(tmp_path / "a.geojson", polygon(square(0, 0, 100)))
    options = [str(path) if option == "FILE" else option for option in options]
    second = str(tmp_path / "another.tiff")
    arguments = ["analyze", str(pyramid_slide), second, "--model", tiny, "--out", str(tmp_path)]
    assert main([*arguments, *options]) == 2
    assert said in capsys.readouterr().err


def test_a_class_that_does_not_occur(
    pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    path = write(tmp_path / "a.geojson", annotation(polygon(square(1200, 700, 600)), "Tumor"))
    options = ["--regions", str(path), "--regions-class", "Tumour", "--out", str(tmp_path / "out")]
    assert main(["analyze", str(pyramid_slide), "--model", tiny, *options]) == 1
    assert "only Tumor" in capsys.readouterr().err


def test_regions_smaller_than_any_tile(pyramid_slide: Path, tiny: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.geojson", polygon(square(1400, 900, 40)))
    options = ["--regions", str(path), "--out", str(tmp_path)]
    assert main(["analyze", str(pyramid_slide), "--model", tiny, *options]) == 0
    flags = SlideResult.load(tmp_path / "pyramid").flags
    assert any("draw larger regions" in flag.words for flag in flags)


def test_regions_that_take_no_part_are_counted(
    pyramid_slide: Path, tiny: str, tmp_path: Path
) -> None:
    places = [(1200, 700, 600), (20, 20, 9), (9000, 9000, 500)]
    areas = [annotation(polygon(square(*place))) for place in places]
    path = write(tmp_path / "a.geojson", collection(*areas))
    options = ["--regions", str(path), "--out", str(tmp_path)]
    assert main(["analyze", str(pyramid_slide), "--model", tiny, *options]) == 0
    words = " ".join(flag.words for flag in SlideResult.load(tmp_path / "pyramid").flags)
    assert "1 of 3 regions is outside the slide" in words
    assert "1 of 3 regions is without any analyzed tile" in words


def test_a_result_says_of_which_regions_it_is_now(
    pyramid_slide: Path, tiny: str, tmp_path: Path
) -> None:
    area, path = polygon(square(1200, 700, 600)), tmp_path / "a.geojson"
    far = annotation({**polygon(square(0, 0, 90)), "plane": {"z": 2}})
    options = ["analyze", str(pyramid_slide), "--model", tiny, "--out", str(tmp_path)]
    for content in (annotation(area, "Tumor"), collection(annotation(area, "Stroma"), far)):
        write(path, content)
        assert main([*options, "--regions", str(path)]) == 0
    result = SlideResult.load(tmp_path / "pyramid")
    assert result.settings["regions"]["classes"] == {"Stroma": 1}
    assert any("focal plane z = 2" in flag.words for flag in result.flags)


def test_the_order_of_regions_makes_no_other_result(
    pyramid_slide: Path, tiny: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.geojson"
    drawn = [
        annotation(polygon(square(1200, 700, 300)), "Tumor"),
        annotation(polygon(square(1800, 900, 300)), "Stroma"),
    ]
    made = []
    for regions in (drawn, drawn[::-1]):
        write(path, collection(*regions))
        options = ["--model", tiny, "--out", str(tmp_path), "--regions", str(path)]
        assert main(["analyze", str(pyramid_slide), *options]) == 0
        made.append((tmp_path / "pyramid" / "result.json").stat().st_mtime_ns)
    assert made[0] == made[1]


# ---- events


def test_progress_as_json(pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured) -> None:
    arguments = ["analyze", str(pyramid_slide), str(tmp_path / "nowhere.svs"), "--model", tiny]
    common = ["--out", str(tmp_path), "--progress", "json", "--workers", "0"]
    assert main([*arguments, *common]) == 1
    captured = capsys.readouterr()
    told = events(captured.out)
    kinds = [event["event"] for event in told]
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    assert {"slide", "planned", "tiles", "finished", "failed"} <= set(kinds)
    finished = told[kinds.index("finished")]
    assert finished["slide"] == str(pyramid_slide)
    assert Path(finished["folder"]) == tmp_path / "pyramid"
    result = SlideResult.load(tmp_path / "pyramid")
    assert finished["predicted"] == result.predicted
    assert finished["probabilities"] == dict(zip(result.classes, result.probabilities, strict=True))
    assert finished["qupath"]["metadata"] == EntryNote.of(result).metadata
    assert "nowhere.svs" in told[kinds.index("failed")]["message"]
    assert told[-1] | {"failed": 0} == {"event": "ended", "done": 1, "failed": 0}
    tiles = [event for event in told if event["event"] == "tiles"]
    assert tiles[-1]["done"] == tiles[-1]["total"] == told[kinds.index("planned")]["tiles"]


def test_an_unexpected_error_ends_the_events(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(paths: Any) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("napari_xmag.batch.targets.find_targets", fail)
    with pytest.raises(ZeroDivisionError):
        main(["analyze", "a.svs", "--out", str(tmp_path / "out"), "--progress", "json"])
    *_, failed, ended = events(capsys.readouterr().out)
    assert (failed["event"], failed["found"]) == ("failed", "ZeroDivisionError: of all things")
    assert ended["event"] == "ended"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_that_the_terminal_cannot_write_end_no_run(encoding: str, tmp_path: Path) -> None:
    images = [
        entry(number, {"builderType": "uri", "uri": "file:/nowhere/a.svs"}, imageName=name)
        for number, name in enumerate(("\u816b\u7624", "half \ud800"), 1)
    ]
    path = write_project(tmp_path / "project.qpproj", *images)
    command = [sys.executable, "-m", "napari_xmag.cli", "analyze", str(path), "--write-back"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--workers", "0"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"0 of 2 slides analyzed" in done.stdout
    assert b"Predictions written to 0 images, failures to 2 images of" in done.stdout
    assert rb"\u816b\u7624: FAILED" in done.stderr
    assert rb"\ud800: FAILED" in done.stderr
    assert all(
        "no such file" in item.metadata["XMAG warnings"] for item in read_project(path).entries
    )


def test_models_as_json(tiny: str, capsys: Captured) -> None:
    assert main(["models", "list", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert "xmag-mobilenet-glas-demo" in [model["name"] for model in models]
    assert all(set(model) == {"name", "display_name", "problem"} for model in models)


# ---- images and projects


BACK = ["--write-back", "--workers", "0"]


@pytest.fixture
def project(tmp_path: Path, pyramid_slide: Path, bounds_slide: Path) -> Path:
    first = entry(1, server(pyramid_slide), metadata={"label": "A"}, description="mine")
    size = (6000, 5000)
    second = entry(2, server(bounds_slide, "--no-crop", size=size), metadata={"label": "B"})
    return write_project(tmp_path / "project" / "project.qpproj", first, second)


def test_a_project_is_analyzed_and_written_back(
    project: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    assert main(["analyze", str(project), "--model", tiny, "--out", str(out), *BACK]) == 0
    assert "Predictions written to 2 images" in capsys.readouterr().out
    for found, name, origin in zip(
        read_project(project).entries, ("pyramid", "bounds"), ("bounds", "slide"), strict=True
    ):
        result = SlideResult.load(out / name)
        assert found.metadata["XMAG prediction"] == result.headline
        assert found.metadata["label"] in "AB"
        assert found.description.endswith(EntryNote.of(result).description)
        tiles = json.loads((out / name / "tiles.geojson").read_text())
        assert tiles["napari_xmag"]["origin"] == origin
    assert project.with_name("project.qpproj.backup").exists()


def test_a_project_saved_meanwhile(
    project: Path, tiny: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_xmag.cli.write_back import WriteBack

    write = WriteBack.write

    def saved(self: WriteBack, report: Any) -> None:
        project.write_text(project.read_text().replace("mine", "theirs"))
        write(self, report)

    monkeypatch.setattr(WriteBack, "write", saved)
    out = tmp_path / "out"
    assert (
        main(
            [
                "analyze",
                str(project),
                "--model",
                tiny,
                "--out",
                str(out),
                *BACK,
                "--progress",
                "json",
            ]
        )
        == 1
    )
    said = capsys.readouterr()
    assert "Nothing was written back" in said.err
    failed, ended = [json.loads(line) for line in said.out.splitlines()][-2:]
    assert "Nothing was written back" in failed["hint"]
    assert (ended["event"], ended["done"]) == ("ended", 2)
    assert read_project(project).entries[0].description == "theirs"
    assert SlideResult.load(out / "pyramid").predicted


def test_one_project_that_cannot_be_written_stops_no_other(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_xmag.batch.targets import find_targets
    from napari_xmag.cli.analyze_report import TextReport
    from napari_xmag.cli.write_back import WriteBack

    second = tmp_path / "second.qpproj"
    shutil.copy(project, second)
    monkeypatch.chdir(project.parent)
    _, targets = find_targets([project, second, Path("..") / "project" / project.name])
    assert len(targets) == 4
    answers = WriteBack(wanted=True)
    for target in targets:
        answers.add_failure(target, ValueError("no tissue"))
    project.write_text(project.read_text().replace("mine", "theirs"))
    with pytest.raises(ProjectError, match=re.escape(str(project))):
        answers.write(TextReport())
    notes = [item.metadata.get("XMAG warnings") for item in read_project(second).entries]
    assert notes == ["no tissue", "no tissue"]


def test_one_altered_image_fails_alone(
    pyramid_slide: Path, bounds_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    rotated = {"builderType": "rotated", "rotation": "ROTATE_90", "builder": server(bounds_slide)}
    overview = server(bounds_slide, "--series", "0", size=(256, 213))
    path = write_project(
        tmp_path / "project.qpproj",
        entry(1, rotated),
        entry(2, overview),
        entry(3, server(pyramid_slide)),
    )
    options = ["--model", tiny, "--out", str(tmp_path / "out"), "--workers", "0"]
    assert main(["analyze", str(path), *options]) == 1
    captured = capsys.readouterr()
    assert "rotated in QuPath" in captured.err
    assert "256×213 (series 0)" in captured.err
    assert "1 of 3 slides analyzed" in captured.out


@pytest.mark.parametrize("command", ["analyze", "features"])
def test_no_picture_is_chosen_of_an_image_of_qupath(
    command: str, pyramid_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    path = write_project(tmp_path / "project.qpproj", entry(1, server(pyramid_slide)))
    options = ["--model", tiny, "--out", str(tmp_path / "out"), "--image", "2"]
    assert main([command, str(path), *options]) == 2
    assert "one image of its file" in capsys.readouterr().err


def test_an_image_that_qupath_shows_is_checked_first(
    bounds_slide: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "server.json"
    path.write_text(json.dumps(server(bounds_slide, size=(9, 9))))
    # not even the model is looked for
    assert main(["analyze", str(path), "--model", "unheard-of", "--out", str(tmp_path)]) == 1
    assert "QuPath shows 9×9" in capsys.readouterr().err
    path.write_text(json.dumps(server(bounds_slide)))
    assert main(["analyze", str(path), "--model", tiny, "--out", str(tmp_path)]) == 0
    assert SlideResult.load(tmp_path / "bounds").predicted


def test_each_section_of_a_file_has_its_own_annotations_and_answer(
    tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    slide = write_sections(tmp_path / "a.tif", (3000, 2000), (3000, 2000))
    project = write_project(
        tmp_path / "project" / "project.qpproj",
        *(
            entry(number, server(slide, "--series", f"{number - 1}"), imageName=f"a.tif - {number}")
            for number in (1, 2)
        ),
    )
    regions = tmp_path / "regions"
    regions.mkdir()
    for number in (1, 2):
        area = polygon(square(1200, 700, 300 * number))
        write(regions / f"a.tif - {number}.geojson", annotation(area, f"C{number}"))
    out = tmp_path / "out"
    options = ["--model", tiny, "--out", str(out), "--tissue", "whole", "--regions", str(regions)]
    assert main(["analyze", str(project), *options, *BACK]) == 0
    results = [SlideResult.load(out / name) for name in ("a", "a#2")]
    taken = [result.settings["regions"]["classes"] for result in results]
    assert taken == [{"C1": 1}, {"C2": 1}]
    for found, result in zip(read_project(project).entries, results, strict=True):
        assert found.description.endswith(EntryNote.of(result).description)
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["slide"], row["image"], row["folder"]) for row in csv.DictReader(stream)]
    assert rows == [("a.tif - 1", "ID 1", "a"), ("a.tif - 2", "ID 2", "a#2")]


def test_images_that_show_one_picture_have_results_of_their_own(
    pyramid_slide: Path, tiny: str, tmp_path: Path
) -> None:
    regions, out = tmp_path / "regions", tmp_path / "out"
    regions.mkdir()
    entries = [
        entry(1, server(pyramid_slide), imageName="left"),
        entry(2, server(pyramid_slide, "--series", "0"), imageName="right"),
    ]
    for name, side in (("left", 300), ("right", 700)):
        area = polygon(square(1200, 700, side))
        write(regions / f"{name}.geojson", annotation(area, name))
    options = ["--model", tiny, "--out", str(out), "--regions", str(regions), "--workers", "0"]

    def classes() -> dict[str, list[str]]:
        found = sorted(out.glob("*/result.json"))
        results = {file.parent.name: SlideResult.load(file.parent) for file in found}
        return {name: list(one.settings["regions"]["classes"]) for name, one in results.items()}

    project = write_project(tmp_path / "project.qpproj", *entries)
    assert main(["analyze", str(project), *options]) == 0
    assert classes() == {"pyramid": ["left"], "pyramid-2": ["right"]}
    # in another order, and one of them alone, each finds its own again
    for some in (entries[::-1], entries[1:]):
        project = write_project(tmp_path / "project.qpproj", *some)
        assert main(["analyze", str(project), *options, "--force"]) == 0
        assert classes() == {"pyramid": ["left"], "pyramid-2": ["right"]}
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert [row["slide"] for row in csv.DictReader(stream)] == ["left", "right"]


def test_single_images_of_one_file_have_results_of_their_own(
    bounds_slide: Path, tiny: str, tmp_path: Path
) -> None:
    out, path = tmp_path / "out", tmp_path / "server.json"
    crop, whole = server(bounds_slide), server(bounds_slide, "--no-crop", size=(6000, 5000))
    contents = [crop, whole, {"entryID": "7", "serverBuilder": crop}]
    command = ["analyze", str(path), "--model", tiny, "--out", str(out)]
    for _ in range(2):
        for content in contents:
            path.write_text(json.dumps(content))
            assert main(command) == 0
    results = {item.name: SlideResult.load(item) for item in out.iterdir()}
    origins = {name: one.settings["requested"]["origin"] for name, one in results.items()}
    assert origins == {"bounds": "bounds", "bounds-2": "slide", "bounds-3": "bounds"}


@pytest.mark.parametrize(
    "command",
    [
        ["analyze", "PROJECT", "--out", "OUT"],
        ["features", "PROJECT", "--out", "OUT"],
        ["teach", "PROJECT", "--annotations", "OUT", "--name", "x"],
        ["train", "PROJECT", "--label-key", "label", "--out", "OUT"],
        ["worklist", "OUT/list.json", "PROJECT"],
    ],
)
def test_an_empty_project_is_wrong_usage(
    command: list[str], tmp_path: Path, capsys: Captured
) -> None:
    project = write_project(tmp_path / "empty.qpproj")
    names = {"PROJECT": str(project), "OUT": str(tmp_path / "out")}
    names["OUT/list.json"] = str(tmp_path / "list.json")
    assert main([names.get(part, part) for part in command]) == 2
    assert "Expected images in the project empty.qpproj, but found none" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [project]


def test_training_asks_for_the_key_of_the_label(
    project: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = ["--out", str(tmp_path / "run")]
    assert main(["train", str(project), *out]) == 2
    assert "--label-key" in capsys.readouterr().err
    assert main(["train", str(project), "--label-key", "diagnosis", *out]) == 2
    assert "metadata diagnosis" in capsys.readouterr().err


def test_training_from_a_project(tmp_path: Path, capsys: Captured) -> None:
    table = write_slides(tmp_path)
    lines = [line.split(",") for line in table.read_text().splitlines()[1:]]
    entries = [
        entry(
            number,
            server(tmp_path / slide, size=(900, 700)),
            metadata={"diagnosis": label, "case": patient},
        )
        for number, (slide, label, patient) in enumerate(lines, 1)
    ]
    project = write_project(tmp_path / "project" / "project.qpproj", *entries)
    tiny_encoder(tmp_path / "encoder")
    keys = ["--label-key", "diagnosis", "--patient-key", "case", "--out", str(tmp_path / "run")]
    options = ["--encoder", str(tmp_path / "encoder"), "--epochs", "2", "--device", "cpu"]
    assert main(["train", str(project), *keys, *options, "--set", "hidden=16"]) == 0
    assert "Written" in capsys.readouterr().out
    assert list((tmp_path / "run").rglob("head.safetensors"))
    # the table that the run keeps names the same slides, labels and patients
    (kept,) = (tmp_path / "run").glob("cohort.csv")
    rows = read_cohort(kept, open_slides=False).rows
    assert sorted((row.slide.name, row.label, row.patient) for row in rows) == sorted(
        map(tuple, lines)
    )


# ---- the script


def test_install_doctor_uninstall(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert main(["qupath", "doctor"]) == 1
    assert main(["qupath", "install"]) == 1
    assert "user directory" in capsys.readouterr().err
    for name in ("v0.4", "v0.6", "v0.10", "notes"):
        (tmp_path / "QuPath" / name).mkdir(parents=True)
    assert main(["qupath", "install"]) == 0
    said = capsys.readouterr().out
    assert "Extensions > XMAG > Analyze slide" in said
    written = sorted((tmp_path / "QuPath").rglob("*.groovy"))
    folders = [script_folder(tmp_path / "QuPath" / name) for name in ("v0.10", "v0.6")]
    assert written == sorted(folder / name for folder in folders for name in SCRIPTS)
    assert main(["qupath", "doctor"]) == 0
    assert Path(sys.executable).as_posix() in capsys.readouterr().out
    assert main(["qupath", "uninstall"]) == 0
    assert not list((tmp_path / "QuPath").rglob("XMAG"))


def test_a_named_folder(tmp_path: Path, capsys: Captured) -> None:
    assert main(["qupath", "install", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    folder = tmp_path / "my QuPath"
    folder.mkdir()
    assert main(["qupath", "install", str(folder)]) == 0
    (script_folder(folder) / "mine.groovy").write_text("println 1")
    assert main(["qupath", "uninstall", str(folder)]) == 0
    assert [item.name for item in script_folder(folder).iterdir()] == ["mine.groovy"]


def test_doctor_says_what_is_wrong(tmp_path: Path, capsys: Captured) -> None:
    assert main(["qupath", "doctor", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert all(f"{name} does not exist" in said for name in SCRIPTS)
    script, _ = install(tmp_path, ["/nowhere/python", "-m", "napari_xmag.cli"])
    assert main(["qupath", "doctor", str(tmp_path)]) == 1
    assert "/nowhere/python -m napari_xmag.cli does not start" in capsys.readouterr().out
    install(tmp_path)
    script.write_text(script.read_text().replace("XMAG: analyze", "XMAG 0.0: analyze"))
    assert main(["qupath", "doctor", str(tmp_path)]) == 1
    assert "Analyze_slide.groovy is of another version" in capsys.readouterr().out


def test_doctor_looks_at_each_script(tmp_path: Path, capsys: Captured) -> None:
    _, menu = install(tmp_path)
    text = menu.read_text()
    for content, said in (
        (text.replace("XMAG", "XMAG 0.0"), "Add_to_menu.groovy is of another version"),
        (text.replace("scripts/XMAG", "elsewhere"), "Add_to_menu.groovy looks for the scripts in"),
        ("", "Add_to_menu.groovy is empty"),
    ):
        menu.write_text(content)
        assert main(["qupath", "doctor", str(tmp_path)]) == 1
        out = capsys.readouterr().out
        assert said in out
        assert "Analyze_slide" not in out
    menu.unlink()
    assert main(["qupath", "doctor", str(tmp_path)]) == 1
    assert "Add_to_menu.groovy does not exist" in capsys.readouterr().out
    assert main(["qupath", "install", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    manual = (Path(__file__).parents[2] / "docs" / "qupath.md").read_text(encoding="utf-8")
    assert f"{MENU} > Add to menu" in said
    assert f"*{MENU} > Add to menu*" in manual
    assert main(["qupath", "doctor", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    "command", [["C:/Users/Jörg/python.exe", "-m", "x"], ["/a'b/$c/µ\\u0041/𝒳 python", "it's"]]
)
def test_any_path_survives_the_script(command: list[str], tmp_path: Path) -> None:
    from napari_xmag.qupath.install import installed_scripts

    script = install(tmp_path, command)[0]
    assert script.read_bytes().isascii()
    (found,) = installed_scripts([tmp_path])
    assert found.command == tuple(command)
    assert (len(found.faults), found.faults[0].endswith("does not start")) == (1, True)


def test_the_command_in_the_script_starts(tmp_path: Path) -> None:
    from napari_xmag.qupath.install import own_command

    done = subprocess.run([*own_command(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("napari-xmag ")
