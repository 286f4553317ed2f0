"""Robustness from tiles to figures."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.cli import main
from napari_xmag.config import load_config
from napari_xmag.errors import ConfigError
from napari_xmag.evaluate import features as features_module
from napari_xmag.evaluate.config import MANUAL, RobustnessConfig
from napari_xmag.evaluate.robustness import centred_cosines, evaluate_robustness
from napari_xmag.progress.events import RunFinished

SHIFTS = {"stain": [0.001], "blur": [40.0], "jpeg": [], "brightness": [], "contrast": []}


def config(tiles: Path, encoder: Path, **more: Any) -> RobustnessConfig:
    return RobustnessConfig.model_validate(
        {
            "encoders": [{"name": "tiny", "student": encoder}],
            "tasks": [{"name": "colors", "tiles": tiles, "mpp": 2.0, "group": r"^\w+?\d"}],
            "bootstrap": {"replicates": 50},
            "probe": {"strengths": [0.01, 1.0], "inner_folds": 2},
            "machine": {"device": "cpu"},
            "shifts": SHIFTS,
            **more,
        }
    )


def test_cosines_by_hand() -> None:
    original = np.array([[1, 0], [0, 1], [-1, -1]], np.float32)
    assert np.allclose(centred_cosines(original, original).diagonal(), 1)
    turned = np.array([[0, 1], [-1, 0], [1, -1]], np.float32)
    assert np.allclose(centred_cosines(turned, original).diagonal(), 0)
    # What all features share says nothing: it is taken off.
    assert np.allclose(centred_cosines(turned + 100, original + 100).diagonal(), 0, atol=1e-5)


def test_hardly_changed_pictures_are_known_again_and_blurred_ones_less(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    events = list(evaluate_robustness(config(colored_tiles, tiny_encoder), tmp_path))
    assert isinstance(events[-1], RunFinished)
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    (task,) = content["tasks"]
    slight, blurred = task["entries"]
    assert (slight["shift"], blurred["shift"]) == ("stain 0.001", "blur 40 µm")
    assert slight["stability"] > 0.99
    assert slight["recognized"] > 0.9
    assert abs(slight["change"]["value"]) < 0.02
    assert blurred["stability"] < slight["stability"]
    assert blurred["recognized"] < 0.9
    assert slight["original"]["value"] > 0.95
    words = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| blur 40 µm |" in words
    assert "| mean |" in words
    assert (tmp_path / "colors.png").exists()


def test_only_test_tiles_are_changed_and_originals_come_from_the_cache_of_the_probe(
    colored_tiles: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = shutil.copytree(colored_tiles, tmp_path / "others")
    tiles = [{"name": "t", "tiles": colored_tiles, "test": others, "mpp": 2.0, "limit": 5}]
    settings = config(colored_tiles, tiny_encoder, tasks=tiles, cache=tmp_path / "cache")
    changed: list[Path] = []
    cut_file = features_module._cut_file

    def counted(tile: Any, **settings: Any) -> Any:
        changed.extend([tile.path] if settings["shift"] else [])
        return cut_file(tile, **settings)

    monkeypatch.setattr(features_module, "_cut_file", counted)
    list(evaluate_robustness(settings, tmp_path / "a"))
    assert len(changed) == 2 * 10
    changed.clear()
    list(evaluate_robustness(settings, tmp_path / "b"))
    assert not changed
    assert (tmp_path / "a/results.json").read_text() == (tmp_path / "b/results.json").read_text()


def test_the_command(colored_tiles: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        f"[[encoders]]\nname = 'tiny'\nstudent = '{tiny_encoder}'\n"
        f"[[tasks]]\nname = 'c'\ntiles = '{colored_tiles}'\nmpp = 2.0\nfolds = 2\nlimit = 6\n"
        "[bootstrap]\nreplicates = 20\n[probe]\nstrengths = [0.1]\n[machine]\ndevice = 'cpu'\n"
        "[shifts]\nstain = [0.1]\nblur = []\njpeg = [50]\nbrightness = []\ncontrast = []\n"
    )
    assert main(["evaluate", "robustness", str(path), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "c.png").exists()


def test_no_shift_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    empty = "\n".join(f"{name} = []" for name in SHIFTS)
    path.write_text(
        "[[encoders]]\nname = 'x'\nmodel = 'm'\n[[tasks]]\nname = 'c'\ntiles = 't'\n"
        f"[shifts]\n{empty}\n"
    )
    with pytest.raises(ConfigError, match="at least one shift"):
        load_config(path, (), RobustnessConfig, manual=MANUAL)
