"""The script for QuPath, run by Groovy among small fakes of QuPath's and JavaFX's classes.

One Java machine plays all scenarios. ``GROOVY_HOME`` may name another Groovy, such as 4 or 5.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_xmag.qupath.annotation_files import AnnotatedSlide, AnnotationFiles
from napari_xmag.qupath.install import install
from tests.qupath.shapes import annotation, feature, polygon, square

HERE = Path(__file__).parent
USERS_OWN = [
    {**annotation(polygon(square(0, 0, 50)), "Tumor", name="mine"), "id": "1"},
    {**feature(polygon(square(0, 0, 5)), objectType="tile", name="my tile"), "id": "2"},
    {**annotation(polygon(square(5, 5, 9)), "XMAG: malignant", name="a note"), "id": "3"},
    annotation(polygon(square(5, 5, 9)), "XMAG: malignant", name="XMAG hotspot 1, mine: a gland"),
    feature(polygon(square(0, 0, 5)), objectType="tile", name="XMAG patches that I like"),
]
EARLIER = [
    feature(polygon(square(0, 0, 5)), objectType="tile", name="XMAG patch 7, 7"),
    annotation(polygon(square(0, 0, 50)), "XMAG: benign", name="XMAG hotspot 3"),
    annotation(polygon(square(0, 0, 50)), "XMAG: benign", name="XMAG area 2: 0.12 mm²"),
    annotation(polygon(square(0, 0, 50)), "XMAG: benign", name="XMAG review 7: wrong"),
]
TUMOR = {"classification": {"name": "Tumor", "color": [1, 2, 3]}}
RECLASSIFIED = [
    annotation(polygon(square(0, 0, 50)), "Tumor", name="XMAG hotspot 9"),
    feature(polygon(square(0, 0, 5)), objectType="tile", name="XMAG patch 3, 4", **TUMOR),
]
BUILDER = {"builderType": "uri", "uri": "file:/slides/a.svs", "args": [], "metadata": {"width": 9}}
NEW_NAMES = ["XMAG patch 0, 0", "XMAG hotspot 1"]
OWN_NAMES = ["mine", "my tile", "a note", "XMAG hotspot 1, mine: a gland"]
OWN_NAMES += ["XMAG patches that I like", "XMAG hotspot 9", "XMAG patch 3, 4"]
MINE = {"label": "Benign", "XMAG label": "A", "XMAG share": "0.500"}
STALE = {
    **MINE,
    "XMAG prediction": "benign",
    "XMAG stroma": "0.900",
    "XMAG classes": '{"XMAG stroma":"0.900"}',
}
UNLISTED = {"XMAG share": "0.500", "XMAG prediction": "stroma", "XMAG stroma": "0.800"}
UNLISTED |= {"XMAG benign": "0.900"}
WORDS = "\nmy words\r\nXMAG: and mine\n"
NOTICE = "Research use only. Not for diagnosis."


def find_groovy() -> tuple[str, dict[str, str]]:
    """Return the command and its environment; skip where there is none."""
    home = os.environ.get("GROOVY_HOME")
    groovy = str(Path(home) / "bin" / "groovy") if home else shutil.which("groovy")
    java = shutil.which("java")
    if groovy is None or java is None:
        pytest.skip("no Groovy or no Java on this machine: apt-get install groovy, or brew install")
    java_home = os.environ.get("JAVA_HOME") or str(Path(java).resolve().parents[1])
    # Short runs: the optimizing compiler would take longer than it saves.
    quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    return groovy, {**os.environ, "JAVA_HOME": java_home, "JAVA_OPTS": quick}


class Scenarios:
    """Collects scenarios, each with a script that starts a fake napari-xmag of one mode."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.planned: dict[str, Any] = {}

    def add(self, name: str, mode: str, command: list[str] | None = None, **facts: Any) -> None:
        user = self.folder / name / "QuPath ü '1'"
        user.mkdir(parents=True)
        record = self.folder / name / "called.json"
        fake = [sys.executable, str(HERE / "fake_xmag.py"), mode, str(record)]
        scripts = install(user, command or fake)
        self.planned[name] = {
            "script": str(scripts[0]),
            "builder": BUILDER,
            "uris": ["file:/slides/a.svs"],
            "window": True,
            "shown": True,
            "thread": "editor",
            "objects": [*USERS_OWN, *RECLASSIFIED, *EARLIER],
            "selected": [],
            "project": str(self.folder / name / "project.qpproj"),
            "metadata": STALE,
            "description": f"{WORDS}\nXMAG: benign (benign 0.900), by Tiny. {NOTICE}",
            **facts,
        }

    def play(self) -> dict[str, Any]:
        groovy, environment = find_groovy()
        plan, outcome = self.folder / "plan.json", self.folder / "outcome.json"
        plan.write_text(json.dumps(self.planned))
        command = [groovy, "-cp", str(HERE / "groovy" / "fakes"), "-Dxmag.silence.seconds=3"]
        command += [f"-Duser.home={self.folder}"]
        command += [str(HERE / "groovy" / "drive.groovy"), str(plan), str(outcome)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
        assert outcome.exists(), done.stdout + done.stderr
        played: dict[str, Any] = json.loads(outcome.read_text())
        return played


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Scenarios:
    """All that is tried."""
    plan = Scenarios(tmp_path_factory.mktemp("qupath"))
    plan.add("menu", "succeed", thread="window")
    plan.add("editor", "succeed")
    plan.add("project", "succeed", shown=False)
    plan.add("taken", "succeed", metadata={"XMAG benign": "0.500", "XMAG stroma": "0.200"})
    plan.add("before lists", "succeed", metadata=UNLISTED)
    plan.add("headless", "succeed", shown=False, window=False, project=None)
    plan.add("regions", "succeed", selected=[USERS_OWN[0], USERS_OWN[1], annotation({})])
    plan.add("own class", "succeed", selected=[USERS_OWN[2], EARLIER[1]])
    plan.add("core", "succeed", selected=[feature(polygon(square(0, 0, 9)), objectType="tmaCore")])
    plan.add("patch", "succeed", selected=[EARLIER[0]], thread="window")
    plan.add("no file", "no file")
    plan.add("no prediction", "no prediction")
    plan.add("two models", "two models", choose="two")
    plan.add("no model chosen", "two models", choose="nothing")
    plan.add("refuse", "refuse")
    plan.add("crash", "crash")
    plan.add("fail", "fail", thread="window")
    plan.add("fail in project", "fail", shown=False)
    plan.add("nothing", "nothing")
    plan.add("hang", "hang")
    plan.add("cancel", "for ever", cancel=True, thread="window")
    plan.add("kill", "for ever", kill=True)
    plan.add("closed", "succeed", close=True)
    plan.add("not found", "", command=["/nowhere/napari-xmag"])
    plan.add("no image", "succeed", image=False, shown=False, thread="window")
    plan.add("many files", "succeed", uris=["file:/a", "file:/b"])
    plan.add("fluorescence", "succeed", rgb=False)
    plan.add("no builder", "succeed", builder=None)
    _add_menus(plan)
    return plan


def _add_menus(plan: Scenarios) -> None:
    for name, startup in (("menu once", ""), ("menu beside another", "other.groovy")):
        plan.add(name, "succeed")
        scripts = Path(plan.planned[name]["script"]).parent
        other = plan.folder / name / startup
        if startup:
            other.write_text("println 'hello'")
        plan.planned[name] |= {
            "script": str(scripts / "Add_to_menu.groovy"),
            "startup": str(other) if startup else "",
        }


@pytest.fixture(scope="module")
def played(scenarios: Scenarios) -> dict[str, Any]:
    """What came of each."""
    return scenarios.play()


def called(scenarios: Scenarios, name: str) -> Any:
    return json.loads((scenarios.folder / name / "called.json").read_text())


def names(outcome: dict[str, Any]) -> list[str]:
    return [item["properties"]["name"] for item in outcome["objects"]]


@pytest.mark.parametrize("name", ["menu", "editor", "project"])
def test_success(played: dict[str, Any], scenarios: Scenarios, name: str) -> None:
    outcome = played[name]
    assert outcome["thrown"] is None
    assert json.loads(outcome["metadata"].pop("XMAG classes")) == {"XMAG benign": "0.100"}
    # the user's own stays, what an earlier run left is replaced
    assert names(outcome) == [*OWN_NAMES, *NEW_NAMES]
    assert outcome["keptChildren"]
    assert outcome["metadata"] == {
        **MINE,
        "XMAG prediction": "malignant",
        "XMAG benign": "0.100",
        "XMAG model": "tiny (0123)",
        "XMAG notice": NOTICE,
    }
    assert outcome["description"] == f"{WORDS}\nXMAG: malignant. {NOTICE}"
    assert outcome["synced"] == 2  # what an earlier run left goes before this one begins
    assert json.loads(outcome["property"])["XMAG prediction"] == "malignant"
    request = called(scenarios, name)
    assert request["server"] == {
        "entryID": "7",
        "project": {
            "path": scenarios.planned[name]["project"],
            "created": 1795637798376,
            "previous": "file:/before/project.qpproj",
        },
        "serverBuilder": BUILDER,
    }
    assert request["arguments"][:1] == ["analyze"]
    assert request["arguments"][request["arguments"].index("--progress") + 1] == "json"
    out = Path(request["arguments"][request["arguments"].index("--out") + 1])
    assert out == scenarios.folder / name / "xmag"


def test_a_key_is_ours_only_where_that_is_proven(played: dict[str, Any]) -> None:
    taken = played["taken"]["metadata"]
    mine = {"XMAG benign": "0.500", "XMAG stroma": "0.200"}
    assert taken == taken | mine | {"XMAG class benign": "0.100"}
    # a version that listed nothing named its classes in prediction and description
    unlisted = played["before lists"]["metadata"]
    assert unlisted == unlisted | {"XMAG share": "0.500", "XMAG benign": "0.100"}
    assert "XMAG stroma" not in unlisted


@pytest.mark.parametrize("name", ["menu", "editor"])
def test_progress_is_shown_and_ends(played: dict[str, Any], name: str) -> None:
    outcome = played[name]
    assert (outcome["dialogs"], outcome["open"]) == (1, 0)
    assert any("of 4 tiles" in words for words in outcome["words"])
    assert [item["kind"] for item in outcome["said"]] == ["info"]
    assert "malignant" in outcome["said"][0]["words"]


def test_run_for_project_asks_nothing(played: dict[str, Any]) -> None:
    assert (played["project"]["dialogs"], played["project"]["said"]) == (0, [])


def test_without_window_and_project(played: dict[str, Any], scenarios: Scenarios) -> None:
    outcome = played["headless"]
    assert outcome["thrown"] is None
    assert names(outcome) == [*OWN_NAMES, *NEW_NAMES]
    arguments = called(scenarios, "headless")["arguments"]
    assert arguments[arguments.index("--out") + 1] == str(scenarios.folder / "xmag-results")


def test_selected_annotations_are_the_regions(played: dict[str, Any], scenarios: Scenarios) -> None:
    request = called(scenarios, "regions")
    assert [item["id"] for item in request["regions"]["features"]] == ["1"]
    arguments = request["arguments"]
    assert arguments[arguments.index("--regions-class") + 1] == "*"
    assert "--regions" not in called(scenarios, "editor")["arguments"]


def test_an_annotation_of_our_class_that_the_user_drew_is_a_region(
    played: dict[str, Any], scenarios: Scenarios
) -> None:
    features = called(scenarios, "own class")["regions"]["features"]
    assert [item["id"] for item in features] == ["3"]
    assert names(played["own class"]) == [*OWN_NAMES, *NEW_NAMES]


@pytest.mark.parametrize("name", ["core", "patch"])
def test_what_is_selected_is_never_taken_for_the_whole_slide(
    name: str, played: dict[str, Any], scenarios: Scenarios
) -> None:
    said = f"{played[name]['thrown']} {played[name]['said']}"
    assert "no annotation with an area" in said
    assert not (scenarios.folder / name / "called.json").exists()


def test_no_prediction_leaves_none_of_an_earlier_run(played: dict[str, Any]) -> None:
    metadata = played["no prediction"]["metadata"]
    assert metadata["XMAG prediction"] == "no prediction"
    assert set(metadata) == {*MINE, "XMAG prediction", "XMAG model", "XMAG notice"}
    assert "benign" not in played["no prediction"]["description"]


def test_choice_of_model(played: dict[str, Any], scenarios: Scenarios) -> None:
    arguments = called(scenarios, "two models")["arguments"]
    assert arguments[arguments.index("--model") + 1] == "two"
    assert played["two models"]["said"][0] == {"kind": "choice", "words": "one, two"}
    assert "--model" not in called(scenarios, "editor")["arguments"]
    assert not (scenarios.folder / "no model chosen" / "called.json").exists()
    assert names(played["no model chosen"])[-1] == EARLIER[-1]["properties"]["name"]
    # nothing was begun
    assert played["no model chosen"]["metadata"] == STALE
    assert "XMAG: benign" in played["no model chosen"]["description"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refuse", "Expected an image of 9×9, but found 8×8."),
        ("crash", "code 3"),
        ("fail", "found a cat"),
        ("nothing", "without a result"),
        ("no file", "file for QuPath is missing"),
        ("hang", "not responded for 3 seconds"),
        ("not found", "cannot be started"),
        ("closed", "qupath.geojson.gz"),
        ("many files", "2 files"),
        ("fluorescence", "not RGB"),
        ("no builder", "analyze the original"),
    ],
)
def test_a_failure_leaves_objects_and_no_earlier_prediction(
    played: dict[str, Any], name: str, words: str
) -> None:
    outcome = played[name]
    errors = [item["words"] for item in outcome["said"] if item["kind"] == "error"]
    assert len(errors) == 1
    assert words in errors[0]
    assert names(outcome) == [*OWN_NAMES, *(item["properties"]["name"] for item in EARLIER)]
    assert_noted(outcome, "The analysis failed", words)
    assert outcome["open"] == 0


