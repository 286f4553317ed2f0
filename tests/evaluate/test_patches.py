"""Patch tasks from files to figures."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_xmag.cli import main
from napari_xmag.config import load_config
from napari_xmag.errors import ConfigError
from napari_xmag.evaluate import features as features_module
from napari_xmag.evaluate.config import MANUAL, PatchConfig
from napari_xmag.evaluate.patches import evaluate_patches
from napari_xmag.progress.events import Progress, RunFinished
from tests.listener import Gate

pytestmark = pytest.mark.usefixtures("blank_plots")


def config(tiles: Path, *encoders: Path, **task: Any) -> PatchConfig:
    return PatchConfig.model_validate(
        {
            "encoders": [{"name": folder.name, "student": folder} for folder in encoders],
            "tasks": [{"name": "colors", "tiles": tiles, "mpp": 2.0, "group": r"^\w+?\d", **task}],
            "bootstrap": {"replicates": 50},
            "probe": {"strengths": [0.01, 1.0], "inner_folds": 2},
            "machine": {"device": "cpu"},
        }
    )


def run(settings: PatchConfig, out: Path) -> dict[str, Any]:
    events = list(evaluate_patches(settings, out))
    assert isinstance(events[-1], RunFinished)
    content: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return content


def test_colors_are_told_apart_in_grouped_folds(
    colored_tiles: Path, tiny_encoder: Path, tiny_network: Path, tmp_path: Path
) -> None:
    content = run(config(colored_tiles, tiny_encoder, tiny_network, folds=3), tmp_path / "out")
    (task,) = content["tasks"]
    assert task["rows"] == 48
    assert task["counts"] == {"pink": 24, "purple": 24}
    found = {(entry["encoder"], entry["method"]): entry for entry in task["entries"]}
    assert set(found) == {(e, m) for e in ("tiny", "network") for m in ("linear", "knn")}
    for entry in found.values():
        assert entry["figures"]["auc"]["value"] > 0.95
    assert not found["tiny", "linear"]["above"]
    assert set(found["network", "linear"]["above"]) == {
        "auc",
        "accuracy",
        "balanced_accuracy",
        "f1",
    }
    assert content["notice"].startswith("Research use only")
    assert content["encoders"]["tiny"]["mpp"] == 2.0
    words = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert "3-fold cross-validation by group (12 groups)" in words
    assert "Difference from tiny" in words
    assert (tmp_path / "out" / "colors.png").exists()


def test_every_tile_is_predicted_once_and_its_group_never_trained_on(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    run(config(colored_tiles, tiny_encoder, folds="leave-one-group-out"), tmp_path)
    with (tmp_path / "colors-predictions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] == "linear"]
    assert len({row["tile"] for row in rows}) == len(rows) == 48
    by_fold: dict[str, set[str]] = {}
    for row in rows:
        by_fold.setdefault(row["fold"], set()).add(row["group"])
        total = float(row["probability_pink"]) + float(row["probability_purple"])
        assert total == pytest.approx(1)
    assert len(by_fold) == 12
    assert all(len(groups) == 1 for groups in by_fold.values())


def test_features_are_computed_once_for_the_same_bytes(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(colored_tiles, tiny_encoder).model_copy(update={"cache": tmp_path / "cache"})
    first = run(settings, tmp_path / "first")
    moved = tmp_path / "moved"
    shutil.copytree(colored_tiles, moved)
    monkeypatch.setattr(features_module, "encode", None)
    again = settings.model_copy(
        update={"tasks": (settings.tasks[0].model_copy(update={"tiles": moved}),)}
    )
    assert run(again, tmp_path / "again")["tasks"] == first["tasks"]


def test_train_and_test_folders_with_copies_across_are_reported(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    test = tmp_path / "test"
    for label in ("pink", "purple"):
        (test / label).mkdir(parents=True)
        for number, path in enumerate(sorted((colored_tiles / label).iterdir())[:6]):
            shutil.copy(path, test / label / f"copy{number}.png")
    content = run(config(colored_tiles, tiny_encoder, test=test, group=None), tmp_path / "out")
    (task,) = content["tasks"]
    assert task["rows"] == 12
    assert "Identical images in train and test: 12" in task["notes"][0]


def test_copies_share_a_fold_and_contrary_ones_are_told(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiles"
    shutil.copytree(colored_tiles, folder)
    shutil.copy(folder / "pink" / "pi0_0.png", folder / "purple" / "pu0_99.png")
    content = run(config(folder, tiny_encoder, folds=3), tmp_path / "out")
    assert content["tasks"][0]["notes"][:2] == [
        "Images identical to another: 1. Copies are kept in one fold.",
        "Identical images with different labels: 1.",
    ]
    with (tmp_path / "out" / "colors-predictions.csv").open(newline="") as stream:
        rows = {row["tile"]: row for row in csv.DictReader(stream)}
    original, copy = rows["pink/pi0_0.png"], rows["purple/pu0_99.png"]
    assert original["group"] == copy["group"] == "pi0"
    assert original["fold"] == copy["fold"]


def test_enlarged_pictures_are_told(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    (task,) = run(config(colored_tiles, tiny_encoder, mpp=4.0), tmp_path)["tasks"]
    assert any("magnified 2.0 times" in note for note in task["notes"])


def test_a_teacher_at_two_scales_gives_two_answers(
    colored_tiles: Path, tiny_network: Path, tmp_path: Path
) -> None:
    teacher = {"name": f"local-dir:{tiny_network}"}
    settings = PatchConfig.model_validate(
        config(colored_tiles, tiny_network).model_dump(exclude={"encoders"})
        | {
            "probe": {"methods": ["knn"]},
            "encoders": [
                {"name": "fine", "teacher": teacher, "mpp": 1.0, "tile_px": 64},
                {"name": "coarse", "teacher": teacher, "mpp": 2.0, "tile_px": 64},
            ],
            "reference": "fine",
        }
    )
    content = run(settings, tmp_path)
    crops = {e["encoder"]: e["facts"]["crops_per_picture"] for e in content["tasks"][0]["entries"]}
    assert crops == {"fine": 4.0, "coarse": 1.0}
    prints = {facts["fingerprint"] for facts in content["encoders"].values()}
    assert len(prints) == 2


def test_closing_the_generator_stops_it(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()

    def held(*arguments: Any) -> Any:
        gate.hold()
        return part(*arguments)

    part = features_module._part
    monkeypatch.setattr(features_module, "_part", held)
    monkeypatch.setattr(features_module, "_PART", 8)  # of 48 tiles
    events = evaluate_patches(config(colored_tiles, tiny_encoder), tmp_path / "out")
    assert any(gate.reached.is_set() for event in events if isinstance(event, Progress))
    gate.open()
    events.close()
    assert gate.passed == 1
    assert not (tmp_path / "out").exists()


def test_command(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(
        f'[[encoders]]\nname = "mine"\nstudent = "{tiny_encoder.as_posix()}"\n'
        f'[[tasks]]\nname = "colors"\ntiles = "{colored_tiles.as_posix()}"\n'
        "[bootstrap]\nreplicates = 20\n[probe]\nmethods = ['knn']\n"
    )
    arguments = ["evaluate", "probe", str(path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--set", "tasks.0.mpp=2.0", "--set", "machine.device=cpu"]) == 0
    printed = capsys.readouterr()
    assert "| mine | knn |" in printed.out
    assert main(arguments) == 2
    assert "never guessed" in capsys.readouterr().err
    assert main([*arguments, "--set", "tasks.0.folds=1"]) == 2
    assert "tasks.0.folds" in capsys.readouterr().err


def test_few_shots_at_another_institution(
    colored_tiles: Path, tiny_network: Path, tmp_path: Path
) -> None:
    """Trained on all tiles, then on two of each class in three draws; all judged elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    for name, new in (("pink", "rose"), ("purple", "violet")):
        (elsewhere / new).mkdir(parents=True)
        for path in sorted((colored_tiles / name).iterdir())[:10]:
            pixels = np.asarray(Image.open(path))
            Image.fromarray(pixels[::-1]).save(elsewhere / new / path.name)
    names = {"pink": "pink", "rose": "pink", "purple": "purple", "violet": "purple"}
    task = {"group": None, "test": elsewhere, "classes": names, "field_um": 60.0}
    settings = config(colored_tiles, tiny_network, **task, shots=[2], draws=3)
    everything, few = run(settings, tmp_path / "out")["tasks"]
    assert (few["name"], few["rows"]) == ("colors-2-shots", 20)
    assert few["division"].startswith("Trained on 4 other tiles. Mean of 3 draws of these.")
    assert everything["division"].startswith("Trained on 48 other tiles.")
    with (tmp_path / "out" / "colors-2-shots-predictions.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    linear = [line for line in lines if line["method"] == "linear"]
    assert [sum(line["run"] == str(draw) for line in linear) for draw in range(3)] == [20] * 3
    by_draw = [[line["probability_pink"] for line in linear if line["run"] == d] for d in "012"]
    assert by_draw[0] != by_draw[1] != by_draw[2]
    context = "Tiles of 256 µm (network): these images have 60 µm"
    assert any(note.startswith(context) for note in few["notes"])
    assert any(note.startswith("Saturated") for note in everything["notes"])
    with pytest.raises(ConfigError, match="25 tiles of pink"):
        run(config(colored_tiles, tiny_network, **task, shots=[25]), tmp_path / "many")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"encoders": []}, "encoders"),
        ({"encoders": [{"name": "a"}]}, "exactly one of"),
        ({"encoders": [{"name": "a", "model": "m", "mpp": 1.0}]}, "states mpp and tile_px itself"),
        ({"encoders": [{"name": "a", "student": "s", "mpp": 1.0}]}, "together"),
        ({"encoders": [{"name": "a", "teacher": {"name": "resnet10t"}}]}, "needs mpp"),
        ({"encoders": [{"name": "a", "model": "m"}] * 2}, "name of its own"),
        ({"reference": "nobody"}, "none of a"),
        (
            {"encoders": [{"name": "a", "shape": "uni2-h", "mpp": 0.5, "tile_px": 224}]},
            "random weights",
        ),
        ({"tasks": [{"name": "t", "tiles": "x", "group": "("}]}, "regular expression"),
        ({"tasks": [{"name": "../t", "tiles": "x"}]}, "tasks.0.name"),
        ({"tasks": [{"name": "t", "tiles": "x", "shots": [5]}]}, "need test tiles"),
        ({"tasks": [{"name": "t", "tiles": "x"}] * 2}, "name of its own"),
        ({"probe": {"methods": ["forest"]}}, "probe.methods"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, change: dict[str, Any], found: str) -> None:
    path = tmp_path / "probe.toml"
    path.write_text('encoders = [{name="a", model="m"}]\ntasks = [{name="t", tiles="x"}]\n')
    load_config(path, (), PatchConfig, manual=MANUAL)
    settings = [f"{key}={_toml(value)}" for key, value in change.items()]
    with pytest.raises(ConfigError, match=found):
        load_config(path, settings, PatchConfig, manual=MANUAL)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


@pytest.mark.real_data
def test_glands_of_the_colon(real_data: Path, tmp_path: Path) -> None:
    """A network trained on natural images already tells benign from malignant glands."""
    glas, network = real_data / "tiles" / "glas", real_data / "teachers" / "mobilenetv1_100_in1k"
    settings = PatchConfig.model_validate(
        {
            "encoders": [{"name": "5x", "student": network, "mpp": 2.0, "tile_px": 256}],
            "tasks": [
                {
                    "name": "glas",
                    "tiles": glas / "train",
                    "test": glas / "testA",
                    "mpp": 0.62,
                    "limit": 16,
                }
            ],
            "probe": {"methods": ["linear"]},
            "bootstrap": {"replicates": 100},
        }
    )
    (task,) = run(settings, tmp_path)["tasks"]
    assert task["rows"] == 32
    figure = task["entries"][0]["figures"]["auc"]
    assert figure["value"] > 0.85
    assert np.isfinite([figure["low"], figure["high"]]).all()
