"""The script that makes all tables anew names commands and settings that exist."""

import argparse
import re
import runpy
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from napari_xmag.cli import build_parser, evaluate
from napari_xmag.distill.config import load_distill_config
from tests.processes import ROOT
from tests.recipes.noting import commands, note_programs, settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sh")

DOCS = ROOT / "docs"
SIX_HOURS = 360


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A copy of the recipes, and empty folders where the data would be."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    folder = tmp_path / "docs" / "recipes"
    shutil.copytree(DOCS / "recipes", folder, ignore=shutil.ignore_patterns("work", "__pycache__"))
    starts = ("starts/mobilenetv1_100_in1k", "starts/efficientnet_lite0")
    for name in ("fields-all", "atlas", *starts):
        (folder / "work" / name).mkdir(parents=True)
    (folder / "work" / "atlas" / "case__HE.tiff").touch()
    return folder


def run(recipes: Path, *parts: str) -> int:
    command = ["sh", str(recipes / "all_results.sh"), *parts]
    return subprocess.run(command, capture_output=True, check=False).returncode


def done(recipes: Path) -> set[str]:
    return {path.stem for path in (recipes / "work" / "results").glob("*.done")}


def minutes() -> dict[str, int]:
    """Return the parts that the page lists up to their sum, with their minutes."""
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    return read_minutes(page.partition("| together |")[0])


def read_minutes(text: str) -> dict[str, int]:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \| \w[^|]* \|$", text, re.MULTILINE)
    return {part: int(number) for part, number in rows}


def only_named() -> list[str]:
    """Return the parts that run only when they are named, as the page lists them."""
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    return list(read_minutes(page.partition("| together |")[2]))


def require_parsed(command: list[str], recipes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program that is named read its arguments, and the settings that they name."""
    monkeypatch.chdir(recipes)
    if command[0] == "python":
        require_script_parses(command[1:], monkeypatch)
        return
    args = build_parser().parse_args(command[1:])
    if command[1] == "evaluate":
        evaluate._events(args, Path("out")).close()
    elif command[1:3] == ["distill", "run"]:
        load_distill_config(Path(command[3]), settings(command))


class UnderstoodError(Exception):
    """All arguments were."""


def require_script_parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    understand = argparse.ArgumentParser.parse_args

    def parse(parser: argparse.ArgumentParser) -> None:
        understand(parser)
        raise UnderstoodError

    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parse)
        if words[0] == "-m":
            words = words[1:]
            main = import_module(words[0]).main
        else:
            main = runpy.run_path(words[0])["main"]
        patched.setattr(sys, "argv", words)
        with pytest.raises(UnderstoodError):
            main()


def test_each_command_is_understood_and_done_once(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = note_programs(tmp_path, monkeypatch, "napari-xmag", "python")
    assert run(recipes) == 0
    assert done(recipes) == set(minutes())
    assert run(recipes, *only_named()) == 0
    assert done(recipes) == {*minutes(), *only_named()}
    asked = commands(note)
    for command in {tuple(command) for command in asked}:
        require_parsed(list(command), recipes, monkeypatch)
    learned = [c for c in asked if c[1:3] == ["distill", "run"]]
    # losses and a second network; numbers of fields; the second network twice
    assert len(learned) == 4 + 5 + 2
    assert run(recipes) == 0
    assert run(recipes, *only_named()) == 0
    assert commands(note) == asked


def test_settings_read_only_what_the_script_says_or_makes(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = note_programs(tmp_path, monkeypatch, "napari-xmag", "python")
    assert run(recipes) == 0
    assert run(recipes, *only_named()) == 0
    script = (recipes / "all_results.sh").read_text("utf-8")
    known = set(re.findall(r"\bwork/([\w.-]+)", script))
    files = 0
    for command in commands(note):
        given = {s.partition("=")[0].rpartition(".")[2] for s in settings(command)}
        for word in command:
            if word.endswith(".toml") and Path(word).parent in (Path(), recipes):
                files += 1
                assert read_places((recipes / word).read_text("utf-8"), given) <= known, word
    assert files >= 10


def read_places(text: str, given: set[str]) -> set[str]:
    """Return what below work/ settings name, but for those that are given and what is written."""
    lines = re.findall(r'^(\w+) = .*"(?:local-dir:)?work/([\w.-]+)', text, re.MULTILINE)
    return {place for key, place in lines if key not in {"cache", "out", *given}}


def test_a_part_that_fails_is_said_and_tried_again(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = note_programs(tmp_path, monkeypatch, "napari-xmag", "python", refused="*robustness*")
    assert run(recipes, "shifts", "tissue") == 1
    assert done(recipes) == {"tissue"}
    note_programs(tmp_path, monkeypatch, "napari-xmag", "python")
    assert run(recipes, "shifts", "tissue") == 0
    assert done(recipes) == {"shifts", "tissue"}
    assert [command[1] for command in commands(note)] == ["tissue_report.py", "evaluate"]


def test_a_part_that_there_is_not_is_refused_before_anything_runs(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = note_programs(tmp_path, monkeypatch, "napari-xmag", "python")
    assert run(recipes, "tissue", "tisue") == 2
    assert not note.exists()


def test_a_part_waits_for_what_it_builds_on(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = note_programs(tmp_path, monkeypatch, "napari-xmag", "python", refused="*atlas_cohort*")
    assert run(recipes, "atlas", "pairs") == 1
    assert not note.exists()
    assert done(recipes) == set()
    note = note_programs(tmp_path, monkeypatch, "napari-xmag", "python")
    assert run(recipes, "atlas", "pairs") == 0
    assert done(recipes) == {"atlas", "pairs"}
    assert commands(note)[-1][1] == "compare_scans.py"


def test_the_page_reckons_six_hours_at_most() -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    (together,) = re.findall(r"^\| together \| +\| (\d+) \|", page, re.MULTILINE)
    assert sum(minutes().values()) == int(together)
    script = (DOCS / "recipes" / "all_results.sh").read_text(encoding="utf-8")
    found = re.findall(r'^(?:first|second)="([^"]+)"', script, re.MULTILINE)
    lanes = [lane.replace("\\\n", "") for lane in found]
    assert {part for lane in lanes for part in lane.split()} == set(minutes())
    (others,) = re.findall(r'^only_named="([^"]+)"', script, re.MULTILINE)
    assert others.split() == only_named()
    assert len(lanes) == 2
    assert max(sum(minutes()[part] for part in lane.split()) for lane in lanes) <= SIX_HOURS