def assert_noted(outcome: dict[str, Any], what: str, why: str) -> None:
    """What the person wrote stands; of the earlier run nothing but its objects, which is said."""
    warnings = outcome["metadata"].pop("XMAG warnings")
    assert why in warnings
    assert warnings.endswith("What XMAG shows on the image is of an earlier run.")
    expected = {**MINE, "XMAG prediction": what, "XMAG notice": NOTICE}
    assert outcome["metadata"] == expected
    assert outcome["description"] == f"{WORDS}\nXMAG: {what}. {NOTICE}"
    assert json.loads(outcome["property"])["XMAG prediction"] == what


def test_a_failure_in_a_project_is_thrown_for_its_log(played: dict[str, Any]) -> None:
    outcome = played["fail in project"]
    assert "found a cat" in outcome["thrown"]
    assert outcome["said"] == []
    assert_noted(outcome, "The analysis failed", "found a cat")


def test_without_an_image(played: dict[str, Any]) -> None:
    assert played["no image"]["said"] == [{"kind": "error", "words": "Open a slide first."}]


@pytest.mark.parametrize("name", ["cancel", "kill", "hang"])
def test_the_process_is_stopped_with_its_children(
    played: dict[str, Any], scenarios: Scenarios, name: str
) -> None:
    pids = (scenarios.folder / name / "called.pids").read_text().split()
    assert len(pids) == (1 if name == "hang" else 2)
    running = [pid for pid in map(int, pids) if psutil.pid_exists(pid)]
    alive = [pid for pid in running if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert alive == []
    if name != "hang":
        assert played[name]["said"] == []
        assert_noted(played[name], "The analysis was cancelled", "no result")
        assert played[name]["open"] == 0


def test_add_to_menu(played: dict[str, Any], scenarios: Scenarios) -> None:
    first, second = played["menu once"], played["menu beside another"]
    for name, outcome in (("menu once", first), ("menu beside another", second)):
        folder = Path(scenarios.planned[name]["script"]).parent
        wanted = {"Extensions>XMAG>Analyze slide": str(folder / "Analyze_slide.groovy")}
        assert outcome["installed"] == wanted
    assert first["startup"] == scenarios.planned["menu once"]["script"]
    assert second["startup"].endswith("other.groovy")
    assert "evaluate(new File(" in second["said"][0]["words"]


def test_the_export_of_the_manual_overwrites_nothing(tmp_path: Path) -> None:
    """Run it for each image, and see which files come of it, with which annotations."""
    groovy, environment = find_groovy()
    page = (HERE.parents[1] / "docs" / "qupath.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```groovy\n(def entry.*?)```", page, re.DOTALL)
    (tmp_path / "export.groovy").write_text(script, encoding="utf-8")
    (tmp_path / "play.groovy").write_text(PLAY_EXPORT, encoding="utf-8")
    shown = ["a/b", "a:b", "A?B", "c", "d?"]
    command = [groovy, "-Dgroovy.source.encoding=UTF-8", str(tmp_path / "play.groovy")]
    done = subprocess.run(
        [*command, str(tmp_path / "export.groovy"), *shown],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    written = [line.split(" <- ") for line in done.stdout.splitlines()]
    stems = [name.removesuffix(".geojson") for name, _ in written]
    assert stems == ["a_b [ID 1]", "a_b [ID 2]", "A_B [ID 3]", "c", "d_"]
    assert {names for _, names in written} == {"mine, XMAG and me"}
    # each image finds its own file again
    for stem in stems:
        (tmp_path / f"{stem}.geojson").write_text("{}")
    slides = [AnnotatedSlide(tmp_path / "s.svs", name, str(n)) for n, name in enumerate(shown, 1)]
    files = AnnotationFiles.of(slides)
    found = [files.find(slide, tmp_path) for slide in slides]
    assert [file and file.name for file in found] == [name for name, _ in written]


PLAY_EXPORT = """\
def images = args.tail().toList().withIndex(1).collect { name, id ->
    [getImageName: { -> name }, getID: { -> id }] as Image
}
interface Image { String getImageName(); Object getID() }
class Shape { String name; String pathClass }
def shapes = [
    new Shape(name: 'mine'),
    new Shape(name: 'XMAG hotspot 1', pathClass: 'XMAG: malignant'),
    new Shape(name: 'XMAG and me', pathClass: 'XMAG: malignant'),
]
images.each { image ->
    def binding = new Binding(
        PROJECT_BASE_DIR: '/project',
        getProjectEntry: { -> image },
        getProject: { -> [getImageList: { -> images }] as Images },
        getAnnotationObjects: { -> shapes },
        buildFilePath: { String... parts -> parts.join('/') },
        mkdirs: { path -> },
        exportObjectsToGeoJson: { objects, path, option ->
            println "${path.split('/')[-1]} <- ${objects*.name.join(', ')}"
        },
    )
    new GroovyShell(this.class.classLoader, binding).evaluate(new File(args[0]))
}
interface Images { List getImageList() }
"""
