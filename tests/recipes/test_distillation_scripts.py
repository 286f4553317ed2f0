"""The recipes in shell ask for what they say, wherever they are called from."""

import os
import subprocess
from pathlib import Path

import pytest

from napari_xmag.config import load_config
from napari_xmag.distill.config import load_distill_config as load_distillation
from napari_xmag.evaluate.config import AgreementConfig
from tests.recipes.noting import commands, note_programs, settings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no sh")

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders fields and starts, and in place of the program one that only notes its arguments."""
    for name in ("mobilenetv1_100_in1k", "efficientnet_lite0", "efficientnet_lite2"):
        (tmp_path / "starts" / name).mkdir(parents=True)
    (tmp_path / "fields").mkdir()
    return note_programs(tmp_path, monkeypatch, "napari-xmag")


def run(script: str, *words: str, folder: Path) -> None:
    command = ["sh", str(RECIPES / script), "fields", "starts", "out", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_a_learning_curve_takes_equal_steps_of_the_same_features(
    asked: Path, tmp_path: Path
) -> None:
    run("learning_curve.sh", "4096", "512 2048", "run.seed=3", folder=tmp_path)
    first, second, last = commands(asked)
    for command, number, epochs in ((first, 512, 8), (second, 2048, 2)):
        assert command[1:3] == ["distill", "run"]
        assert "--resume" in command  # goes on, leaves alone what has ended, refuses what differs
        config = load_distillation(Path(command[3]), settings(command))
        assert (config.data.training_fields, config.fit.epochs) == (number, epochs)
        assert number % config.run.batch_size == 0
        assert config.data.fields == tmp_path / "fields"
        assert config.data.cache == tmp_path / "fields-cache"
        assert config.run.out == tmp_path / "out" / f"fields-{number}"
        assert config.run.seed == 3
    assert last[1:3] == ["evaluate", "agreement"]
    measured = load_config(Path(last[3]), [], AgreementConfig, manual="docs/evaluate.md")
    assert (measured.fields, measured.cache) == (config.data.fields, config.data.cache)
    assert measured.validation == config.data.validation
    assert measured.teacher == config.teacher
    students = [Path(encoder.student or "") for encoder in measured.encoders]
    start = tmp_path / "starts" / "mobilenetv1_100_in1k"
    assert students == [start, *(tmp_path / "out" / f"fields-{n}" for n in (512, 2048))]
    assert measured.encoders[0].layers == config.student.layers


def test_the_arms_of_the_ablation_differ_in_what_they_say(asked: Path, tmp_path: Path) -> None:
    run("ablate_distillation.sh", "fit.epochs=2", folder=tmp_path)
    asked_for = commands(asked)
    assert all("--resume" in command for command in asked_for)
    arms = {
        config.run.out.name: config
        for config in (load_distillation(Path(c[3]), settings(c)) for c in asked_for)
    }
    assert set(arms) == {"both", "global", "local", "both-lite0", "both-lite2"}
    assert {arm.data.fields for arm in arms.values()} == {tmp_path / "fields"}
    # the teacher's features are those of the learning curve
    assert {arm.data.cache for arm in arms.values()} == {tmp_path / "fields-cache"}
    assert {arm.fit.epochs for arm in arms.values()} == {2}
    assert arms["global"].loss.local_weight == 0
    assert {arms[name].loss.local_weight for name in arms if name != "global"} == {0.5}
    assert arms["local"].loss.global_weight == 0 < arms["both"].loss.global_weight
    assert arms["both-lite2"].student.start.endswith("efficientnet_lite2")


def test_arms_without_their_start_are_left_out(asked: Path, tmp_path: Path) -> None:
    (tmp_path / "starts" / "efficientnet_lite2").rmdir()
    run("ablate_distillation.sh", folder=tmp_path)
    outs = [Path(s.partition("=")[2]).name for c in commands(asked) for s in settings(c)[-3:]]
    assert "both-lite0" in outs
    assert "both-lite2" not in outs
